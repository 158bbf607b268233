//! What a device is told to keep to by itself, also offline: its site's clock, its windows, its evening message.
//!
//! A device has neither zone data nor room for every version of a schedule. It is told the offsets of its zone with their
//! next changes, the windows of a week as they are in force today, and each coming date on which others hold (holidays,
//! a version that begins later). That is said anew every day, so a device may be away for weeks and still keep the hours.

use chrono::{DateTime, Days, NaiveDate, Offset, TimeZone, Utc};
use fenlei_wire::config::{Config, DayOverride, DeviceSchedule, Evening, WeeklyWindow, ZoneStep};
use fenlei_wire::limits::{MAX_DATES, MAX_DAY_WINDOWS, MAX_WEEKLY, MAX_ZONE_STEPS};
use fenlei_wire::schedule::{DaySet, Minute, StreamSet, Window};
use fenlei_wire::time::Date;
use fenlei_wire::vocabulary::DeviceKind;

use super::registry::{Device, Site};
use super::timetable::Timetable;
use super::zone::{Tz, jumps, today};

/// How far ahead dates with windows of their own are looked for.
const DATES_AHEAD: u64 = 60;
/// How far ahead changes of the zone's offset are looked for.
const ZONE_AHEAD: i64 = 400;

/// What a projector shows every evening, unless a message asks for something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EveningMessage {
    /// At most 256 bytes.
    pub text: String,
    /// Local time.
    pub start: Minute,
    pub seconds: u32,
}

/// A schedule that a device cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    #[error("a device holds at most {MAX_WEEKLY} different windows of a week: merge days that have the same hours")]
    Weekly,
    #[error("a device holds at most {MAX_DAY_WINDOWS} windows of a date: {0} has more")]
    Date(NaiveDate),
}

/// What `device` is to keep to as of `now`; the version is the store's to give.
pub fn config_of(
    site: &Site,
    device: &Device,
    evening: &EveningMessage,
    now: DateTime<Utc>,
) -> Result<Config, TooMuch> {
    let evening = (device.kind == DeviceKind::Projector).then(|| Evening {
        text: evening.text.as_str().try_into().unwrap_or_default(),
        start: evening.start,
        seconds: evening.seconds,
    });
    Ok(Config { evening, ..hours_of(site, device, now)? })
}

/// The hours alone.
pub fn hours_of(site: &Site, device: &Device, now: DateTime<Utc>) -> Result<Config, TooMuch> {
    let streams = device.streams.as_ref().filter(|_| device.kind == DeviceKind::Bin);
    let streams = streams.map_or(StreamSet::ALL, |streams| streams.iter().copied().collect());
    let schedule = schedule_from(&site.timetable, streams, today(site.zone, now))?;
    Ok(Config { version: 0, zone: zone_steps(site.zone, now), schedule, evening: None })
}

/// Whether every device of a site could hold this timetable.
pub fn check(timetable: &Timetable, from: NaiveDate) -> Result<(), TooMuch> {
    schedule_from(timetable, StreamSet::ALL, from).map(drop)
}

fn schedule_from(timetable: &Timetable, streams: StreamSet, today: NaiveDate) -> Result<DeviceSchedule, TooMuch> {
    let concerns = |window: &&Window| streams.iter().any(|stream| window.streams.contains(stream));
    let windows_on = |date: NaiveDate| timetable.windows(date).iter().filter(concerns).copied().collect::<Vec<_>>();
    let mut schedule = DeviceSchedule::default();
    for (weekday, windows) in (0u8..).zip(timetable.week(today)) {
        for window in windows.iter().filter(concerns) {
            let same = schedule.weekly.iter_mut().find(|weekly| weekly.window() == *window);
            match same {
                Some(weekly) => weekly.days.insert(weekday),
                None => {
                    let Window { open, close, streams, makeup } = *window;
                    let weekly = WeeklyWindow { days: DaySet::from_iter([weekday]), open, close, streams, makeup };
                    schedule.weekly.push(weekly).map_err(|_| TooMuch::Weekly)?;
                }
            }
        }
    }
    let dates = (0..DATES_AHEAD).filter_map(|ahead| today.checked_add_days(Days::new(ahead)));
    for date in dates {
        let (day, windows) = (wire_date(date), windows_on(date));
        let weekly = schedule.windows_on(day);
        let same = weekly.len() == windows.len() && windows.iter().all(|window| weekly.contains(window));
        if !same {
            let windows = windows.as_slice().try_into().map_err(|_| TooMuch::Date(date))?;
            // What does not fit lies weeks ahead, and is told in time.
            if schedule.dates.push(DayOverride { date: day, windows }).is_err() || schedule.dates.len() == MAX_DATES {
                break;
            }
        }
    }
    Ok(schedule)
}

fn wire_date(date: NaiveDate) -> Date {
    Date::from_days(super::zone::Day::of(date).0)
}

