//! What devices are told to keep to: retained for each, told again when it changes, and confirmed.

use fenlei_wire::vocabulary::Channel;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{BOTH, Device, World};

/// A device that hears its config: what it was told, and itself.
async fn told(world: &World) -> (Device, Value) {
    let mut device = Device::connect(world.options(&world.one)).await.unwrap();
    assert!(device.subscribe(&world.one.topic(Channel::Config)).await);
    let config = next(&mut device).await;
    (device, config)
}

async fn next(device: &mut Device) -> Value {
    let (topic, config) = device.message().await;
    assert!(topic.ends_with("/config"), "{topic}");
    config
}

#[tokio::test]
async fn a_schedule_reaches_its_devices_and_they_confirm_it() {
    for by in BOTH {
        let world = World::start(by).await;
        let (mut device, config) = told(&world).await;
        assert_eq!((&config["version"], &config["zone"]), (&json!(1), &json!([{"from": 0, "offset": 480}])), "{by:?}");
        assert_eq!(config["schedule"]["weekly"].as_array().unwrap().len(), 2, "the default hours");
        let site = world.one.site.clone();
        let schedule =
            json!({"valid_from": "2020-01-01", "weekly": [{"days": ["mon"], "open": "06:00", "close": "07:30"}]});
        let path = format!("sites/{site}/schedule");
        let put = world.call(Method::PUT, &path, schedule).await;
        assert!(put["devices"].as_array().unwrap().iter().all(|device| device["config"]["confirmed"] == false));
        let config = next(&mut device).await;
        assert_eq!((&config["version"], &config["schedule"]["weekly"][0]["open"]), (&json!(2), &json!("06:00")));
        let state = world.one.topic(Channel::State);
        for (follows, confirmed) in [(1, false), (2, true)] {
            let birth = json!({"online": true, "boot": 1, "config": follows}).to_string();
            assert!(device.publish(&state, true, birth).await);
            let shown = world.until(&world.one, |shown| shown["config"]["follows"] == follows).await;
            assert_eq!(shown["config"], json!({"version": 2, "follows": follows, "confirmed": confirmed}));
        }
        let devices = world.get(&path).await["devices"].clone();
        let confirmed = devices.as_array().unwrap().iter().filter(|device| device["config"]["confirmed"] == true);
        assert_eq!(confirmed.map(|device| device["device"].clone()).collect::<Vec<_>>(), ["one"]);
    }
}

#[tokio::test]
async fn what_was_told_outlives_the_backend_and_the_broker() {
    for by in BOTH {
        let mut world = World::start(by).await;
        let (device, config) = told(&world).await;
        drop(device);
        world.backend.kill();
        world.backend.start_again();
        world.backend.ready().await;
        let (_device, again) = told(&world).await;
        assert_eq!(config, again, "{by:?}: the same, under the same version");
    }
}
