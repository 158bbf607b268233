//! A site is opened over real brokers, to a bin that speaks real MQTT.

use fenlei::clock::{Clock, SystemClock};
use fenlei_wire::vocabulary::Channel;
use serde_json::json;

use crate::mqtt::world::{BOTH, Device, World};

#[tokio::test]
async fn an_opening_reaches_a_bin_and_comes_back_as_done() {
    for by in BOTH {
        let world = World::start(by).await;
        let mut device = Device::connect(world.options(&world.one)).await.unwrap();
        assert!(device.subscribe(&world.one.topic(Channel::Command)).await);
        let path = format!("sites/{}/openings", world.one.site);
        world.make(&path, json!({"reason": "清运车晚到", "seconds": 600})).await;
        // At an edge of the hours the bin may be told of that as well.
        let command = loop {
            let (topic, command) = device.message().await;
            assert!(topic.ends_with("/command"), "{topic}");
            if command["type"] == "unlock" && !command["seconds"].is_null() {
                break command;
            }
        };
        let event = json!({"boot": 1, "seq": 1, "time": SystemClock.now().to_rfc3339(), "type": "executed",
                           "command": command["id"], "status": "done"});
        assert!(device.publish(&world.one.topic(Channel::Event), false, event.to_string()).await);
        let shown = world.until(&world.one, |shown| shown["lid"]["reported"] == "unlocked").await;
        assert_eq!((&shown["lid"]["expected"], &shown["lid"]["follows"]), (&json!("unlocked"), &json!(true)), "{by:?}");
        let openings = world
            .until_at(&path, |seen| {
                seen["items"][0]["commands"].as_array().unwrap().iter().any(|command| command["state"] == "done")
            })
            .await;
        let states: Vec<_> = openings["items"][0]["commands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|command| command["state"].clone())
            .collect();
        assert!(states.contains(&json!("sent")), "the other bin has not answered: {states:?}");
    }
}
