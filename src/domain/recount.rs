//! The rollups, counted anew from what the ledger holds, as the definitions word them.
//!
//! Nothing here is shared with how rollups are written: no timetable, no deltas, no weights. Each event is looked at once
//! and by itself, and what comes out is what the rollups must hold. Slower than what it checks, and plain to read.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use fenlei_wire::schedule::{Minute, StreamSet};
use fenlei_wire::vocabulary::{Stream, Timing, Verdict};

use super::schedule::{DayWindow, Schedule};

/// A site as far as it decides what its events count as.
#[derive(Clone, Debug)]
pub struct Place {
    pub community: i64,
    pub site: i64,
    pub zone: Tz,
    /// Every version, in the order in which they were stored.
    pub schedules: Vec<Schedule>,
}

/// An event of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// Unix milliseconds.
    pub time: i64,
    /// Whether a bin said it, or a volunteer, who stands where a bin would have been.
    pub by_bin: bool,
    pub deposit: Option<Deposited>,
}

/// A deposit of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Deposited {
    pub stream: Stream,
    pub grams: i64,
    /// The number of its card in the store.
    pub card: Option<i64>,
    /// The verdict that stands.
    pub verdict: Option<Verdict>,
}

/// Where a card was seen: a span of a day, or none with one of the timings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// In this open window, as minutes of the day; of several the first in the schedule.
    Window(u16, u16),
    /// In this one too.
    AlsoIn(u16, u16),
    Makeup,
    OffHours,
}

/// Site, day since 1970-01-01, hour, stream.
pub type HourKey = (i64, i32, u16, Stream);
/// Community, site, day, where, card.
pub type CardKey = (i64, i64, i32, Seen, i64);
/// Site, day, hour.
pub type PresenceKey = (i64, i32, u16);

/// Rollups, either as they are kept or as they were counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollups {
    /// In an open window, makeup, off hours; correct, incorrect, unjudged; grams.
    pub hours: BTreeMap<HourKey, [i64; 7]>,
    /// Deposits, and correct ones.
    pub cards: BTreeMap<CardKey, [i64; 2]>,
    /// The minutes in which a bin reported: bit 0 is minute 0.
    pub presence: BTreeMap<PresenceKey, i64>,
}

impl Rollups {
    /// Counts an event if it lies on one of `days`, first and last included, as its site's calendar has them. Answers the
    /// timing of a deposit that was counted.
    pub fn count(&mut self, place: &Place, days: (i32, i32), event: &Happened) -> Option<Timing> {
        let wall = DateTime::from_timestamp_millis(event.time)?.with_timezone(&place.zone).naive_local();
        let day = i32::try_from((wall.date() - NaiveDate::default()).num_days()).ok()?;
        if day < days.0 || day > days.1 {
            return None;
        }
        let (hour, minute) = (u16::try_from(wall.hour()).ok()?, u16::try_from(wall.minute()).ok()?);
        if event.by_bin {
            *self.presence.entry((place.site, day, hour)).or_default() |= 1 << minute;
        }
        let deposit = event.deposit?;
        let (timing, windows) = place.timing(wall.date(), hour * 60 + minute, deposit.stream);
        let counts = self.hours.entry((place.site, day, hour, deposit.stream)).or_default();
        counts[match timing {
            Timing::InWindow => 0,
            Timing::Makeup => 1,
            Timing::OffHours => 2,
        }] += 1;
        counts[match deposit.verdict {
            Some(Verdict::Correct) => 3,
            Some(Verdict::Incorrect) => 4,
            None => 5,
        }] += 1;
        counts[6] += deposit.grams;
        if let Some(card) = deposit.card {
            let correct = i64::from(deposit.verdict == Some(Verdict::Correct));
            let main = match (timing, windows.first()) {
                (Timing::InWindow, Some((open, close))) => Seen::Window(*open, *close),
                (Timing::Makeup, _) => Seen::Makeup,
                _ => Seen::OffHours,
            };
            let also = windows.iter().skip(1).map(|(open, close)| (Seen::AlsoIn(*open, *close), 0));
            for (seen, correct) in std::iter::once((main, correct)).chain(also) {
                let counts = self.cards.entry((place.community, place.site, day, seen, card)).or_default();
                *counts = [counts[0] + 1, counts[1] + correct];
            }
        }
        Some(timing)
    }
}

impl Place {
    /// The windows of a day: of the version with the greatest `valid_from` not after it, of equal ones the last stored;
    /// those of the date where it is named, else those of the day of the week.
    fn windows(&self, date: NaiveDate) -> Vec<DayWindow> {
        let mut in_force: Option<&Schedule> = None;
        for version in &self.schedules {
            if version.valid_from <= date && in_force.is_none_or(|best| version.valid_from >= best.valid_from) {
                in_force = Some(version);
            }
        }
        let Some(version) = in_force else {
            return [(480, 540), (1020, 1080)].into_iter().filter_map(|(open, close)| plain(open, close)).collect();
        };
        if let Some(named) = version.dates.iter().find(|named| named.date == date) {
            return named.windows.clone();
        }
        let weekday = u8::try_from(date.weekday().num_days_from_monday()).unwrap_or(0);
        version
            .weekly
            .iter()
            .filter(|weekly| weekly.days.contains(weekday))
            .map(|weekly| weekly.window.clone())
            .collect()
    }

