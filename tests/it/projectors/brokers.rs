//! The same over real brokers, with a projector that speaks real MQTT.

use chrono::TimeDelta;
use fenlei::clock::{Clock, SystemClock};
use fenlei_wire::vocabulary::Channel;
use serde_json::{Value, json};

use crate::mqtt::world::{BOTH, Device, PATIENCE, World};

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