/// The offset that holds now, as if it had always held, and its changes of the coming year.
fn zone_steps(zone: Tz, now: DateTime<Utc>) -> heapless::Vec<ZoneStep, MAX_ZONE_STEPS> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let step = |from: i64, seconds: i32| ZoneStep { from, offset: i16::try_from(seconds / 60).unwrap_or(0) };
    let mut steps = heapless::Vec::new();
    // A full list needs no more: a year has fewer changes than it holds.
    let _ = steps.push(step(0, offset(now)));
    for jump in jumps(zone, now, ZONE_AHEAD) {
        let _ = steps.push(step(jump.timestamp(), offset(jump)));
    }
    steps
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use fenlei_wire::schedule::welcomes;
    use fenlei_wire::time::UnixMillis;
    use fenlei_wire::vocabulary::{Stream, Timing};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::schedule::Schedule;

    fn evening() -> EveningMessage {
        EveningMessage {
            text: "垃圾分类,因为你".into(), start: Minute::new(18 * 60 + 30).unwrap(), seconds: 7200
        }
    }

    fn site(zone: Tz, schedules: Vec<Schedule>) -> Site {
        Site {
            key: 1,
            id: "gate".into(),
            community: "garden".into(),
            name: "Gate".into(),
            zone,
            latitude: None,
            longitude: None,
            timetable: Timetable::new(zone, &schedules),
            schedules,
        }
    }

    fn device(kind: DeviceKind, streams: Option<Vec<Stream>>) -> Device {
        let (id, site, password) = ("d".into(), "gate".into(), String::new());
        Device { key: 1, id, site, kind, name: None, streams, incarnation: 1, password }
    }

    fn schedule(json: serde_json::Value) -> Schedule {
        serde_json::from_value(json).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_week_its_holidays_and_a_version_to_come() {
        let now = schedule(serde_json::json!({"valid_from": "2026-11-01",
            "weekly": [{"days": ["mon", "tue"], "open": "08:00", "close": "09:00"},
                       {"days": ["mon"], "open": "17:00", "close": "18:00", "streams": ["hazardous"]}],
            "dates": [{"date": "2026-11-24", "windows": []}]}));
        let later = schedule(serde_json::json!({"valid_from": "2026-11-30", "weekly": []}));
        let site = site(chrono_tz::Asia::Shanghai, vec![now, later]);
        let bin = device(DeviceKind::Bin, Some(vec![Stream::Food]));
        let config = config_of(&site, &bin, &evening(), at("2026-11-23T12:00:00+08:00")).unwrap();
        assert_eq!(config.evening, None);
        assert_eq!(config.zone.as_slice(), [ZoneStep { from: 0, offset: 480 }]);
        assert_eq!(config.schedule.weekly.len(), 1, "the hazardous window is not this bin's");
        let dates: Vec<_> = config.schedule.dates.iter().map(|day| (day.date.to_string(), day.windows.len())).collect();
        assert_eq!(dates[..3], [("2026-11-24".into(), 0), ("2026-11-30".into(), 0), ("2026-12-01".into(), 0)]);
        assert_eq!(dates.len(), MAX_DATES);
        let projector = device(DeviceKind::Projector, None);
        let config = config_of(&site, &projector, &evening(), at("2026-11-23T12:00:00+08:00")).unwrap();
        assert_eq!(config.schedule.weekly.len(), 2);
        assert_eq!(config.evening.unwrap().text, "垃圾分类,因为你");
    }

    #[test]
    fn what_a_device_cannot_hold_is_named() {
        let windows = |count: usize| -> Vec<_> {
            let window = |at: usize| serde_json::json!({"open": format!("{at:02}:00"), "close": format!("{at:02}:30")});
            (0..count).map(window).collect()
        };
        let with_day = |mut window: serde_json::Value| {
            window["days"] = serde_json::json!(["mon"]);
            window
        };
        let weekly: Vec<_> = windows(17).into_iter().map(with_day).collect();
        let many = schedule(serde_json::json!({"valid_from": "2026-11-01", "weekly": weekly}));
        let from = "2026-11-23".parse().unwrap();
        assert_eq!(check(&Timetable::new(chrono_tz::UTC, [&many]), from), Err(TooMuch::Weekly));
        let dates = serde_json::json!([{"date": "2026-11-25", "windows": windows(9)}]);
        let full = schedule(serde_json::json!({"valid_from": "2026-11-01", "weekly": [], "dates": dates}));
        let date = "2026-11-25".parse().unwrap();
        assert_eq!(check(&Timetable::new(chrono_tz::UTC, [&full]), from), Err(TooMuch::Date(date)));
    }

    proptest! {
        /// A device that was told once keeps the hours of its site for weeks, over the changes of its clock.
        #[test]
        fn a_device_agrees_with_its_site(
            zone in prop::sample::select(vec![chrono_tz::Asia::Shanghai, chrono_tz::Europe::Berlin, chrono_tz::America::New_York]),
            minutes in prop::collection::vec((0u16..1430, 1u16..300, 0u8..7), 0..6),
            told in 0i64..365 * 24 * 60,
            later in 0i64..14 * 24 * 60,
        ) {
            let weekly: Vec<_> = minutes.iter().map(|(open, length, day)| {
                let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
                let days = [["mon", "tue", "wed", "thu", "fri", "sat", "sun"][usize::from(*day)]];
                serde_json::json!({"days": days, "open": text(*open), "close": text((open + length).min(1440))})
            }).collect();
            let until = serde_json::json!({"valid_from": "2026-01-01", "weekly": weekly});
            let after = serde_json::json!({"valid_from": "2026-07-01", "weekly": [],
                "dates": [{"date": "2026-07-04", "windows": [{"open": "10:00", "close": "11:00"}]}]});
            let site = site(zone, vec![schedule(until), schedule(after)]);
            let now = at("2026-01-02T00:00:00Z") + TimeDelta::minutes(told);
            let config = config_of(&site, &device(DeviceKind::Bin, None), &evening(), now).unwrap();
            let then = now + TimeDelta::minutes(later);
            let (windows, minute) = config.windows_at(UnixMillis(then.timestamp_millis()));
            let timing = site.timetable.classify(then.timestamp_millis(), Stream::Food).timing;
            prop_assert_eq!(welcomes(windows.iter(), minute, Stream::Food), timing != Timing::OffHours);
        }
    }
}