    /// The timing of a deposit, and the spans of the open windows that it lies in, each once.
    fn timing(&self, date: NaiveDate, minute: u16, stream: Stream) -> (Timing, Vec<(u16, u16)>) {
        let (mut spans, mut makeup) = (Vec::new(), false);
        for window in self.windows(date) {
            let span = (window.open.get(), window.close.get());
            let within = span.0 <= minute && minute < span.1;
            if !within || !window.streams.unwrap_or(StreamSet::ALL).contains(stream) {
                continue;
            }
            if window.makeup {
                makeup = true;
            } else if !spans.contains(&span) {
                spans.push(span);
            }
        }
        match (spans.is_empty(), makeup) {
            (false, _) => (Timing::InWindow, spans),
            (true, true) => (Timing::Makeup, spans),
            (true, false) => (Timing::OffHours, spans),
        }
    }
}

fn plain(open: u16, close: u16) -> Option<DayWindow> {
    Some(DayWindow { open: Minute::new(open)?, close: Minute::new(close)?, streams: None, makeup: false })
}

/// The keys on which two maps differ, with what each has.
pub fn differences<'a, K: Ord, V: PartialEq>(
    kept: &'a BTreeMap<K, V>,
    counted: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let changed = counted.iter().map(|(key, counted)| (key, kept.get(key), Some(counted)));
    let only_kept =
        kept.iter().filter(|(key, _)| !counted.contains_key(key)).map(|(key, kept)| (key, Some(kept), None));
    changed.filter(|(_, kept, counted)| kept != counted).chain(only_kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::timetable::Timetable;
    use super::*;

    fn schedule() -> impl Strategy<Value = Schedule> {
        let window = (0u16..1440, 1u16..400, prop::bool::ANY, prop::option::of(0usize..4)).prop_map(
            |(open, length, makeup, stream)| DayWindow {
                open: Minute::new(open).unwrap(),
                close: Minute::new((open + length).min(1440)).unwrap(),
                streams: stream.map(|stream| [Stream::ALL[stream]].into_iter().collect()),
                makeup,
            },
        );
        (0i64..6, prop::collection::vec(window.clone(), 0..5), prop::option::of(prop::collection::vec(window, 0..3)))
            .prop_map(|(from, weekly, dated)| {
                let date = |day: i64| NaiveDate::from_ymd_opt(2026, 10, 22).unwrap() + chrono::Duration::days(day);
                let days = serde_json::from_value(serde_json::json!(["mon", "wed", "sat", "sun"])).unwrap();
                Schedule {
                    valid_from: date(from),
                    reason: None,
                    meeting: None,
                    weekly: weekly
                        .into_iter()
                        .map(|window| super::super::schedule::WeeklyWindow { days, window })
                        .collect(),
                    dates: dated
                        .into_iter()
                        .map(|windows| super::super::schedule::DateWindows { date: date(3), windows })
                        .collect(),
                }
            })
    }

    proptest! {
        // The nights on which Berlin's clocks go back lie within.
        #[test]
        fn timing_is_what_the_timetable_says(
            schedules in prop::collection::vec(schedule(), 0..4),
            hours in 0i64..7 * 24 * 60,
            stream in 0usize..4,
        ) {
            let zone = chrono_tz::Europe::Berlin;
            let start = NaiveDate::from_ymd_opt(2026, 10, 21).unwrap().and_time(chrono::NaiveTime::MIN).and_utc();
            let (time, stream) = (start.timestamp_millis() + hours * 60_000, Stream::ALL[stream]);
            let classified = Timetable::new(zone, &schedules).classify(time, stream);
            let place = Place { community: 1, site: 2, zone, schedules };
            let deposit = Deposited { stream, grams: 5, card: Some(7), verdict: None };
            let mut rollups = Rollups::default();
            let event = Happened { time, by_bin: true, deposit: Some(deposit) };
            let day = classified.at.day.0;
            prop_assert_eq!(rollups.count(&place, (day, day), &event), Some(classified.timing));
            prop_assert_eq!(rollups.cards.len(), classified.openings.len().max(1));
            for (index, opening) in classified.openings.iter().enumerate() {
                let seen = if index == 0 { Seen::Window } else { Seen::AlsoIn }(opening.open, opening.close);
                prop_assert!(rollups.cards.contains_key(&(1, 2, day, seen, 7)));
            }
            prop_assert_eq!(rollups.presence.len(), 1);
            prop_assert_eq!(Rollups::default().count(&place, (day + 1, day + 9), &event), None);
        }
    }

    #[test]
    fn what_one_side_lacks_or_has_otherwise_is_a_difference() {
        let kept = BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
        let counted = BTreeMap::from([(2, 'b'), (3, 'x'), (4, 'd')]);
        let found: Vec<_> = differences(&kept, &counted).collect();
        assert_eq!(found, [(&3, Some(&'c'), Some(&'x')), (&4, None, Some(&'d')), (&1, Some(&'a'), None)]);
    }
}
