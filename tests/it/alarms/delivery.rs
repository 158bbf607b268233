//! Each notice reaches its webhook once it can, in order, and no storm does.

use serde_json::{Value, json};

use super::receiver::{BROKEN, OK, Posted, Receiver, Reply};
use super::world::{World, alarm};

fn events(posted: &[Posted]) -> Vec<String> {
    let event = |posted: &Posted| {
        let json = posted.json();
        format!("{} {}", json["event"].as_str().unwrap(), json["alarm"]["kind"].as_str().unwrap())
    };
    posted.iter().map(event).collect()
}

fn ids(posted: &[Posted]) -> Vec<Value> {
    let mut ids: Vec<_> = posted.iter().map(|posted| posted.json()["id"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    ids
}

#[tokio::test]
async fn an_alarm_that_flaps_a_thousand_times_is_told_twice() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let hook = world.hook(json!({"url": receiver.url(""), "format": "generic"})).await;
    for _ in 0..985 {
        world.says("bin/bin-1", alarm("jam", true)).await;
        world.says("bin/bin-1", alarm("jam", false)).await;
    }
    // And slowly, so that it clears each time and comes back within the hour.
    for _ in 0..15 {
        world.heard().await;
        world.wait(10);
        world.look().await;
        assert_eq!(world.alarms("kind=jam&state=cleared").await.len(), 1);
        world.wait(40);
        world.look().await;
        world.says("bin/bin-1", alarm("jam", true)).await;
        world.says("bin/bin-1", alarm("jam", false)).await;
    }
    world.heard().await;
    let flapped = world.alarms("kind=jam").await;
    assert_eq!((flapped.len(), &flapped[0]["count"]), (1, &json!(1_000)));
    world.told(&hook).await;
    assert_eq!(events(&receiver.posted()), ["raised jam"]);
    world.wait(10);
    world.look().await;
    world.wait(59);
    world.look().await;
    assert_eq!(world.delivery(&hook, |_| true).await["waiting"], 0, "it may still come back");
    world.wait(1);
    world.look().await;
    let posted = receiver.until(2).await;
    world.told(&hook).await;
    assert_eq!(events(&posted), ["raised jam", "cleared jam"]);
    assert_eq!(posted[1].json()["alarm"]["count"], 1_000);
    // The next one is another.
    world.says("bin/bin-1", alarm("jam", true)).await;
    assert_eq!(events(&receiver.until(3).await)[2], "raised jam");
}

#[tokio::test]
async fn a_webhook_that_is_down_for_an_hour_gets_each_alarm_once_and_in_order() {
    let mut world = World::start().await;
    let mut receiver = Receiver::down();
    let hook = world.hook(json!({"url": receiver.url(""), "format": "generic", "severity": "info"})).await;
    let kinds = ["jam", "fire", "tilt", "tamper", "sensor", "low_battery"];
    for (tried, kind) in kinds.iter().enumerate() {
        world.says("bin/bin-1", alarm(kind, true)).await;
        world.heard().await;
        // The waits between attempts are still shorter than this.
        world.wait(10);
        world.delivery(&hook, |delivery| delivery["failures"].as_u64().unwrap() > tried as u64).await;
    }
    let down = world.delivery(&hook, |delivery| delivery["waiting"] == 6).await;
    assert_eq!(down["last_status"], "no connection");
    receiver.up().await;
    // The longest that it waits.
    world.wait(30);
    let posted = receiver.until(6).await;
    world.told(&hook).await;
    assert_eq!(events(&receiver.posted()), kinds.map(|kind| format!("raised {kind}")));
    assert_eq!(ids(&posted).len(), 6);
}

#[tokio::test]
async fn a_restart_in_the_middle_forgets_nothing() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.reply(BROKEN);
    let hook = world.hook(json!({"url": receiver.url(""), "format": "generic"})).await;
    world.says("bin/bin-1", alarm("jam", true)).await;
    world.delivery(&hook, |delivery| delivery["failures"] == 1).await;
    world.stop_jobs().await;
    // Said while nobody looks.
    world.says("bin/bin-1", alarm("fire", true)).await;
    let tried = receiver.posted();
    receiver.reply(OK);
    world.start_jobs();
    world.heard().await;
    world.wait(1);
    let posted = receiver.until(tried.len() + 2).await;
    world.told(&hook).await;
    assert_eq!(events(&posted[tried.len()..]), ["raised jam", "raised fire"]);
    assert_eq!(posted[0].body, posted[tried.len()].body, "what is sent again is the same, its id included");
}

