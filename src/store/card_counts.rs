//! Who was seen where: `card_count`, the cards of each place of the schedule, joined with the roster when a figure is read.
//!
//! A row is a list that is only ever appended to: an entry for each deposit counted and for each one taken back. So a
//! deposit costs three bytes at the end of a row that is being written anyway, not a row of its own on a page of its own.

use std::collections::BTreeMap;

use fenlei_wire::vocabulary::Timing;

use super::gathered::Gathered;
use super::sql::Connection;
use super::{StoreError, ledger};
use crate::domain::roster::{CardId, Enrolment};
use crate::domain::statistics::{CardCount, Place};
use crate::domain::timetable::{Classified, Opening};
use crate::domain::zone::Day;

/// Rows of the ledger whose deposits share a list: bounds what appending to it rewrites.
const BLOCK_ROWS: i64 = 1024;
/// `card_count.place` of a further window that a deposit lies in; the others are those of `timing`.
const ALSO_IN: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    community: i64,
    day: i32,
    site: i64,
    place: u8,
    open: u16,
    close: u16,
}

/// What a transaction adds to the lists.
#[derive(Debug, Default)]
pub struct CardCounts {
    lists: Gathered<Key, Vec<u8>>,
    block: i64,
}

impl CardCounts {
    /// What follows is counted because of this row of the ledger.
    pub fn at_row(&mut self, row: i64) {
        self.block = row / BLOCK_ROWS;
    }

    /// Adds −1, 0 or 1 to the deposits of a card, and to the correct ones, at every place where it was seen.
    pub fn add(
        &mut self,
        (community, site): (i64, i64),
        card: CardId,
        classified: &Classified,
        deposits: i64,
        correct: i64,
    ) {
        let mut openings = classified.openings.iter().map(|opening| (opening.open, opening.close));
        let counts = (classified.timing.code(), openings.next().unwrap_or((0, 0)), correct);
        let also = openings.map(|opening| (ALSO_IN, opening, 0));
        for (place, (open, close), correct) in std::iter::once(counts).chain(also) {
            if deposits != 0 || correct != 0 {
                let key = Key { community, day: classified.at.day.0, site, place, open, close };
                write_entry(self.lists.entry(key, Vec::new), card, deposits, correct);
            }
        }
    }

    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let append = "INSERT INTO card_count VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (community, day, block, site, place, open, close)
             DO UPDATE SET entries = CAST(card_count.entries || excluded.entries AS BLOB)";
        let lists = self.lists.drain_in_order().into_iter().map(|(key, entries)| {
            let Key { community, day, site, place, open, close } = key;
            (community, day, site, place, open, close, self.block, entries)
        });
        Ok(connection.execute_each(append, lists)?)
    }
}

/// Puts another card in the place of one, on the days of an enrolment in a community.
pub fn replace_card(
    connection: &Connection,
    community: i64,
    days: Enrolment,
    (card, by): (CardId, CardId),
) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT day, site, place, open, close, block, entries FROM card_count
         WHERE community = ?1 AND day BETWEEN ?2 AND ?3",
    )?;
    let mut lists = Vec::new();
    let mut rows = select.query((community, days.from.0, days.until.map_or(i32::MAX, |until| until.0)))?;
    while let Some(row) = rows.next()? {
        let mut entries = Vec::new();
        read_entries(row.get_ref(6)?.as_blob().unwrap_or_default(), &mut entries)?;
        if entries.iter().any(|entry| entry.card == card) {
            let key: [i64; 6] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
            let mut list = Vec::new();
            for entry in entries {
                let card = if entry.card == card { by } else { entry.card };
                write_entry(&mut list, card, entry.deposits, entry.correct);
            }
            lists.push((key, list));
        }
    }
    let mut update = connection.prepare_cached(
        "UPDATE card_count SET entries = ?8 WHERE community = ?1 AND day = ?2 AND site = ?3 AND place = ?4
             AND open = ?5 AND close = ?6 AND block = ?7",
    )?;
    for ([day, site, place, open, close, block], list) in lists {
        update.execute((community, day, site, place, open, close, block, list))?;
    }
    Ok(())
}

