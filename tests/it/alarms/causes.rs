//! What alarms are raised for beside what devices say: clocks, silence, hours, lids. Each is raised, and is over.

use chrono::TimeDelta;
use fenlei::domain::alarms::{Cause, Kind};
use fenlei::store::{StoreError, alarms};
use serde_json::json;

use super::world::{World, alarm};
use crate::support::api::deposit;

#[tokio::test]
async fn a_clock_that_is_ahead_is_off_from_one_event_until_a_sane_one() {
    let mut world = World::start().await;
    let ahead = |world: &World, seconds| world.now() + TimeDelta::seconds(seconds);
    world.says_at("bin/bin-1", ahead(&world, 60), json!({"type": "heartbeat"})).await;
    assert_eq!(world.open("clock").await, 0, "a minute is allowed");
    world.says_at("bin/bin-1", ahead(&world, 61), alarm("jam", false)).await;
    assert_eq!(world.open("clock").await, 1);
    let raised = world.alarms("kind=clock").await;
    assert_eq!((&raised[0]["severity"], &raised[0]["device"]), (&json!("warning"), &json!("bin-1")));
    // A late event says nothing: it may have waited.
    world.says_at("bin/bin-1", ahead(&world, -600), alarm("jam", false)).await;
    world.wait(11);
    assert_eq!(world.open("clock").await, 1);
    world.says("bin/bin-1", alarm("jam", false)).await;
    world.clears("clock").await;
}

#[tokio::test]
async fn so_is_one_whose_events_are_refused_for_their_time() {
    let mut world = World::start().await;
    for (device, minutes) in [("bin/bin-1", 6), ("camera/cam-1", -60 * 24 * 91)] {
        world.says_at(device, world.now() + TimeDelta::minutes(minutes), json!({"type": "heartbeat"})).await;
    }
    assert_eq!(world.api.get("quarantine").await.each("reason"), ["time_ahead", "time_behind"]);
    assert_eq!(world.open("clock").await, 2);
    // Right again before anybody looked, it was off all the same.
    world.says_at("quay/bin/bin-2", world.now() + TimeDelta::minutes(6), json!({"type": "heartbeat"})).await;
    world.says("quay/bin/bin-2", json!({"type": "heartbeat"})).await;
    world.look().await;
    assert_eq!(world.alarms("kind=clock&device=bin-2").await.len(), 1);
    world.wait(11);
    world.look().await;
    assert_eq!(world.alarms("kind=clock&device=bin-2&state=cleared").await.len(), 1);
    assert_eq!(world.alarms("kind=clock&state=open").await.len(), 2, "of the others nothing sane came");
}

#[tokio::test]
async fn so_is_one_that_was_never_set_or_is_behind_for_an_hour() {
    let mut world = World::start().await;
    for minute in [0, 30, 30] {
        world.wait(minute);
        world.says("camera/cam-1", json!({"type": "heartbeat", "clock": "unsynced"})).await;
        // Ten minutes late each time.
        world.says_at("bin/bin-1", world.now() - TimeDelta::minutes(10), json!({"type": "heartbeat"})).await;
    }
    assert_eq!(world.open("clock").await, 0, "not yet for longer than an hour, and three heartbeats are few");
    world.wait(1);
    world.says("camera/cam-1", json!({"type": "heartbeat", "clock": "unsynced"})).await;
    assert_eq!(world.alarms("kind=clock&device=bin-1").await.len(), 0);
    for _ in 0..2 {
        world.says_at("bin/bin-1", world.now() - TimeDelta::minutes(10), json!({"type": "heartbeat"})).await;
    }
    assert_eq!(world.open("clock").await, 2);
    for device in ["bin/bin-1", "camera/cam-1"] {
        world.says(device, json!({"type": "heartbeat"})).await;
    }
    world.look().await;
    world.wait(11);
    assert_eq!(world.open("clock").await, 0);
}

