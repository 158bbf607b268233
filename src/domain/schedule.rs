//! When a site is open: versions of its schedule, which of them holds on a day, and how a deposit is timed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use fenlei_wire::schedule::{DaySet, Minute, StreamSet, Window, timing};
use fenlei_wire::vocabulary::{Stream, Timing};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};

use super::object::{objects, optional_object};
use super::zone::{Local, Tz, comes_to, jumps, local};

/// A schedule as people write it: `GET|PUT /sites/{id}/schedule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({"valid_from": "2026-11-01", "reason": "居民代表会议商定",
    "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": "07:30", "close": "09:00"}],
    "dates": [{"date": "2027-01-01", "windows": [{"open": "08:00", "close": "10:00"}]}]}))]
pub struct Schedule {
    /// The first local day on which it holds.
    #[schema(value_type = String, format = Date, example = "2026-11-01")]
    pub valid_from: NaiveDate,
    /// Why it was changed, and who agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The meeting that agreed on it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_object")]
    pub meeting: Option<Meeting>,
    pub weekly: Vec<WeeklyWindow>,
    /// Days on which other windows hold instead of the weekly ones.
    #[serde(default, deserialize_with = "objects")]
    pub dates: Vec<DateWindows>,
}

/// A meeting of residents about the hours of their site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Meeting {
    #[schema(value_type = String, format = Date, example = "2026-10-18")]
    pub date: NaiveDate,
    /// What residents suggested, and what was agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WeeklyWindow {
    #[schema(schema_with = days)]
    pub days: DaySet,
    #[serde(flatten)]
    pub window: DayWindow,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DateWindows {
    #[schema(value_type = String, format = Date, example = "2027-01-01")]
    pub date: NaiveDate,
    #[serde(deserialize_with = "objects")]
    pub windows: Vec<DayWindow>,
}

/// At least one day of the week.
fn days() -> Array {
    some_of(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
}

/// At least one stream, or `null` for all of them.
fn streams() -> Array {
    let mut streams = some_of(&Stream::ALL.iter().map(|stream| stream.as_str()).collect::<Vec<_>>());
    streams.schema_type = SchemaType::from_iter([Type::Array, Type::Null]);
    streams
}

fn some_of(words: &[&str]) -> Array {
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build();
    ArrayBuilder::new().items(word).min_items(Some(1)).build()
}

/// A span of a day: `[open, close)` on the local clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DayWindow {
    #[schema(value_type = String, example = "08:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub open: Minute,
    /// `24:00` closes at midnight.
    #[schema(value_type = String, example = "09:00", pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    pub close: Minute,
    /// The streams it is open for; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = streams, required = false)]
    pub streams: Option<StreamSet>,
    /// Late deposits are allowed, and counted apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub makeup: bool,
}

impl DayWindow {
    fn window(&self) -> Window {
        Window {
            open: self.open,
            close: self.close,
            streams: self.streams.unwrap_or(StreamSet::ALL),
            makeup: self.makeup,
        }
    }
}

/// What is wrong with a schedule, in the words of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("`{at}` closes at {close}, not after it opens at {open}: windows lie within a day")]
    Reversed { at: String, open: Minute, close: Minute },
    #[error("`dates` names {0} twice: give each date once, with all its windows")]
    DateTwice(NaiveDate),
    #[error("`{0}` has more than {MAX_WINDOWS} windows")]
    TooMany(&'static str),
    #[error("`{0}` is longer than {MAX_TEXT} bytes")]
    TooLong(&'static str),
    #[error("{0} is no date of a calendar: years have four digits")]
    FarOff(NaiveDate),
}

const MAX_WINDOWS: usize = 500;
/// The most bytes of a reason, and of a note of a meeting.
pub const MAX_TEXT: usize = 2_000;

impl Schedule {
    /// The hours that hold before a site's first schedule: 08:00–09:00 and 17:00–18:00 every day.
    pub fn default_hours() -> Self {
        let window = |open: u16, close: u16| WeeklyWindow {
            days: DaySet::ALL,
            window: DayWindow {
                open: Minute::new(open * 60).unwrap_or(Minute::END_OF_DAY),
                close: Minute::new(close * 60).unwrap_or(Minute::END_OF_DAY),
                streams: None,
                makeup: false,
            },
        };
        Self {
            valid_from: NaiveDate::default(),
            reason: None,
            meeting: None,
            weekly: vec![window(8, 9), window(17, 18)],
            dates: Vec::new(),
        }
    }

    pub fn check(&self) -> Result<(), ScheduleError> {
        let note = self.meeting.as_ref().and_then(|meeting| meeting.note.as_ref());
        for (name, text) in [("reason", self.reason.as_ref()), ("meeting.note", note)] {
            if text.is_some_and(|text| text.len() > MAX_TEXT) {
                return Err(ScheduleError::TooLong(name));
            }
        }
        let met = self.meeting.as_ref().map(|meeting| meeting.date);
        let dates = std::iter::once(self.valid_from).chain(met);
        let mut dates = dates.chain(self.dates.iter().map(|date| date.date));
        if let Some(far) = dates.find(|date| !(1..=9999).contains(&date.year())) {
            return Err(ScheduleError::FarOff(far));
        }
        if self.weekly.len() > MAX_WINDOWS {
            return Err(ScheduleError::TooMany("weekly"));
        }
        if self.dates.iter().map(|date| date.windows.len() + 1).sum::<usize>() > MAX_WINDOWS {
            return Err(ScheduleError::TooMany("dates"));
        }
        for (index, weekly) in self.weekly.iter().enumerate() {
            check_window(&weekly.window, || format!("weekly[{index}]"))?;
        }
        let mut seen = BTreeSet::new();
        for (index, date) in self.dates.iter().enumerate() {
            if !seen.insert(date.date) {
                return Err(ScheduleError::DateTwice(date.date));
            }
            for (nested, window) in date.windows.iter().enumerate() {
                check_window(window, || format!("dates[{index}].windows[{nested}]"))?;
            }
        }
        Ok(())
    }
}

/// The version in force on a day: the one with the greatest `valid_from` not after it, of equal ones the last stored.
pub fn in_force(versions: &[Schedule], on: NaiveDate) -> Option<&Schedule> {
    versions.iter().filter(|version| version.valid_from <= on).max_by_key(|version| version.valid_from)
}

fn check_window(window: &DayWindow, at: impl Fn() -> String) -> Result<(), ScheduleError> {
    if window.open < window.close {
        Ok(())
    } else {
        Err(ScheduleError::Reversed { at: at(), open: window.open, close: window.close })
    }
}

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
    use super::*;
    use crate::domain::zone::DEFAULT_ZONE;

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

    #[test]
    fn mistakes_are_named_where_they_stand() {
        let reversed = schedule(serde_json::json!({"valid_from": "2026-11-10",
            "weekly": [{"days": ["mon"], "open": "22:00", "close": "02:00"}]}));
        assert_eq!(
            reversed.check().unwrap_err().to_string(),
            "`weekly[0]` closes at 02:00, not after it opens at 22:00: windows lie within a day"
        );
        let twice = schedule(serde_json::json!({"valid_from": "2026-11-10", "weekly": [],
            "dates": [{"date": "2027-01-01", "windows": []}, {"date": "2027-01-01", "windows": []}]}));
        assert!(twice.check().unwrap_err().to_string().contains("2027-01-01 twice"));
    }
}
