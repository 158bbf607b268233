//! When a site is open: which windows hold on a day, how a deposit is timed, and when the site opens or closes next.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use fenlei_wire::schedule::{Window, timing};
use fenlei_wire::vocabulary::{Stream, Timing};

use super::schedule::{DateWindows, DayWindow, Schedule};
use super::zone::{Local, Tz, comes_to, jumps, local};

/// A schedule made quick to look up.
#[derive(Clone, Debug)]
struct Version {
    valid_from: NaiveDate,
    weekdays: [Vec<Window>; 7],
    dates: BTreeMap<NaiveDate, Vec<Window>>,
}

impl Version {
    fn new(schedule: &Schedule) -> Self {
        let weekday = |day: u8| {
            let of_day = schedule.weekly.iter().filter(move |weekly| weekly.days.contains(day));
            of_day.map(|weekly| weekly.window.window()).collect()
        };
        let windows = |date: &DateWindows| date.windows.iter().map(DayWindow::window).collect();
        Self {
            valid_from: schedule.valid_from,
            weekdays: [0, 1, 2, 3, 4, 5, 6].map(weekday),
            dates: schedule.dates.iter().map(|date| (date.date, windows(date))).collect(),
        }
    }

    fn windows(&self, date: NaiveDate) -> &[Window] {
        match self.dates.get(&date) {
            Some(windows) => windows,
            None => &self.weekdays[date.weekday().num_days_from_monday() as usize],
        }
    }
}

/// A window in which a deposit counts as an opportunity taken, as minutes of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opening {
    pub open: u16,
    pub close: u16,
}

/// How a site stands to its hours at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// Late deposits are allowed.
    Makeup,
    Closed,
}

/// How a deposit stands to the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    pub at: Local,
    pub timing: Timing,
    /// The open windows it lies in, each once; empty unless the timing is `in_window`.
    pub openings: Vec<Opening>,
}

/// All versions of a site's schedule, in its zone.
#[derive(Clone, Debug)]
pub struct Timetable {
    zone: Tz,
    default: Version,
    /// By `valid_from`, of equal ones the last stored last.
    versions: Vec<Version>,
}

impl Timetable {
    /// `versions` in the order in which they were stored.
    pub fn new<'a>(zone: Tz, versions: impl IntoIterator<Item = &'a Schedule>) -> Self {
        let mut versions: Vec<_> = versions.into_iter().map(Version::new).collect();
        versions.sort_by_key(|version| version.valid_from);
        Self { zone, default: Version::new(&Schedule::default_hours()), versions }
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The windows of a local day, by the version in force on it.
    pub fn windows(&self, date: NaiveDate) -> &[Window] {
        let later = self.versions.partition_point(|version| version.valid_from <= date);
        match later.checked_sub(1) {
            Some(index) => self.versions[index].windows(date),
            None => self.default.windows(date),
        }
    }

    /// The windows of each day of the week, Monday first, by the version in force on `date`.
    pub fn week(&self, date: NaiveDate) -> &[Vec<Window>; 7] {
        let later = self.versions.partition_point(|version| version.valid_from <= date);
        &later.checked_sub(1).map_or(&self.default, |index| &self.versions[index]).weekdays
    }

    /// The opportunities of a local day: its open windows without the makeup ones, same spans once.
    pub fn openings(&self, date: NaiveDate) -> BTreeSet<Opening> {
        self.windows(date).iter().filter(|window| !window.makeup).map(opening).collect()
    }

    /// Whether the site is open at `time` (Unix milliseconds), for any stream.
    pub fn gate(&self, time: i64) -> Gate {
        let at = local(self.zone, time);
        let mut holding = self.windows(at.day.date()).iter().filter(|window| window.contains(at.minute)).peekable();
        match (holding.peek().is_some(), holding.all(|window| window.makeup)) {
            (false, _) => Gate::Closed,
            (true, true) => Gate::Makeup,
            (true, false) => Gate::Open,
        }
    }

    /// When that changes next; `None`: not within eight days.
    pub fn next_change(&self, time: i64) -> Option<i64> {
        let (now, today) = (self.gate(time), local(self.zone, time).day.date());
        // Yesterday too: a clock may be put back over midnight.
        let days = (-1..=8).filter_map(|ahead| today.checked_add_signed(TimeDelta::days(ahead)));
        let minutes = days.flat_map(|date| {
            let edges = self.windows(date).iter().flat_map(|window| [window.open.get(), window.close.get()]);
            edges.flat_map(move |minute| comes_to(self.zone, date, minute))
        });
        let mut edges: Vec<i64> = minutes
            .chain(jumps(self.zone, DateTime::from_timestamp_millis(time)?, 9))
            .map(|edge| edge.timestamp_millis())
            .filter(|edge| *edge > time)
            .collect();
        edges.sort_unstable();
        edges.into_iter().find(|edge| self.gate(*edge) != now)
    }

    /// How a deposit of `stream` at `time` (Unix milliseconds) stands to the schedule.
    pub fn classify(&self, time: i64, stream: Stream) -> Classified {
        let at = local(self.zone, time);
        let windows = self.windows(at.day.date());
        let timing = timing(windows, at.minute, stream);
        let mut openings = Vec::new();
        if timing == Timing::InWindow {
            for window in windows {
                let counts = !window.makeup && window.streams.contains(stream) && window.contains(at.minute);
                if counts && !openings.contains(&opening(window)) {
                    openings.push(opening(window));
                }
            }
        }
        Classified { at, timing, openings }
    }
}

