//! A day on a stepped clock at three sites in two zones, one of which leaves summer time: each lid, second by second.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use fenlei_logic::lid::Lid;
use fenlei_wire::config::Config;
use fenlei_wire::time::UnixMillis;
use serde_json::json;

use crate::projectors::line::Line;
use crate::support::api::{Api, instant};

/// The hours of a site on a local date, as people would say them.
type Windows = fn(NaiveDate) -> Vec<(&'static str, &'static str)>;

fn hours(_: NaiveDate) -> Vec<(&'static str, &'static str)> {
    vec![("08:00", "09:00"), ("17:00", "18:00")]
}

/// A holiday on the 25th.
fn holiday(date: NaiveDate) -> Vec<(&'static str, &'static str)> {
    if date.to_string() == "2026-10-25" { vec![("10:00", "10:30")] } else { hours(date) }
}

/// Summer time ends at 03:00 of the 25th, so 02:00 to 03:00 comes twice.
fn night(_: NaiveDate) -> Vec<(&'static str, &'static str)> {
    vec![("02:15", "02:45"), ("08:00", "09:00")]
}

const SITES: [(&str, Tz, Windows); 3] = [
    ("plain", chrono_tz::Asia::Shanghai, hours),
    ("feast", chrono_tz::Asia::Shanghai, holiday),
    ("abroad", chrono_tz::Europe::Berlin, night),
];

/// By the words of the schedule alone.
fn is_locked(zone: Tz, windows: Windows, at: DateTime<Utc>) -> bool {
    let wall = at.with_timezone(&zone).naive_local();
    let minute = format!("{:02}:{:02}", wall.hour(), wall.minute());
    !windows(wall.date()).iter().any(|(open, close)| *open <= minute.as_str() && minute.as_str() < *close)
}

async fn world() -> Api {
    let api = Api::start().await;
    api.clock.set(instant("2026-10-24T12:00:00Z"));
    api.put("organizations/north", json!({"name": "北居委会", "kind": "committee"})).await;
    api.put("communities/garden", json!({"name": "花园小区", "committee": "north"})).await;
    for (site, zone, _) in SITES {
        api.put(&format!("sites/{site}"), json!({"community": "garden", "name": site, "time_zone": zone.name()})).await;
        api.put(&format!("devices/{site}-bin"), json!({"site": site, "kind": "bin"})).await;
    }
    let window = |open: &str, close: &str| json!({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": open, "close": close});
    let weekly = [window("08:00", "09:00"), window("17:00", "18:00")];
    let feast = json!({"valid_from": "2026-10-01", "reason": "节日", "weekly": weekly,
                       "dates": [{"date": "2026-10-25", "windows": [{"open": "10:00", "close": "10:30"}]}]});
    let abroad = json!({"valid_from": "2026-10-01", "weekly": [window("02:15", "02:45"), window("08:00", "09:00")]});
    for (site, schedule) in [("feast", feast), ("abroad", abroad)] {
        let answer = api.put(&format!("sites/{site}/schedule"), schedule).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    api
}

async fn configs(line: &mut Line) -> BTreeMap<String, Config> {
    let mut told = BTreeMap::new();
    while told.len() < SITES.len() {
        let (device, message) = line.next("config").await;
        told.insert(device, serde_json::from_slice(&message.payload).unwrap());
    }
    told
}

#[tokio::test]
async fn lids_follow_the_schedule_to_the_second_also_offline() {
    let api = world().await;
    let mut line = Line::start(&api);
    // Told at noon of the 24th, and then offline until the 27th.
    let told = configs(&mut line).await;
    for (site, zone, windows) in SITES {
        let config = &told[&format!("{site}-bin")];
        let (mut lid, mut changes) = (Lid::new(), 0);
        let begin = instant("2026-10-24T12:00:00Z");
        let mut before = None;
        for second in 0..60 * 3600 {
            let now = begin + TimeDelta::seconds(second);
            let position = lid.position(Some(config), Some(UnixMillis(now.timestamp_millis())));
            assert_eq!(position.locked, is_locked(zone, windows, now), "{site} at {now}");
            changes += usize::from(before.replace(position.locked).is_some_and(|before| before != position.locked));
        }
        assert!(changes >= 6, "{site}: {changes}");
    }
}

#[tokio::test]
async fn each_edge_is_told_when_it_comes() {
    let api = world().await;
    let mut line = Line::start(&api);
    configs(&mut line).await;
    // The edges of a day from noon of the 24th in UTC, by the words of the schedules.
    let mut edges = Vec::new();
    for minute in 1..24 * 60 {
        let now = instant("2026-10-24T12:00:00Z") + TimeDelta::minutes(minute);
        for (site, zone, windows) in SITES {
            let (before, after) =
                (is_locked(zone, windows, now - TimeDelta::seconds(1)), is_locked(zone, windows, now));
            if before != after {
                edges.push((now, format!("{site}-bin"), if after { "lock" } else { "unlock" }));
            }
        }
    }
    assert_eq!(edges.len(), 4 + 2 + 6, "the half hour of the night comes twice: {edges:?}");
    while !edges.is_empty() {
        let now = edges[0].0;
        let (due, later): (Vec<_>, Vec<_>) = edges.into_iter().partition(|(at, ..)| *at == now);
        edges = later;
        // A minute before it is queued, and not sent.
        api.clock.set(now - TimeDelta::seconds(30));
        assert!(line.silent(), "before {now}");
        api.clock.set(now);
        let mut told = Vec::new();
        for _ in &due {
            let (device, command) = line.command().await;
            assert_eq!(command.get("seconds"), None);
            let expires = instant(command["expires"].as_str().unwrap());
            assert!(now < expires && expires <= now + TimeDelta::minutes(10), "{command}");
            told.push((now, device, if command["type"] == "lock" { "lock" } else { "unlock" }));
        }
        told.sort();
        let mut due = due;
        due.sort();
        assert_eq!(told, due);
    }
}
