//! The same over real brokers, with a projector that speaks real MQTT.

use std::sync::Arc;

use chrono::TimeDelta;
use fenlei::clock::{Clock, SharedClock, SystemClock};
use fenlei::simulate::fleet::{Broker, Fleet, Sources};
use fenlei_wire::vocabulary::Channel;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::mqtt::world::{BOTH, Device, PATIENCE, World};
use crate::support::folder::Folder;

async fn projector(world: &World) -> Device {
    let mut device = Device::connect(world.options(&world.beam)).await.unwrap();
    assert!(device.subscribe(&world.beam.topic(Channel::Command)).await);
    device
}

async fn command(device: &mut Device) -> Value {
    let (topic, command) = device.message().await;
    assert!(topic.ends_with("/command"), "{topic}");
    command
}

#[tokio::test]
async fn a_projector_shows_what_it_is_told_and_says_so_though_the_backend_dies_meanwhile() {
    for by in BOTH {
        let mut world = World::start(by).await;
        let mut device = projector(&world).await;
        let made =
            world.make("projectors/messages", json!({"text": "垃圾分类,因为你", "target": {"device": "beam"}})).await;
        let shown = command(&mut device).await;
        assert_eq!((&shown["type"], &shown["text"]), (&json!("display"), &json!("垃圾分类,因为你")), "{by:?}");
        drop(device);
        world.backend.kill();
        world.backend.start_again();
        world.backend.ready().await;
        let mut device = projector(&world).await;
        let birth = json!({"online": true, "boot": 1}).to_string();
        assert!(device.publish(&world.beam.topic(Channel::State), true, birth).await);
        assert_eq!(command(&mut device).await["id"], shown["id"], "{by:?}: under its id, so that it is shown once");
        let event = json!({"boot": 1, "seq": 1, "time": SystemClock.now().to_rfc3339(), "type": "display",
                           "command": shown["id"], "status": "displayed"});
        assert!(device.publish(&world.beam.topic(Channel::Event), false, event.to_string()).await);
        let path = format!("projectors/messages/{}", made["id"].as_str().unwrap());
        let seen = world.until_at(&path, |seen| seen["commands"][0]["state"] == "displayed").await;
        let steps = seen["commands"][0]["steps"].as_array().unwrap().iter().map(|step| step["state"].clone());
        assert_eq!(steps.collect::<Vec<_>>(), ["queued", "sent", "displayed"], "{by:?}");
    }
}

