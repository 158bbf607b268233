//! Between instants and the wall clock of a site.
//!
//! Instants are stored in UTC; every decision about days and windows is made on the local wall clock.
//! A day that daylight saving shortens or lengthens still has minutes 0 to 1439: skipped ones never
//! occur, repeated ones occur twice.

use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveTime, Offset, TimeZone, Timelike, Utc};
pub use chrono_tz::Tz;

/// The zone of a community or site that names none.
pub const DEFAULT_ZONE: Tz = chrono_tz::Asia::Shanghai;

const MINUTES_A_DAY: u16 = 1440;

/// A local date as days since 1970-01-01: what the store keys days by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    pub fn of(date: NaiveDate) -> Self {
        let epoch = NaiveDate::default();
        Self(i32::try_from((date - epoch).num_days()).unwrap_or(i32::MAX))
    }

    pub fn date(self) -> NaiveDate {
        NaiveDate::default().checked_add_signed(Duration::days(self.0.into())).unwrap_or(NaiveDate::MAX)
    }

    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// An instant as a wall clock at the site shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub day: Day,
    /// Minute of the day, 0 to 1439.
    pub minute: u16,
}

/// What the wall clock shows at `millis` (Unix, UTC).
pub fn local(zone: Tz, millis: i64) -> Local {
    let instant = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    let wall = instant.with_timezone(&zone).naive_local();
    let minute = wall.hour() * 60 + wall.minute();
    Local { day: Day::of(wall.date()), minute: u16::try_from(minute).unwrap_or(0) }
}

/// An instant (Unix milliseconds) as the API writes it.
pub fn rfc3339(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The local date at an instant.
pub fn today(zone: Tz, now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&zone).date_naive()
}

/// When a span that opens at `minute` of `date` begins: the first time the wall clock shows it.
pub fn opens_at(zone: Tz, date: NaiveDate, minute: u16) -> DateTime<Utc> {
    resolve(zone, date, minute, Occurrence::First)
}

/// When a span that closes at `minute` of `date` (1440: midnight) ends: its last minute, the last time the wall clock
/// shows it, is over. The closing minute itself may come a second time, long after the span.
pub fn closes_at(zone: Tz, date: NaiveDate, minute: u16) -> DateTime<Utc> {
    let last = minute.saturating_sub(1);
    let begins = resolve(zone, date, last, Occurrence::Last);
    // Where the clock skips the last minute, the span ends with the skip.
    if local(zone, begins.timestamp_millis()).minute == last { begins + Duration::minutes(1) } else { begins }
}

/// When the wall clock comes to `minute` of `date`: the first time and the last, which are one unless it is put back.
pub fn comes_to(zone: Tz, date: NaiveDate, minute: u16) -> [DateTime<Utc>; 2] {
    [Occurrence::First, Occurrence::Last].map(|which| resolve(zone, date, minute, which))
}

/// When the wall clock is put forward or back within `days` after `from`: the first instants of another offset.
pub fn jumps(zone: Tz, from: DateTime<Utc>, days: i64) -> impl Iterator<Item = DateTime<Utc>> {
    let offset = move |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    (0..days).filter_map(move |day| {
        let (mut before, mut after) = (from + Duration::days(day), from + Duration::days(day + 1));
        if offset(before) == offset(after) {
            return None;
        }
        while after - before > Duration::seconds(1) {
            let middle = before + (after - before) / 2;
            if offset(middle) == offset(before) { before = middle } else { after = middle }
        }
        // Clocks jump at whole seconds.
        DateTime::from_timestamp(after.timestamp(), 0)
    })
}

#[derive(Clone, Copy)]
enum Occurrence {
    First,
    Last,
}

fn resolve(zone: Tz, date: NaiveDate, minute: u16, which: Occurrence) -> DateTime<Utc> {
    let (date, minute) = if minute >= MINUTES_A_DAY {
        (date.succ_opt().unwrap_or(date), minute - MINUTES_A_DAY)
    } else {
        (date, minute)
    };
    let wall = date.and_time(NaiveTime::MIN) + Duration::minutes(minute.into());
    // A minute that the clock skips begins when the clock has jumped: no zone has ever jumped by more than a day.
    for skipped in 0..=i64::from(MINUTES_A_DAY) {
        match zone.from_local_datetime(&(wall + Duration::minutes(skipped))) {
            LocalResult::Single(instant) => return instant.to_utc(),
            LocalResult::Ambiguous(first, last) => {
                return match which {
                    Occurrence::First => first.to_utc(),
                    Occurrence::Last => last.to_utc(),
                };
            }
            LocalResult::None => {}
        }
    }
    wall.and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_wall_clock_in_shanghai() {
        let at = utc("2026-11-20T00:00:00Z").timestamp_millis();
        assert_eq!(local(DEFAULT_ZONE, at), Local { day: Day::of(date("2026-11-20")), minute: 480 });
        assert_eq!(local(DEFAULT_ZONE, at - 1).minute, 479);
        assert_eq!(Day::of(date("2026-11-20")).date(), date("2026-11-20"));
    }

    #[test]
    fn skipped_and_repeated_minutes() {
        let berlin = chrono_tz::Europe::Berlin;
        // 02:30 does not exist on 2026-03-29, and exists twice on 2026-10-25.
        assert_eq!(opens_at(berlin, date("2026-03-29"), 150), utc("2026-03-29T01:00:00Z"));
        assert_eq!(opens_at(berlin, date("2026-10-25"), 150), utc("2026-10-25T00:30:00Z"));
        assert_eq!(closes_at(berlin, date("2026-10-25"), 150), utc("2026-10-25T01:30:00Z"));
        assert_eq!(closes_at(berlin, date("2026-10-24"), 1440), utc("2026-10-24T22:00:00Z"));
        // 02:00 comes twice, 01:59 once: a span until 02:00 ends at the first.
        assert_eq!(closes_at(berlin, date("2026-10-25"), 120), utc("2026-10-25T00:00:00Z"));
        assert_eq!(closes_at(berlin, date("2026-03-29"), 150), utc("2026-03-29T01:00:00Z"));
    }
}