fn opening(window: &Window) -> Opening {
    Opening { open: window.open.get(), close: window.close.get() }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::in_force;
    use super::super::zone::DEFAULT_ZONE;
    use super::*;

    fn schedule(json: serde_json::Value) -> Schedule {
        serde_json::from_value(json).unwrap()
    }

    fn at(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn boundaries_to_the_millisecond() {
        let timetable = Timetable::new(DEFAULT_ZONE, []);
        let timing = |text| timetable.classify(at(text), Stream::Food).timing;
        assert_eq!(timing("2026-11-20T07:59:59.999+08:00"), Timing::OffHours);
        assert_eq!(timing("2026-11-20T08:00:00.000+08:00"), Timing::InWindow);
        assert_eq!(timing("2026-11-20T08:59:59.999+08:00"), Timing::InWindow);
        assert_eq!(timing("2026-11-20T09:00:00.000+08:00"), Timing::OffHours);
        assert_eq!(timing("2026-11-20T09:00:00.000Z"), Timing::InWindow);
    }

    #[test]
    fn versions_dates_streams_and_makeup() {
        let first = schedule(serde_json::json!({
            "valid_from": "2026-11-10",
            "weekly": [{"days": ["fri"], "open": "06:00", "close": "24:00", "streams": ["food"]},
                       {"days": ["fri"], "open": "05:00", "close": "24:00", "makeup": true}],
            "dates": [{"date": "2026-11-27", "windows": []}]
        }));
        let second = Schedule { reason: Some("again".into()), ..Schedule::default_hours() };
        let timetable = Timetable::new(DEFAULT_ZONE, [&first, &second]);
        let timing = |text, stream| timetable.classify(at(text), stream).timing;
        assert_eq!(timing("2026-11-06T08:30:00+08:00", Stream::Food), Timing::InWindow, "the default before");
        assert_eq!(timing("2026-11-20T23:59:59+08:00", Stream::Food), Timing::InWindow, "in_window before makeup");
        assert_eq!(timing("2026-11-20T23:59:59+08:00", Stream::Residual), Timing::Makeup);
        assert_eq!(timing("2026-11-19T08:30:00+08:00", Stream::Food), Timing::OffHours, "a Thursday");
        assert_eq!(timing("2026-11-27T08:30:00+08:00", Stream::Food), Timing::OffHours, "a date replaces the week");
        assert!(timetable.openings("2026-11-20".parse().unwrap()).len() == 1);
    }

    #[test]
    fn of_equal_valid_from_the_last_stored_holds() {
        let open = |open: &str, close: &str| {
            schedule(serde_json::json!({"valid_from": "2026-11-10",
                "weekly": [{"days": ["mon","tue","wed","thu","fri","sat","sun"], "open": open, "close": close}]}))
        };
        let timetable = Timetable::new(DEFAULT_ZONE, [&open("08:00", "09:00"), &open("10:00", "11:00")]);
        let timing = timetable.classify(at("2026-11-20T10:30:00+08:00"), Stream::Food).timing;
        assert_eq!(timing, Timing::InWindow);
        let versions = [open("08:00", "09:00"), open("10:00", "11:00")];
        assert_eq!(in_force(&versions, "2026-11-10".parse().unwrap()), Some(&versions[1]));
        assert_eq!(in_force(&versions, "2026-11-09".parse().unwrap()), None);
    }

    #[test]
    fn a_site_is_open_until_its_hours_change() {
        let timetable = Timetable::new(
            DEFAULT_ZONE,
            [&schedule(serde_json::json!({"valid_from": "2026-11-10", "weekly": [
                {"days": ["fri"], "open": "08:00", "close": "09:00"},
                {"days": ["fri"], "open": "08:30", "close": "10:00", "makeup": true},
                {"days": ["sat"], "open": "00:00", "close": "24:00"},
                {"days": ["sun"], "open": "00:00", "close": "06:00"}]}))],
        );
        let states = [
            ("2026-11-20T07:59:59+08:00", Gate::Closed, "2026-11-20T08:00:00+08:00"),
            ("2026-11-20T08:45:00+08:00", Gate::Open, "2026-11-20T09:00:00+08:00"),
            ("2026-11-20T09:00:00+08:00", Gate::Makeup, "2026-11-20T10:00:00+08:00"),
            ("2026-11-20T12:00:00+08:00", Gate::Closed, "2026-11-21T00:00:00+08:00"),
            ("2026-11-21T12:00:00+08:00", Gate::Open, "2026-11-22T06:00:00+08:00"),
        ];
        for (now, gate, next) in states {
            assert_eq!((timetable.gate(at(now)), timetable.next_change(at(now))), (gate, Some(at(next))), "{now}");
        }
        let never =
            Timetable::new(DEFAULT_ZONE, [&schedule(serde_json::json!({"valid_from": "2026-11-10", "weekly": []}))]);
        assert_eq!(never.next_change(at("2026-11-20T12:00:00+08:00")), None);
    }

    #[test]
    fn hours_that_the_clock_shows_twice_end_and_begin_twice() {
        // At 03:00 of this Sunday in Berlin it is 02:00 once more.
        let timetable = Timetable::new(
            chrono_tz::Europe::Berlin,
            [&schedule(serde_json::json!({"valid_from": "2026-10-01", "weekly": [
                {"days": ["sun"], "open": "01:00", "close": "02:15"},
                {"days": ["sun"], "open": "02:30", "close": "03:00"}]}))],
        );
        let mut time = at("2026-10-25T01:30:00+02:00");
        for next in ["02:15:00+02:00", "02:30:00+02:00", "02:15:00+01:00", "02:30:00+01:00", "03:00:00+01:00"] {
            time = timetable.next_change(time).unwrap();
            assert_eq!(time, at(&format!("2026-10-25T{next}")), "{next}");
        }
    }
}