/// Connects while the broker may still be starting.
async fn projector_at_last(world: &World) -> Device {
    let connecting = async {
        loop {
            match Device::connect(world.options(&world.beam)).await {
                Ok(device) => return device,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    let mut device = tokio::time::timeout(PATIENCE, connecting).await.expect("the broker is back");
    assert!(device.subscribe(&world.beam.topic(Channel::Command)).await);
    device
}

#[tokio::test]
async fn what_an_outage_of_the_broker_outlasts_is_never_shown_and_the_next_message_is() {
    for by in BOTH {
        let mut world = World::start(by).await;
        let at = SystemClock.now() + TimeDelta::seconds(1);
        let asked = json!({"text": "错过", "target": {"device": "beam"}, "at": at.to_rfc3339(), "seconds": 1});
        let missed = world.make("projectors/messages", asked).await;
        world.lose_broker();
        // The evening passes meanwhile; the backend beside Mosquitto runs on and would have sent it.
        while SystemClock.now() < at + TimeDelta::seconds(1) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        world.regain_broker().await;
        let mut device = projector_at_last(&world).await;
        world.make("projectors/messages", json!({"text": "今晚", "target": {"device": "beam"}, "seconds": 600})).await;
        assert_eq!(command(&mut device).await["text"], "今晚", "{by:?}");
        let path = format!("projectors/messages/{}", missed["id"].as_str().unwrap());
        world.until_at(&path, |seen| seen["commands"][0]["state"] == "expired").await;
    }
}

#[tokio::test]
async fn each_end_of_a_command_comes_back_over_a_real_broker() {
    for by in BOTH {
        let world = World::start(by).await;
        let mut device = projector(&world).await;
        let mut seq = 0;
        for (answers, steps) in [
            (vec!["accepted", "displayed"], vec!["queued", "sent", "accepted", "displayed"]),
            (vec!["accepted", "failed"], vec!["queued", "sent", "accepted", "failed"]),
            (vec!["refused"], vec!["queued", "sent", "refused"]),
        ] {
            let asked = json!({"text": answers[0], "target": {"device": "beam"}, "seconds": 600});
            let made = world.make("projectors/messages", asked).await;
            let told = command(&mut device).await;
            for status in answers {
                seq += 1;
                let event = json!({"boot": 1, "seq": seq, "time": SystemClock.now().to_rfc3339(), "type": "display",
                                   "command": told["id"], "status": status});
                assert!(device.publish(&world.beam.topic(Channel::Event), false, event.to_string()).await);
            }
            let path = format!("projectors/messages/{}", made["id"].as_str().unwrap());
            let last = steps[steps.len() - 1];
            let seen = world.until_at(&path, |seen| seen["commands"][0]["state"] == last).await;
            let found = seen["commands"][0]["steps"].as_array().unwrap().iter().map(|step| step["state"].clone());
            assert_eq!(found.collect::<Vec<_>>(), steps, "{by:?}");
        }
        // One that nobody answers is sent until it expires, and then no more: what comes next is another.
        let asked = json!({"text": "无人应答", "target": {"device": "beam"}, "seconds": 1});
        let silent = world.make("projectors/messages", asked).await;
        assert_eq!(command(&mut device).await["text"], "无人应答");
        let path = format!("projectors/messages/{}", silent["id"].as_str().unwrap());
        let seen = world.until_at(&path, |seen| seen["commands"][0]["state"] == "expired").await;
        assert_eq!(seen["commands"][0]["steps"].as_array().unwrap().len(), 3, "{by:?}: queued, sent, expired");
        world.make("projectors/messages", json!({"text": "下一条", "target": {"device": "beam"}})).await;
        assert_eq!(command(&mut device).await["text"], "下一条", "{by:?}");
    }
}

/// The device's own state machine, told the same again and again.
#[tokio::test]
async fn what_is_sent_again_after_a_restart_is_shown_once() {
    for by in BOTH {
        let mut world = World::start(by).await;
        let broker = Broker { host: "127.0.0.1".to_owned(), port: world.port() };
        let (nothing, clock): (_, SharedClock) = (futures::stream::pending(), Arc::new(SystemClock));
        let sources = Sources::from([("beam", nothing.boxed())]);
        let fleet = Fleet::start(&broker, std::slice::from_ref(&world.beam), sources, 1, 1, &clock);
        let asked = json!({"text": "垃圾分类,因为你", "target": {"device": "beam"}, "seconds": 600});
        let made = world.make("projectors/messages", asked).await;
        let path = format!("projectors/messages/{}", made["id"].as_str().unwrap());
        let seen = world.until_at(&path, |seen| seen["commands"][0]["state"] == "displayed").await;
        let id = seen["commands"][0]["id"].clone();
        world.backend.kill();
        // As if the answers had never come: it is sent again. Near the edges of their hours bins have commands too.
        let store = world.folder.store();
        store.execute("UPDATE command SET state = 'sent', sent = 0 WHERE message IS NOT NULL", []).unwrap();
        drop(store);
        world.backend.start_again();
        world.backend.ready().await;
        world.until_at(&path, |_| sent_again(&world.folder)).await;
        // What is sent later comes later: when that is shown, the repetition has been dealt with.
        let next = world.make("projectors/messages", json!({"text": "下一条", "target": {"device": "beam"}})).await;
        let path = format!("projectors/messages/{}", next["id"].as_str().unwrap());
        world.until_at(&path, |seen| seen["commands"][0]["state"] == "displayed").await;
        fleet.stop().await;
        let events = world.get("events?device=beam&type=display").await["items"].clone();
        let of_it = events.as_array().unwrap().iter().filter(|event| event["command"] == id);
        let told: Vec<_> = of_it.map(|event| event["status"].clone()).collect();
        assert_eq!(told, ["accepted", "displayed"], "{by:?}");
    }
}

fn sent_again(folder: &Folder) -> bool {
    let store = folder.store();
    store.query_row("SELECT sent > 0 FROM command WHERE message IS NOT NULL", [], |row| row.get(0)).unwrap()
}
