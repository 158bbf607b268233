//! A lid over its days: by schedule, by order, and without a clock.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_logic::lid::{Lid, Position};
use fenlei_wire::command::CommandBody;
use fenlei_wire::config::Config;
use fenlei_wire::json;
use fenlei_wire::time::UnixMillis;
use proptest::prelude::*;

fn config(json: &str) -> Config {
    json::from_slice(json.as_bytes()).unwrap()
}

/// Berlin at the end of its summer time: 2026-10-25, 03:00 becomes 02:00.
fn berlin() -> Config {
    config(
        r#"{"version":1,"zone":[{"from":0,"offset":120},{"from":1792890000,"offset":60}],
            "schedule":{"weekly":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"open":"08:00","close":"09:00"}],
                        "dates":[{"date":"2026-10-26","windows":[{"open":"10:00","close":"24:00"}]},
                                 {"date":"2026-10-27","windows":[{"open":"00:00","close":"01:00"}]}]}}"#,
    )
}

fn at(text: &str) -> UnixMillis {
    UnixMillis::parse_rfc3339(text).unwrap()
}

fn edges(config: &Config, from: &str, until: &str) -> Vec<(bool, String)> {
    let (mut lid, mut now, mut edges) = (Lid::new(), at(from), Vec::new());
    while let Some(next) = lid.next_change(Some(config), now).filter(|next| *next < at(until)) {
        let before = lid.position(Some(config), Some(UnixMillis(next.0 - 1)));
        let after = lid.position(Some(config), Some(next));
        assert_ne!(before.locked, after.locked);
        let local = UnixMillis(next.0 + i64::from(config.offset_minutes(next)) * 60_000);
        edges.push((after.locked, format!("{} {:04}", local.local_date(0), local.local_minute(0))));
        now = next;
    }
    edges
}

#[test]
fn it_keeps_the_hours_over_a_change_of_the_clock_and_on_dates_of_their_own() {
    let found = edges(&berlin(), "2026-10-24T12:00:00+02:00", "2026-10-28T12:00:00+01:00");
    let wanted = [
        (false, "2026-10-25 0480"),
        (true, "2026-10-25 0540"),
        (false, "2026-10-26 0600"),
        // From the 26th until 24:00 straight into the 27th from 00:00.
        (true, "2026-10-27 0060"),
        (false, "2026-10-28 0480"),
        (true, "2026-10-28 0540"),
    ];
    assert_eq!(found, wanted.map(|(locked, when)| (locked, when.to_owned())));
}

#[test]
fn an_order_without_a_time_holds_until_the_next_edge_or_the_next_schedule() {
    let (config, mut lid) = (berlin(), Lid::new());
    let noon = at("2026-10-24T12:00:00+02:00");
    assert!(lid.obey(&CommandBody::Unlock { seconds: None }, Some(&config), noon));
    assert_eq!(lid.position(Some(&config), Some(noon)), Position { locked: false, ordered: true });
    assert_eq!(lid.next_change(Some(&config), noon), Some(at("2026-10-25T08:00:00+01:00")));
    let (before, after) = (at("2026-10-25T07:59:59.999+01:00"), at("2026-10-25T09:00:00+01:00"));
    assert_eq!(lid.position(Some(&config), Some(before)), Position { locked: false, ordered: true });
    assert_eq!(lid.position(Some(&config), Some(after)), Position { locked: true, ordered: false });
    lid.obey(&CommandBody::Unlock { seconds: None }, Some(&config), after);
    lid.reconfigured();
    assert_eq!(lid.position(Some(&config), Some(after)), Position { locked: true, ordered: false });
}

#[test]
fn an_order_with_a_time_holds_for_that_time_over_edges_schedules_and_resets() {
    let (config, mut lid) = (berlin(), Lid::new());
    let noon = at("2026-10-24T12:00:00+02:00");
    lid.obey(&CommandBody::Unlock { seconds: Some(86_400) }, Some(&config), noon);
    lid.reconfigured();
    let mut lid = Lid::restored(lid.order());
    let day_after = at("2026-10-25T10:59:59.999+01:00");
    assert_eq!(lid.position(Some(&config), Some(day_after)), Position { locked: false, ordered: true });
    let over = at("2026-10-25T11:00:00+01:00");
    assert_eq!(lid.position(Some(&config), Some(over)), Position { locked: true, ordered: false });
    assert!(!lid.obey(&CommandBody::Clear, Some(&config), over), "no command for a lid");
}

#[test]
fn who_cannot_know_lets_people_in() {
    let mut lid = Lid::new();
    assert!(!lid.position(None, Some(at("2026-10-24T12:00:00Z"))).locked);
    assert!(!lid.position(Some(&berlin()), None).locked);
    lid.obey(&CommandBody::Lock { seconds: None }, None, UnixMillis(0));
    assert!(lid.position(None, None).locked, "but does as it is told");
}

proptest! {
    /// Between now and the next change nothing changes; at it something does.
    #[test]
    fn the_next_change_is_the_next(
        windows in prop::collection::vec((0u16..1439, 1u16..1440, 1u8..128), 0..6),
        now in 0i64..15 * 24 * 3600,
        probes in prop::collection::vec(0.0f64..1.0, 20),
    ) {
        const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let weekly: Vec<_> = windows.iter().map(|(open, length, days)| {
            let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let days: Vec<_> = (0..7).filter(|day| days & (1 << day) != 0).map(|day| NAMES[day]).collect();
            serde_json::json!({"days": days, "open": text(*open), "close": text((open + length).min(1440))})
        }).collect();
        let zone = serde_json::json!([{"from": 0, "offset": 120}, {"from": 1_792_890_000, "offset": 60}]);
        let config = config(&serde_json::json!({"version": 1, "zone": zone, "schedule": {"weekly": weekly}}).to_string());
        let mut lid = Lid::new();
        let now = UnixMillis(at("2026-10-18T00:00:00Z").0 + now * 1000);
        let before = lid.position(Some(&config), Some(now));
        let next = lid.next_change(Some(&config), now);
        let last = next.map_or(now.0 + 7 * 86_400_000, |next| next.0 - 1);
        for probe in probes {
            let between = UnixMillis(now.0 + ((last - now.0) as f64 * probe) as i64);
            prop_assert_eq!(lid.position(Some(&config), Some(between)), before);
        }
        prop_assert_eq!(lid.position(Some(&config), Some(UnixMillis(last))), before);
        if let Some(next) = next {
            prop_assert_ne!(lid.position(Some(&config), Some(next)), before);
        }
    }
}
