//! The ledger by spans of days: the rollups of each span counted again, and held against the rows that are kept.

use std::collections::BTreeMap;
use std::fmt::Debug;

use fenlei_wire::vocabulary::{EventType, Stream, Timing};

use super::super::sql::Connection;
use super::super::{StoreError, ledger as columns};
use super::Part;
use super::order::Ledger;
use super::read::{Boot, Facts, Site};
use crate::domain::recount::{Deposited, Happened, Rollups, Seen, differences};
use crate::domain::zone::Day;

/// Events that are counted at once, unless a single day has more.
const AT_ONCE: u64 = 400_000;
const DAY_MS: i64 = 86_400_000;
const BLOCK: i64 = 4096;
/// As `deposit_time` has it: the bits of a bucket's milliseconds, and the bytes of a deposit.
const BUCKET_BITS: u32 = 20;
const ENTRY: usize = 8;

/// A deposit of a bin, as `deposit_time` finds it: device, instant, row of the ledger.
type Timed = (i64, i64, i64);

pub(super) fn recount(connection: &Connection, facts: &Facts, ledger: &Ledger) -> Result<Vec<Part>, StoreError> {
    let names = ["timing", "hour_count", "card_count", "presence", "deposit_time"];
    let [mut timing, mut hours, mut cards, mut presence, mut times] = names.map(Part::new);
    for span in spans(&ledger.days) {
        let counted = count(connection, facts, ledger, span, &mut timing)?;
        let kept = Kept::read(connection, facts, span)?;
        let name = |site: i64, day: i32| {
            let site = facts.sites.iter().find(|known| known.place.site == site);
            format!("site {}, {}", site.map_or("(none)", |site| &site.id), Day(day).date())
        };
        compare(&mut hours, &kept.rollups.hours, &counted.rollups.hours, |(site, day, hour, stream)| {
            format!("{} {hour}:00, {stream}", name(*site, *day))
        });
        compare(&mut cards, &kept.rollups.cards, &counted.rollups.cards, |(_, site, day, seen, _)| {
            format!("a card at {}, {}", name(*site, *day), place(*seen))
        });
        compare(&mut presence, &kept.rollups.presence, &counted.rollups.presence, |(site, day, hour)| {
            format!("{} {hour}:00", name(*site, *day))
        });
        compare(&mut times, &kept.times, &counted.times, |(_, _, row)| format!("the deposit in row {row}"));
    }
    Ok(vec![timing, hours, cards, presence, times])
}

fn compare<K: Ord, V: PartialEq + Debug>(
    part: &mut Part,
    kept: &BTreeMap<K, V>,
    counted: &BTreeMap<K, V>,
    name: impl Fn(&K) -> String,
) {
    part.compared += counted.len() as u64;
    for (key, kept, counted) in differences(kept, counted) {
        let or_nothing = |value: Option<&V>| value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"));
        part.differs(|| format!("{}: kept {}, counted {}", name(key), or_nothing(kept), or_nothing(counted)));
    }
}

fn place(seen: Seen) -> String {
    let at = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    match seen {
        Seen::Window(open, close) => format!("{}–{}", at(open), at(close)),
        Seen::AlsoIn(open, close) => format!("also {}–{}", at(open), at(close)),
        Seen::Makeup => "makeup".to_owned(),
        Seen::OffHours => "off hours".to_owned(),
    }
}

/// Cuts the days at which events happened into spans, first and last day included. The first span begins and the last ends
/// beyond all days: what is kept of a day without events is found too.
fn spans(days: &BTreeMap<i64, u64>) -> Vec<(i32, i32)> {
    let (mut spans, mut first, mut events) = (Vec::new(), i32::MIN, 0);
    for (day, count) in days {
        if events > 0 && events + count > AT_ONCE {
            let day = i32::try_from(*day).unwrap_or(i32::MAX);
            spans.push((first, day.saturating_sub(1)));
            (first, events) = (day, 0);
        }
        events += count;
    }
    spans.push((first, i32::MAX));
    spans
}

/// The instants of a span of days in UTC.
fn instants(span: (i32, i32)) -> std::ops::Range<i64> {
    i64::from(span.0) * DAY_MS..(i64::from(span.1) + 1) * DAY_MS
}

#[derive(Default)]
struct Counted {
    rollups: Rollups,
    times: BTreeMap<Timed, Stream>,
}

fn count(
    connection: &Connection,
    facts: &Facts,
    ledger: &Ledger,
    span: (i32, i32),
    timing: &mut Part,
) -> Result<Counted, StoreError> {
    let mut counted = Counted::default();
    let own = instants(span);
    // Wherever a site is, its day begins and ends within a day of that in UTC.
    let (from, before) = (own.start - DAY_MS, own.end + DAY_MS);
    let mut select = connection.prepare_cached(
        "SELECT id, boot, time, type, stream, grams, card, timing, verdict, camera, volunteer FROM ledger
         WHERE id >= ?1 AND id < ?2 AND time >= ?3 AND time < ?4",
    )?;
    for (block, first, last) in &ledger.blocks {
        if *first >= before || *last < from {
            continue;
        }
        let mut rows = select.query((block * BLOCK, (block + 1) * BLOCK, from, before))?;
        while let Some(row) = rows.next()? {
            let (id, boot, time): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            // The order of the ledger has named what is of no boot.
            let Some(Boot { site, device, by_bin, .. }) = facts.boots.get(&boot) else { continue };
            let Site { id: site, place } = &facts.sites[*site];
            let deposit = (row.get::<_, u8>(3)? == EventType::Deposit.code())
                .then(|| {
                    let verdict = columns::standing(row.get(10)?, row.get(9)?, row.get(8)?)?;
                    let stream = columns::stream(row.get(4)?)?;
                    Ok::<_, StoreError>(Deposited { stream, grams: row.get(5)?, card: row.get(6)?, verdict })
                })
                .transpose()?;
            let event = Happened { time, by_bin: *by_bin, deposit };
            if let Some(by_schedule) = counted.rollups.count(place, span, &event) {
                let kept = row.get::<_, Option<u8>>(7)?.and_then(Timing::from_code);
                timing.compare(kept == Some(by_schedule), || {
                    let kept = kept.map_or("nothing", Timing::as_str);
                    format!("row {id} of site {site}: kept {kept}, by the schedule {by_schedule}")
                });
            }
            if let Some(deposit) = deposit.filter(|_| own.contains(&time)) {
                counted.times.insert((*device, time, id), deposit.stream);
            }
        }
    }
    Ok(counted)
}

