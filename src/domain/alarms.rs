//! What is raised for people to look at: kinds of alarms, how grave they are, and when they are over.
//!
//! An alarm is one for each kind and device, or site. It holds while its cause does, and [`QUIET_MS`] longer: a cause that
//! comes back in that time is the same alarm, seen once more. So an alarm that flaps is one alarm.

use fenlei_wire::vocabulary::{AlarmKind, SightingKind};
use serde::{Deserialize, Serialize};

/// How long a cause must be gone before its alarm is over, in milliseconds.
pub const QUIET_MS: i64 = 10 * 60 * 1000;
/// A cause that returns within this time after its alarm was over continues that alarm, in milliseconds.
pub const REOPENS_MS: i64 = 60 * 60 * 1000;
/// How long something seen once is taken to last, in milliseconds.
pub const SEEN_MS: i64 = 60 * 60 * 1000;
/// How long a device may be away after its last will, or a gap in its events stay open, in milliseconds.
pub const PATIENCE_MS: i64 = 15 * 60 * 1000;
/// From how many deposits outside the hours on they are many: more than half of all must be, too.
const MANY_OFF_HOURS: i64 = 10;
/// A bin overflows from this fill on, in percent,
const FULL_PERCENT: f64 = 90.0;
/// and no longer below this one.
const ROOM_PERCENT: f64 = 80.0;
/// How sure a camera must be of what it saw.
const SURE: f64 = 0.5;

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Full,
    Fire,
    Jam,
    Tilt,
    Tamper,
    LowBattery,
    Sensor,
    /// Waste beside the bins, seen by a camera while no window was open.
    Littering,
    /// More than half of a site's deposits, and 10 at least, were outside the hours.
    OffHours,
    /// Not heard of since its last will, or for longer than its habit.
    Silent,
    /// Events that have not come though later ones have.
    Gap,
    /// An event came again under its name with other content.
    Conflict,
    /// A clock that is ahead, behind, or was never set.
    Clock,
    /// A bin whose lid does not follow its hours.
    Lid,
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::Full,
        Self::Fire,
        Self::Jam,
        Self::Tilt,
        Self::Tamper,
        Self::LowBattery,
        Self::Sensor,
        Self::Littering,
        Self::OffHours,
        Self::Silent,
        Self::Gap,
        Self::Conflict,
        Self::Clock,
        Self::Lid,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Fire => "fire",
            Self::Jam => "jam",
            Self::Tilt => "tilt",
            Self::Tamper => "tamper",
            Self::LowBattery => "low_battery",
            Self::Sensor => "sensor",
            Self::Littering => "littering",
            Self::Silent => "silent",
            Self::Gap => "gap",
            Self::Conflict => "conflict",
            Self::OffHours => "off_hours",
            Self::Clock => "clock",
            Self::Lid => "lid",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub const fn severity(self) -> Severity {
        match self {
            Self::Fire => Severity::Critical,
            // By a clock that is off every deposit may count as of other hours.
            Self::Full | Self::Jam | Self::Tilt | Self::Tamper | Self::Silent | Self::Clock | Self::Lid => {
                Severity::Warning
            }
            Self::LowBattery | Self::Sensor | Self::Littering | Self::OffHours | Self::Gap | Self::Conflict => {
                Severity::Info
            }
        }
    }

    /// A camera sees something once and does not see it go.
    pub const fn is_seen_once(self) -> bool {
        matches!(self, Self::Littering | Self::Conflict)
    }
}

/// How grave an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// By which the store compares them.
    pub const fn rank(self) -> i64 {
        self as i64
    }
}

/// Whether the cause of an alarm holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    /// 10 minutes after its cause was gone.
    Cleared,
}

/// An alarm as it is shown: one for each kind and device, or site, however often its cause comes and goes within
/// minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Alarm)]
pub struct AlarmView {
    pub id: String,
    pub kind: Kind,
    pub severity: Severity,
    pub site: String,
    /// Null: it is of the site as a whole.
    #[schema(required = true)]
    pub device: Option<String>,
    pub state: State,
    #[schema(format = DateTime)]
    pub raised: String,
    /// When its cause was seen last.
    #[schema(format = DateTime)]
    pub last: String,
    /// How often its cause came.
    pub count: i64,
    #[schema(format = DateTime)]
    pub cleared: Option<String>,
    #[schema(format = DateTime)]
    pub acknowledged: Option<String>,
    pub note: Option<String>,
}

/// What is known of the cause of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Holds(Kind),
    Gone(Kind),
}

/// What a device's own alarm says.
pub fn of_device(alarm: AlarmKind, active: bool) -> Cause {
    let kind = match alarm {
        AlarmKind::Full => Kind::Full,
        AlarmKind::Fire => Kind::Fire,
        AlarmKind::Jam => Kind::Jam,
        AlarmKind::Tilt => Kind::Tilt,
        AlarmKind::Tamper => Kind::Tamper,
        AlarmKind::LowBattery => Kind::LowBattery,
        AlarmKind::Sensor => Kind::Sensor,
    };
    if active { Cause::Holds(kind) } else { Cause::Gone(kind) }
}

/// What a fill level says; between the two limits nothing changes.
pub fn of_fill(percent: f64) -> Option<Cause> {
    if percent >= FULL_PERCENT {
        Some(Cause::Holds(Kind::Full))
    } else if percent < ROOM_PERCENT {
        Some(Cause::Gone(Kind::Full))
    } else {
        None
    }
}

/// What a camera's sighting says; `open`: a window was open, so that people were about.
pub fn of_sighting(what: SightingKind, confidence: f64, open: bool) -> Option<Cause> {
    let kind = match what {
        SightingKind::Smoke => Kind::Fire,
        SightingKind::Overflow => Kind::Full,
        SightingKind::Littering | SightingKind::BagOutside | SightingKind::Scattered if !open => Kind::Littering,
        SightingKind::Littering | SightingKind::BagOutside | SightingKind::Scattered => return None,
    };
    (confidence >= SURE).then_some(Cause::Holds(kind))
}

/// What the deposits of a site in this hour and the one before say.
pub fn of_off_hours(off_hours: i64, deposits: i64) -> Cause {
    let many = off_hours >= MANY_OFF_HOURS && 2 * off_hours > deposits;
    if many { Cause::Holds(Kind::OffHours) } else { Cause::Gone(Kind::OffHours) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deposits_outside_the_hours_are_many_from_ten_and_half_of_all_on() {
        assert_eq!(of_off_hours(9, 9), Cause::Gone(Kind::OffHours));
        assert_eq!(of_off_hours(10, 20), Cause::Gone(Kind::OffHours));
        assert_eq!(of_off_hours(10, 19), Cause::Holds(Kind::OffHours));
    }

    #[test]
    fn a_fill_level_between_the_limits_changes_nothing() {
        assert_eq!(of_fill(90.0), Some(Cause::Holds(Kind::Full)));
        assert_eq!((of_fill(89.9), of_fill(80.0)), (None, None));
        assert_eq!(of_fill(79.9), Some(Cause::Gone(Kind::Full)));
    }

    #[test]
    fn litter_is_an_alarm_in_closed_hours_and_smoke_always() {
        assert_eq!(of_sighting(SightingKind::BagOutside, 0.9, false), Some(Cause::Holds(Kind::Littering)));
        assert_eq!(of_sighting(SightingKind::BagOutside, 0.9, true), None);
        assert_eq!(of_sighting(SightingKind::Smoke, 0.9, true), Some(Cause::Holds(Kind::Fire)));
        assert_eq!(of_sighting(SightingKind::Smoke, 0.4, true), None);
    }

    #[test]
    fn every_kind_has_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
