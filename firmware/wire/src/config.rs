//! What a device keeps to, also offline: its zone, its schedule and its evening message. A device has no zone data of its
//! own, so the backend sends the next changes of the offset along.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_DATES, MAX_DAY_WINDOWS, MAX_TEXT_BYTES, MAX_WEEKLY, MAX_ZONE_STEPS};
use crate::schedule::{DaySet, Minute, StreamSet, Window};
use crate::time::{Date, UnixMillis};

/// Content of the `config` channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Grows with each change; a device tells which it follows.
    pub version: u32,
    /// Offsets of local time, earliest first.
    pub zone: Vec<ZoneStep, MAX_ZONE_STEPS>,
    /// When deposits are welcome.
    pub schedule: DeviceSchedule,
    /// What a projector shows when nothing else is asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evening: Option<Evening>,
}

/// From when an offset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStep {
    /// Unix seconds.
    pub from: i64,
    /// Minutes that local time is ahead of UTC.
    pub offset: i16,
}

/// A site's schedule, as much of it as a device needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSchedule {
    /// Windows by days of the week.
    pub weekly: Vec<WeeklyWindow, MAX_WEEKLY>,
    /// Dates with windows of their own.
    #[serde(default)]
    pub dates: Vec<DayOverride, MAX_DATES>,
}

/// A window on certain days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawWeekly")]
pub struct WeeklyWindow {
    /// On which days.
    pub days: DaySet,
    /// First minute of the window.
    pub open: Minute,
    /// First minute after the window.
    pub close: Minute,
    /// What it is for.
    #[serde(skip_serializing_if = "StreamSet::is_all")]
    pub streams: StreamSet,
    /// Whether it is a makeup window.
    #[serde(skip_serializing_if = "is_false")]
    pub makeup: bool,
}

/// A date whose windows replace those of its day of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOverride {
    /// The local date.
    pub date: Date,
    /// Its windows; none keeps the lids shut.
    pub windows: Vec<Window, MAX_DAY_WINDOWS>,
}

/// A projector's default message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evening {
    /// The text.
    pub text: String<MAX_TEXT_BYTES>,
    /// Local time from which it is shown.
    pub start: Minute,
    /// For how long.
    pub seconds: u32,
}

impl Config {
    /// Offset of local time at this instant, in minutes: that of the last step begun, before the first one that of the
    /// first; 0 without any.
    #[must_use]
    pub fn offset_minutes(&self, now: UnixMillis) -> i16 {
        let seconds = now.0.div_euclid(1000);
        let begun = self.zone.iter().rev().find(|step| step.from <= seconds);
        begun.or(self.zone.first()).map_or(0, |step| step.offset)
    }

    /// The windows of the local day of this instant, with the local minute of the day to look up in them.
    #[must_use]
    pub fn windows_at(&self, now: UnixMillis) -> (Vec<Window, MAX_WEEKLY>, u16) {
        let offset = self.offset_minutes(now);
        (self.schedule.windows_on(now.local_date(offset)), now.local_minute(offset))
    }
}

impl DeviceSchedule {
    /// The windows of a local date: its own if it has any entry, else those of its day of the week.
    #[must_use]
    pub fn windows_on(&self, date: Date) -> Vec<Window, MAX_WEEKLY> {
        match self.dates.iter().find(|day| day.date == date) {
            Some(day) => day.windows.iter().copied().collect(),
            None => {
                let weekday = date.weekday();
                self.weekly.iter().filter(|weekly| weekly.days.contains(weekday)).map(WeeklyWindow::window).collect()
            }
        }
    }
}

impl WeeklyWindow {
    /// The window on each of its days.
    #[must_use]
    pub const fn window(&self) -> Window {
        Window { open: self.open, close: self.close, streams: self.streams, makeup: self.makeup }
    }
}

const ENDS_BEFORE_IT_BEGINS: &str = "a window must close after it opens";

#[derive(Deserialize)]
struct RawWeekly {
    days: DaySet,
    open: Minute,
    close: Minute,
    #[serde(default)]
    streams: StreamSet,
    #[serde(default)]
    makeup: bool,
}

impl TryFrom<RawWeekly> for WeeklyWindow {
    type Error = &'static str;

    fn try_from(RawWeekly { days, open, close, streams, makeup }: RawWeekly) -> Result<Self, Self::Error> {
        if open >= close {
            return Err(ENDS_BEFORE_IT_BEGINS);
        }
        Ok(Self { days, open, close, streams, makeup })
    }
}

/// A [`Window`] as it is written: `streams` absent means all of them. Wire form only, so it is kept out of the arithmetic.
#[derive(Serialize, Deserialize)]
struct RawWindow {
    open: Minute,
    close: Minute,
    #[serde(default, skip_serializing_if = "StreamSet::is_all")]
    streams: StreamSet,
    #[serde(default, skip_serializing_if = "is_false")]
    makeup: bool,
}

impl Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { open, close, streams, makeup } = *self;
        RawWindow { open, close, streams, makeup }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RawWindow { open, close, streams, makeup } = RawWindow::deserialize(deserializer)?;
        if open >= close {
            return Err(serde::de::Error::custom(ENDS_BEFORE_IT_BEGINS));
        }
        Ok(Self { open, close, streams, makeup })
    }
}

const fn is_false(value: &bool) -> bool {
    !*value
}