#[derive(Default)]
struct Kept {
    rollups: Rollups,
    times: BTreeMap<Timed, Stream>,
}

impl Kept {
    fn read(connection: &Connection, facts: &Facts, span: (i32, i32)) -> Result<Self, StoreError> {
        let mut kept = Self::default();
        kept.hours(connection, span)?;
        kept.cards(connection, facts, span)?;
        let mut select =
            connection.prepare_cached("SELECT site, day, hour, minutes FROM presence WHERE day BETWEEN ?1 AND ?2")?;
        let mut rows = select.query(span)?;
        while let Some(row) = rows.next()? {
            kept.rollups.presence.insert((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?);
        }
        kept.times(connection, span)?;
        Ok(kept)
    }

    fn hours(&mut self, connection: &Connection, span: (i32, i32)) -> Result<(), StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT site, day, hour, stream, in_window, makeup, off_hours, correct, incorrect, unjudged, grams
             FROM hour_count WHERE day BETWEEN ?1 AND ?2",
        )?;
        let mut rows = select.query(span)?;
        while let Some(row) = rows.next()? {
            let mut counts = [0; 7];
            for (column, count) in (4..).zip(&mut counts) {
                *count = row.get(column)?;
            }
            // What was moved elsewhere leaves a row of nothing.
            if counts != [0; 7] {
                let stream = columns::stream(row.get(3)?)?;
                self.rollups.hours.insert((row.get(0)?, row.get(1)?, row.get(2)?, stream), counts);
            }
        }
        Ok(())
    }

    /// Each list is `9 · card + 3 · (deposits + 1) + (correct + 1)` in LEB128, one number after the other.
    fn cards(&mut self, connection: &Connection, facts: &Facts, span: (i32, i32)) -> Result<(), StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT community, site, day, place, open, close, entries FROM card_count
             WHERE community = ?1 AND day BETWEEN ?2 AND ?3",
        )?;
        let mut communities: Vec<i64> = facts.sites.iter().map(|site| site.place.community).collect();
        communities.sort_unstable();
        communities.dedup();
        for community in communities {
            let mut rows = select.query((community, span.0, span.1))?;
            while let Some(row) = rows.next()? {
                let (open, close) = (row.get(4)?, row.get(5)?);
                let seen = match row.get(3)? {
                    1 => Seen::Window(open, close),
                    2 => Seen::Makeup,
                    3 => Seen::OffHours,
                    4 => Seen::AlsoIn(open, close),
                    _ => return Err(StoreError::Corrupt("an unknown place in card_count")),
                };
                let (site, day) = (row.get(1)?, row.get(2)?);
                let (mut number, mut shift) = (0i64, 0u32);
                for byte in row.get_ref(6)?.as_blob().unwrap_or_default() {
                    let bits = i64::from(byte & 0x7f).checked_shl(shift);
                    number |= bits.ok_or(StoreError::Corrupt("an entry of card_count is too long"))?;
                    shift += 7;
                    if byte & 0x80 == 0 {
                        let key = (community, site, day, seen, number / 9);
                        let counts = self.rollups.cards.entry(key).or_default();
                        *counts = [counts[0] + number / 3 % 3 - 1, counts[1] + number % 3 - 1];
                        (number, shift) = (0, 0);
                    }
                }
            }
        }
        self.rollups.cards.retain(|_, counts| *counts != [0, 0]);
        Ok(())
    }

    fn times(&mut self, connection: &Connection, span: (i32, i32)) -> Result<(), StoreError> {
        let instants = instants(span);
        let mut select = connection
            .prepare_cached("SELECT bucket, bin, entries FROM deposit_time WHERE bucket BETWEEN ?1 AND ?2")?;
        let mut rows = select.query((instants.start >> BUCKET_BITS, instants.end >> BUCKET_BITS))?;
        while let Some(row) = rows.next()? {
            let (bucket, bin): (i64, i64) = (row.get(0)?, row.get(1)?);
            for entry in row.get_ref(2)?.as_blob().unwrap_or_default().chunks_exact(ENTRY) {
                let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
                let (stamp, of_row) = (number(&entry[..3]), number(&entry[3..]));
                let time = (bucket << BUCKET_BITS) + (stamp & ((1 << BUCKET_BITS) - 1));
                if instants.contains(&time) {
                    let stream = columns::stream(u8::try_from(stamp >> BUCKET_BITS).unwrap_or(0))?;
                    self.times.insert((bin, time, of_row), stream);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_every_day_once_and_few_events_each() {
        assert_eq!(spans(&BTreeMap::new()), [(i32::MIN, i32::MAX)]);
        let days = BTreeMap::from([(3, 10), (5, AT_ONCE - 10), (9, 1), (10, AT_ONCE * 3), (11, 1)]);
        assert_eq!(spans(&days), [(i32::MIN, 8), (9, 9), (10, 10), (11, i32::MAX)]);
    }
}