/// The counts of a community's cards from `first` to `last`, each with the key of its site, sorted by day.
pub fn read(
    connection: &Connection,
    community: i64,
    first: Day,
    last: Day,
) -> Result<Vec<(i64, CardCount)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT day, site, place, open, close, entries FROM card_count
         WHERE community = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY community, day",
    )?;
    let mut rows = select.query((community, first.0, last.0))?;
    let (mut counts, mut lists, mut current) = (Vec::new(), Lists::new(), None);
    while let Some(row) = rows.next()? {
        let day = Day(row.get(0)?);
        if let Some(before) = current.replace(day).filter(|before| *before != day) {
            sum(before, &mut lists, &mut counts);
        }
        let opening = Opening { open: row.get(3)?, close: row.get(4)? };
        let list = lists.entry((row.get(1)?, place(row.get(2)?, opening)?)).or_default();
        read_entries(row.get_ref(5)?.as_blob().unwrap_or_default(), list)?;
    }
    if let Some(last) = current {
        sum(last, &mut lists, &mut counts);
    }
    Ok(counts)
}

/// The entries of one day, by site and place.
type Lists = BTreeMap<(i64, Place), Vec<Entry>>;

/// Empties the lists of a day into a count for each card that is left with one.
fn sum(day: Day, lists: &mut Lists, counts: &mut Vec<(i64, CardCount)>) {
    for ((site, place), entries) in lists {
        entries.sort_unstable_by_key(|entry| entry.card);
        for of_card in entries.chunk_by(|a, b| a.card == b.card) {
            let deposits: i64 = of_card.iter().map(|entry| entry.deposits).sum();
            let correct: i64 = of_card.iter().map(|entry| entry.correct).sum();
            if deposits != 0 || correct != 0 {
                let (deposits, correct) = (deposits.unsigned_abs(), correct.unsigned_abs());
                counts.push((*site, CardCount { day, card: of_card[0].card, place: *place, deposits, correct }));
            }
        }
        entries.clear();
    }
}

fn place(code: u8, opening: Opening) -> Result<Place, StoreError> {
    Ok(match code {
        ALSO_IN => Place::AlsoIn(opening),
        code => match ledger::timing(code)? {
            Timing::InWindow => Place::Window(opening),
            Timing::Makeup => Place::Makeup,
            Timing::OffHours => Place::OffHours,
        },
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    card: CardId,
    deposits: i64,
    correct: i64,
}

/// Appends `9 · card + 3 · (deposits + 1) + (correct + 1)` in LEB128: seven bits a byte, lowest first, all but the last
/// with the high bit set.
fn write_entry(list: &mut Vec<u8>, card: CardId, deposits: i64, correct: i64) {
    let mut number = card.0 * 9 + (deposits.clamp(-1, 1) + 1) * 3 + correct.clamp(-1, 1) + 1;
    while number > 0x7f {
        list.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    list.push(number as u8);
}

fn read_entries(list: &[u8], into: &mut Vec<Entry>) -> Result<(), StoreError> {
    let (mut number, mut shift) = (0i64, 0);
    for byte in list {
        if shift > 56 {
            return Err(StoreError::Corrupt("an entry of card_count is too long"));
        }
        number |= i64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            into.push(Entry { card: CardId(number / 9), deposits: number / 3 % 3 - 1, correct: number % 3 - 1 });
            (number, shift) = (0, 0);
        }
    }
    if shift == 0 { Ok(()) } else { Err(StoreError::Corrupt("a list of card_count ends within an entry")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_are_read_as_they_were_written(
            entries in prop::collection::vec((1i64..1 << 40, -1i64..=1, -1i64..=1), 0..50),
        ) {
            let (mut list, mut read) = (Vec::new(), Vec::new());
            for (card, deposits, correct) in &entries {
                write_entry(&mut list, CardId(*card), *deposits, *correct);
            }
            read_entries(&list, &mut read).unwrap();
            let read: Vec<_> = read.iter().map(|entry| (entry.card.0, entry.deposits, entry.correct)).collect();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn bytes_of_no_list_are_an_error_at_most(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = read_entries(&bytes, &mut Vec::new());
        }
    }
}
