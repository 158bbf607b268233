//! Births and wills: what a device says of itself, and what the broker says for it when it is gone.

use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::Channel;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::LastWill;
use serde_json::json;

use super::world::{BOTH, By, Device, World, event};

fn with_will(mut options: MqttOptions, topic: String, boot: u32) -> MqttOptions {
    let payload = json!({"online": false, "boot": boot}).to_string();
    options.set_last_will(LastWill::new(topic, payload, QoS::AtLeastOnce, true, None));
    options
}

/// Connects with a will of its own and says that it is there.
async fn born(world: &World, device: &Credential, boot: u32) -> Device {
    let state = device.topic(Channel::State);
    let mut connected = Device::connect(with_will(world.options(device), state.clone(), boot)).await.unwrap();
    assert!(connected.subscribe(&device.topic(Channel::Receipt)).await);
    let birth = json!({"online": true, "boot": boot, "firmware": format!("1.{boot}.0"), "config": 12});
    assert!(connected.publish(&state, true, birth.to_string()).await);
    connected
}

#[tokio::test]
async fn births_and_wills_are_seen() {
    for by in BOTH {
        let world = World::start(by).await;
        let connected = born(&world, &world.one, 7).await;
        let shown = world.until(&world.one, |shown| shown["online"] == true).await;
        assert_eq!((&shown["boot"], &shown["firmware"]), (&json!(7), &json!("1.7.0")));
        assert_eq!((&shown["config"]["follows"], &shown["config"]["confirmed"]), (&json!(12), &json!(false)));
        let listed = world.get("devices").await;
        let online = listed["items"].as_array().unwrap().iter().filter(|device| device["online"] == true);
        assert_eq!(online.map(|device| device["id"].clone()).collect::<Vec<_>>(), ["one"]);
        // Without a word: the connection just ends.
        drop(connected);
        let shown = world.until(&world.one, |shown| shown["online"] == false).await;
        assert_eq!((&shown["boot"], &shown["firmware"]), (&json!(7), &json!("1.7.0")), "{by:?}");
    }
}

#[tokio::test]
async fn a_will_of_an_older_boot_never_overrides_a_newer_session() {
    for by in BOTH {
        let world = World::start(by).await;
        let old = born(&world, &world.one, 7).await;
        // Takes the session over: the broker may send the old will at any time from now on.
        let mut new = born(&world, &world.one, 8).await;
        drop(old);
        let late = json!({"online": false, "boot": 7}).to_string();
        assert!(new.publish(&world.one.topic(Channel::State), true, late).await);
        assert!(new.publish(&world.one.topic(Channel::Event), false, event(8, 1).to_string()).await);
        assert_eq!(new.receipt().await["boot"], 8);
        let shown = world.device(&world.one).await;
        assert_eq!((&shown["online"], &shown["boot"]), (&json!(true), &json!(8)), "{by:?}");
        drop(new);
        world.until(&world.one, |shown| shown["online"] == false).await;
    }
}

#[tokio::test]
async fn a_will_on_a_foreign_topic_is_not_delivered() {
    for by in BOTH {
        let world = World::start(by).await;
        let mut two = born(&world, &world.two, 7).await;
        world.until(&world.two, |shown| shown["online"] == true).await;
        for topic in
            [world.two.topic(Channel::State), world.two.topic(Channel::Event), world.two.topic(Channel::Receipt)]
        {
            let refused = world.refused("publish").await;
            drop(Device::connect(with_will(world.options(&world.one), topic, 9)).await.unwrap());
            // A broker is done with the old session of a device, and with its will, before it begins a new one.
            world.connect(&world.one).await;
            while by == By::Own && world.refused("publish").await == refused {
                tokio::task::yield_now().await;
            }
        }
        assert!(two.publish(&world.two.topic(Channel::Event), false, event(7, 1).to_string()).await);
        assert_eq!(two.receipt().await, json!({"boot": 7, "through": 1, "beyond": []}));
        let shown = world.device(&world.two).await;
        assert_eq!((&shown["online"], &shown["boot"]), (&json!(true), &json!(7)), "{by:?}");
        assert_eq!(world.get("quarantine").await["items"].as_array().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn replaced_hardware_begins_its_boots_again() {
    let mut world = World::start(By::Own).await;
    let topic = world.one.topic(Channel::Event);
    let mut old = born(&world, &world.one, 7).await;
    assert!(old.publish(&topic, false, event(7, 1).to_string()).await);
    // A new secret alone changes nothing of that.
    let rotated = world.post("devices/one/secret", json!({})).await;
    let replaced = world.post("devices/one/secret", json!({"replaced": true})).await;
    assert_ne!(rotated["secret"], replaced["secret"]);
    // The old connection ends, and neither secret opens another.
    let ended = async { while old.hear().await.is_ok() {} };
    tokio::time::timeout(super::world::PATIENCE, ended).await.expect("the old connection ends");
    for secret in [world.one.secret.as_str(), rotated["secret"].as_str().unwrap()] {
        let old = Credential { secret: secret.to_owned(), ..world.one.clone() };
        assert!(Device::connect(world.options(&old)).await.is_err());
    }
    world.one.secret = replaced["secret"].as_str().unwrap().to_owned();
    // The broker may send the will of the old hardware as late as this.
    let mut late = Device::connect(world.options(&world.one)).await.unwrap();
    let will = json!({"online": false, "boot": 7}).to_string();
    assert!(late.publish(&world.one.topic(Channel::State), true, will).await);
    let mut new = born(&world, &world.one, 1).await;
    for seq in 1..=2 {
        assert!(new.publish(&topic, false, event(1, seq).to_string()).await);
        assert_eq!(new.receipt().await, json!({"boot": 1, "through": seq, "beyond": []}));
    }
    assert_eq!(world.stored(&world.one), [(1, 7, 1), (2, 1, 1), (2, 1, 2)]);
    let shown = world.device(&world.one).await;
    assert_eq!((&shown["online"], &shown["boot"]), (&json!(true), &json!(1)));
}