#[tokio::test]
async fn a_device_is_missed_by_its_own_habit() {
    let mut world = World::start().await;
    for _ in 0..6 {
        world.wait(5);
        world.says("bin/bin-1", json!({"type": "heartbeat"})).await;
    }
    world.says("camera/cam-1", json!({"type": "heartbeat"})).await;
    world.heard().await;
    world.wait(24);
    assert_eq!(world.open("silent").await, 0);
    world.wait(1);
    assert_eq!(world.open("silent").await, 1, "five times its usual pause");
    world.says("bin/bin-1", json!({"type": "fill", "stream": "food", "percent": 10})).await;
    world.clears("silent").await;
    // Nothing is learnt of the camera: it has a day.
    world.wait(24 * 60 - 40);
    world.look().await;
    assert_eq!(world.alarms("kind=silent&device=cam-1").await.len(), 0);
    world.wait(5);
    world.look().await;
    assert_eq!(world.alarms("kind=silent&device=cam-1").await.len(), 1);
}

#[tokio::test]
async fn nobody_is_missed_for_an_outage_of_the_backend() {
    let mut world = World::start().await;
    for _ in 0..6 {
        world.wait(1);
        world.says("bin/bin-1", json!({"type": "heartbeat"})).await;
    }
    world.heard().await;
    world.stop_jobs().await;
    world.wait(120);
    let started = Some(world.now().timestamp_millis());
    world.look_since(started).await;
    world.wait(14);
    world.look_since(started).await;
    assert_eq!(world.alarms("kind=silent").await.len(), 0, "nobody has listened for long enough");
    world.wait(1);
    world.look_since(None).await;
    assert_eq!(world.alarms("kind=silent").await.len(), 0, "nobody listens");
    world.look_since(started).await;
    assert_eq!(world.alarms("kind=silent&state=open").await.len(), 1);
    // One that was missed before still is.
    world.wait(120);
    world.look_since(Some(world.now().timestamp_millis())).await;
    world.wait(11);
    world.look_since(Some(world.now().timestamp_millis())).await;
    assert_eq!(world.alarms("kind=silent&state=open").await.len(), 1);
}

#[tokio::test]
async fn many_deposits_outside_the_hours_are_an_alarm_of_the_site() {
    let mut world = World::start().await;
    // Nine in this hour and the one before, beside an older one.
    let times = ["10:59", "11:05"].into_iter().chain(["12:00"; 8]).enumerate();
    for (seq, time) in times {
        let time = format!("2026-11-23T{time}:00+08:00");
        world.api.publish("gate/bin/bin-1", deposit(seq as u64 + 1, &time, "a")).await.unwrap();
    }
    *world.seq("bin-1") = 10;
    assert_eq!(world.open("off_hours").await, 0);
    world.says("bin/bin-1", json!({"type": "deposit", "stream": "food", "grams": 5})).await;
    assert_eq!(world.open("off_hours").await, 1);
    let raised = &world.alarms("kind=off_hours").await[0];
    assert_eq!((&raised["site"], &raised["device"]), (&json!("gate"), &json!(null)));
    assert_eq!(world.alarms("site=gate&kind=off_hours").await.len(), 1);
    assert_eq!(world.alarms("site=quay").await.len(), 0);
    world.set("23T12:59");
    assert_eq!(world.open("off_hours").await, 1);
    // From then on the one at 11:05 is out of sight.
    world.set("23T13:00");
    world.clears("off_hours").await;
}

/// What another job finds is noted in the same way.
#[tokio::test]
async fn a_lid_that_does_not_follow() {
    let world = World::start().await;
    let note = async |cause: Cause| {
        let now = world.now().timestamp_millis();
        let noted = world.api.store.write(move |session| {
            let (device, site, _) = session.registry.place("bin-1").unwrap();
            alarms::note(session.connection, (site.key, Some(device.key)), cause, now)?;
            Ok::<_, StoreError>(())
        });
        noted.await.unwrap();
    };
    note(Cause::Holds(Kind::Lid)).await;
    note(Cause::Holds(Kind::Lid)).await;
    let raised = world.alarms("kind=lid").await;
    assert_eq!((&raised[0]["severity"], &raised[0]["count"]), (&json!("warning"), &json!(1)));
    note(Cause::Gone(Kind::Lid)).await;
    world.clears("lid").await;
}
