//! A schedule as people write it, what may be wrong with it, and which version of it holds on a day.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use fenlei_wire::schedule::{DaySet, Minute, StreamSet, Window};
use fenlei_wire::vocabulary::Stream;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};

use super::object::{objects, optional_object};

/// `GET|PUT /sites/{id}/schedule`.
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
    pub(super) fn window(&self) -> Window {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(json: serde_json::Value) -> Schedule {
        serde_json::from_value(json).unwrap()
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