#[tokio::test]
async fn at_night_only_what_is_critical_is_told() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let quiet = json!({"from": "22:00", "until": "07:00"});
    let hook = world.hook(json!({"url": receiver.url(""), "format": "generic", "quiet": quiet})).await;
    world.set("23T22:00");
    world.says("bin/bin-1", alarm("jam", true)).await;
    world.says("bin/bin-1", alarm("fire", true)).await;
    assert_eq!(events(&receiver.until(1).await), ["raised fire"]);
    world.set("24T06:59");
    world.says("camera/cam-1", alarm("fire", true)).await;
    assert_eq!(events(&receiver.until(2).await)[1], "raised fire");
    world.delivery(&hook, |delivery| delivery["waiting"] == 1).await;
    world.set("24T07:00");
    assert_eq!(events(&receiver.until(3).await)[2], "raised jam");
    world.told(&hook).await;
}

#[tokio::test]
async fn a_robot_gets_twenty_at_once_and_a_message_in_three_seconds() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.reply(BROKEN);
    let hook = world.hook(json!({"url": receiver.url("send"), "format": "dingtalk", "secret": "SEC"})).await;
    for number in 10..35 {
        world.api.put(&format!("devices/bin-{number}"), json!({"site": "gate", "kind": "bin"})).await;
        world.says(&format!("bin/bin-{number}"), alarm("jam", true)).await;
    }
    world.heard().await;
    world.delivery(&hook, |delivery| delivery["waiting"] == 25 && delivery["failures"] == 1).await;
    let tried = receiver.posted().len();
    receiver.reply(OK);
    world.wait(60);
    receiver.until(tried + 1).await;
    world.delivery(&hook, |delivery| delivery["waiting"] == 5).await;
    let passing = async {
        while receiver.posted().len() < tried + 2 {
            world.wait_seconds(1);
            tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), passing).await.expect("the rest comes");
    let posted = receiver.posted();
    let [first, second] = &posted[tried..] else { panic!("{posted:?}") };
    let lines = |posted: &Posted| posted.json()["markdown"]["text"].as_str().unwrap().matches("卡住").count();
    assert_eq!((lines(first), lines(second)), (20, 5));
    assert_eq!(first.json()["markdown"]["title"], "20 条告警");
    let at = |posted: &Posted| posted.query("timestamp").unwrap().parse::<i64>().unwrap();
    assert!(at(second) - at(first) >= 3_000, "{} after {}", at(second), at(first));
}

#[tokio::test]
async fn a_receiver_is_waited_for_as_it_asks_and_given_up_after_three_days() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.reply(Reply { status: 429, retry_after: Some("7200"), ..BROKEN });
    let hook = world.hook(json!({"url": receiver.url(""), "format": "generic"})).await;
    world.says("bin/bin-1", alarm("jam", true)).await;
    let failing = world.delivery(&hook, |delivery| delivery["failures"] == 1).await;
    assert_eq!(failing["last_status"], "HTTP 429");
    receiver.reply(Reply { status: 302, ..BROKEN });
    world.wait(120);
    let failing = world.delivery(&hook, |delivery| delivery["failures"] == 2).await;
    assert_eq!(
        (&failing["last_attempt"], &failing["last_status"]),
        (&json!("2026-11-23T06:00:00.000Z"), &json!("HTTP 302"))
    );
    world.wait(70 * 60 - 1);
    world.delivery(&hook, |delivery| delivery["failures"] == 3 && delivery["waiting"] != 0).await;
    world.wait(60);
    let given_up = world.delivery(&hook, |delivery| delivery["given_up"] == 1).await;
    assert_eq!(given_up["last_success"], json!(null));
    assert_eq!(receiver.posted().len(), 4);
    let metrics =
        world.api.client.get(format!("{}/metrics", world.api.base)).send().await.unwrap().text().await.unwrap();
    for outcome in ["failed", "given_up"] {
        assert!(metrics.contains(&format!("fenlei_alarm_notices_total{{outcome=\"{outcome}\"}}")), "{metrics}");
    }
}
