//! Alarms: raised once, continued while they flap, cleared when they stay away; by whom they are seen and seen to.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{World, alarm};

#[tokio::test]
async fn an_alarm_that_flaps_a_thousand_times_is_one() {
    let mut world = World::start().await;
    for _ in 0..1_000 {
        world.says("bin/bin-1", alarm("jam", true)).await;
        world.says("bin/bin-1", alarm("jam", false)).await;
    }
    let raised = world.until("kind=jam", |alarms| alarms.first().is_some_and(|alarm| alarm["count"] == 1_000)).await;
    let [jam] = raised.as_slice() else { panic!("{raised:?}") };
    assert_eq!((&jam["state"], &jam["severity"], &jam["device"]), (&json!("open"), &json!("warning"), &json!("bin-1")));
    // Gone for nine minutes it may come back; for ten it is over.
    world.wait(9);
    world.says("bin/bin-1", alarm("jam", true)).await;
    world.says("bin/bin-1", alarm("jam", false)).await;
    world.until("kind=jam", |alarms| alarms[0]["count"] == 1_001).await;
    world.wait(9);
    assert_eq!(world.alarms("kind=jam").await[0]["state"], "open");
    world.wait(1);
    let over = world.until("kind=jam&state=cleared", |alarms| alarms.len() == 1).await;
    assert_eq!(over[0]["cleared"], "2026-11-23T04:19:00.000Z");
    // Within the hour it is the same again, later another one.
    world.wait(30);
    world.says("bin/bin-1", alarm("jam", true)).await;
    world.until("kind=jam&state=open", |alarms| alarms.len() == 1 && alarms[0]["count"] == 1_002).await;
    world.says("bin/bin-1", alarm("jam", false)).await;
    world.wait(11);
    world.until("kind=jam&state=cleared", |alarms| alarms.len() == 1).await;
    world.wait(62);
    world.says("bin/bin-1", alarm("jam", true)).await;
    world.until("kind=jam", |alarms| alarms.len() == 2 && alarms[0]["count"] == 1).await;
}

#[tokio::test]
async fn a_word_that_was_overtaken_by_its_end_does_not_stay() {
    let mut world = World::start().await;
    let began = world.now();
    world.wait(5);
    world.says("bin/bin-1", alarm("jam", false)).await;
    world.says_at("bin/bin-1", began, alarm("jam", true)).await;
    world.until("kind=jam&state=open", |alarms| alarms.len() == 1).await;
    world.wait(10);
    let over = world.until("kind=jam&state=cleared", |alarms| alarms.len() == 1).await;
    assert_eq!(over[0]["cleared"], "2026-11-23T04:15:00.000Z", "ten minutes after it had gone");
}

#[tokio::test]
async fn levels_sightings_gaps_and_conflicts() {
    let mut world = World::start().await;
    world.says("bin/bin-1", json!({"type": "fill", "stream": "food", "percent": 95})).await;
    world.until("kind=full&state=open", |alarms| alarms.len() == 1).await;
    // Noon is no open window: litter is an alarm, and smoke always is.
    for what in ["littering", "smoke"] {
        let sighting = json!({"type": "sighting", "what": what, "confidence": 0.8});
        world.says("camera/cam-1", sighting).await;
    }
    let seen = world.until("device=cam-1", |alarms| alarms.len() == 2).await;
    assert_eq!(seen.iter().filter(|alarm| alarm["severity"] == "critical").count(), 1);
    // A jump in the sequence that does not close, and the same name with other content.
    *world.seq("bin-1") += 10;
    world.says("bin/bin-1", json!({"type": "heartbeat"})).await;
    *world.seq("bin-1") -= 1;
    world.says("bin/bin-1", json!({"type": "heartbeat", "celsius": 7.5})).await;
    world.until("kind=conflict", |alarms| alarms.len() == 1).await;
    assert_eq!(world.open("gap").await, 0, "it may still close");
    world.wait(16);
    world.until("kind=gap&state=open", |alarms| alarms.len() == 1).await;
    world.says("bin/bin-1", json!({"type": "fill", "stream": "food", "percent": 10})).await;
    world.wait(11);
    world.until("kind=full&state=cleared", |alarms| alarms.len() == 1).await;
    world.says("bin/bin-1", json!({"type": "lost", "of_boot": 1, "from": 2, "to": 11})).await;
    world.clears("gap").await;
}

#[tokio::test]
async fn a_device_that_is_gone_is_missed_and_one_that_comes_back_is_not() {
    let world = World::start().await;
    let state = async |payload: Value| world.state("bin/bin-1", payload).await;
    state(json!({"online": true, "boot": 1})).await;
    state(json!({"online": false, "boot": 1})).await;
    world.wait(14);
    state(json!({"online": true, "boot": 2})).await;
    world.wait(20);
    state(json!({"online": false, "boot": 2})).await;
    world.wait(14);
    assert_eq!(world.open("silent").await, 0);
    world.wait(1);
    world.until("kind=silent&state=open", |alarms| alarms.len() == 1).await;
    state(json!({"online": true, "boot": 3})).await;
    world.clears("silent").await;
}

#[tokio::test]
async fn whoever_runs_the_site_sees_to_it() {
    let mut world = World::start().await;
    world.says("bin/bin-1", alarm("jam", true)).await;
    let raised = world.until("", |alarms| alarms.len() == 1).await;
    let path = format!("alarms/{}", raised[0]["id"].as_str().unwrap());
    let acknowledge = format!("{path}/acknowledge");
    let api = &world.api;
    let operator = api.token(Some("north"), &[Role::Operator]).await;
    let reader = api.token(Some("north"), &[Role::Organization]).await;
    let foreign = api.token(Some("south"), &[Role::Operator]).await;
    let scheduler = api.token(None, &[Role::Scheduler]).await;
    for (token, sees, does) in [(&reader, 200, 403), (&foreign, 404, 404), (&scheduler, 404, 404)] {
        assert_eq!(api.call(token, Method::GET, &path, None).await.status, sees);
        assert_eq!(api.call(token, Method::POST, &acknowledge, Some(json!({}))).await.status, does);
    }
    assert_eq!(api.call(&foreign, Method::GET, "alarms", None).await.each("id").len(), 0);
    let done = api.call(&operator, Method::POST, &acknowledge, Some(json!({"note": "取出了卡住的袋子"}))).await;
    assert_eq!((done.status, &done.body["note"]), (StatusCode::OK, &json!("取出了卡住的袋子")));
    assert_eq!((&done.body["state"], &done.body["acknowledged"]), (&json!("open"), &json!("2026-11-23T04:00:00.000Z")));
    let again = api.call(&operator, Method::POST, &acknowledge, None).await;
    assert_eq!(again.body["note"], "取出了卡住的袋子", "the first stands");
    let long = api.call(&operator, Method::POST, &acknowledge, Some(json!({"note": "x".repeat(501)}))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
}
