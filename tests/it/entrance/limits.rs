//! How much devices may at the embedded broker: connections, publishes, subscriptions.

use std::time::{Duration, Instant};

use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::Channel;
use tokio::net::{TcpSocket, TcpStream};

use super::world::{World, hear};
use crate::mqtt::world::{Device, event};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_no_more() {
    let settings = [("FENLEI__MQTT__CONNECTIONS_PER_ADDRESS", "2"), ("FENLEI__MQTT__CONNECTIONS", "3")];
    let world = World::start(&settings).await;
    let (living, _relay) = world.connect(&world.bin, "ca.pem").await.unwrap();
    let second = Device::connect(world.options(&world.other)).await.unwrap();
    // Both listeners share them.
    for (entrance, port) in [("mqtt", world.backend.mqtt), ("mqtts", world.mqtts)] {
        let mut third = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        assert_eq!(hear(&mut third).await, "");
        world.until_refused(entrance, "connections_per_address", 1.0).await;
    }
    // Another address has its own, until all are taken.
    let secret = world.folder.secret.clone();
    let third = Credential { device: "bin-1".into(), secret, ..world.bin.clone() };
    assert!(world.publish(&third, world.backend.mqtt, 1, &["-A", "127.0.0.2"]).status.success());
    drop(second);
    let third = loop {
        // It takes a moment until the other end sees that somebody left.
        if let Ok(connected) = Device::connect(world.options(&world.other)).await {
            break connected;
        }
    };
    let (_fourth, mut fifth) = (from_elsewhere(world.backend.mqtt).await, from_elsewhere(world.backend.mqtt).await);
    assert_eq!(hear(&mut fifth).await, "");
    world.until_refused("mqtt", "connections", 1.0).await;
    drop((living, third));
}

/// Connects from another address of this machine.
async fn from_elsewhere(port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_over_its_rate_is_slowed_down_and_loses_nothing() {
    const COUNT: u64 = 12;
    let world = World::start(&[("FENLEI__MQTT__PUBLISHES_PER_SECOND", "2")]).await;
    let mut device = Device::connect(world.options(&world.bin)).await.unwrap();
    let (topic, begun) = (world.bin.topic(Channel::Event), Instant::now());
    for seq in 1..=COUNT {
        assert!(device.publish(&topic, false, event(1, seq).to_string()).await);
    }
    assert_eq!(world.stored(), COUNT as usize, "each is stored before its PUBACK");
    // Twice the rate at once, and the rest at the rate.
    let least = Duration::from_millis(1_000 * (COUNT - 4) / 2 - 100);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    assert!(world.backend.counter("fenlei_mqtt_delays_total{by=\"publishes\"}").await > 0.0);
    // Another one does not wait for it.
    let mut other = Device::connect(world.options(&world.other)).await.unwrap();
    let begun = Instant::now();
    assert!(other.publish(&world.other.topic(Channel::Event), false, event(1, 1).to_string()).await);
    assert!(begun.elapsed() < least, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_bounded_as_publishes_are() {
    let world = World::start(&[("FENLEI__MQTT__BYTES_PER_SECOND", "100000")]).await;
    let mut device = Device::connect(world.options(&world.bin)).await.unwrap();
    let topic = world.bin.topic(Channel::Event);
    let padded = |seq| {
        let mut event = event(1, seq);
        event["padding"] = "x".repeat(200_000).into();
        event.to_string()
    };
    let begun = Instant::now();
    for seq in 1..=8 {
        assert!(device.publish(&topic, false, padded(seq)).await);
    }
    assert_eq!(world.stored(), 8);
    // 1,600,000 bytes, of which 1,114,112 at once.
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(world.backend.counter("fenlei_mqtt_delays_total{by=\"bytes\"}").await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_so_many_subscriptions() {
    let world = World::start(&[("FENLEI__MQTT__SUBSCRIPTIONS", "3")]).await;
    let mut device = Device::connect(world.options(&world.bin)).await.unwrap();
    for channel in [Channel::Receipt, Channel::Command, Channel::Config] {
        assert!(device.subscribe(&world.bin.topic(channel)).await);
    }
    // Groups are free to be made up: without a limit there would be no end to them.
    assert!(!device.subscribe(&format!("$share/one/{}", world.bin.topic(Channel::Receipt))).await);
    assert_eq!(world.backend.counter("fenlei_mqtt_refused_total{what=\"subscriptions\"}").await, 1.0);
    assert!(device.subscribe(&world.bin.topic(Channel::Receipt)).await, "one that it has it may ask for again");
}
