//! What MQTT asks of a broker beside what devices usually do: said packet by packet.

use fenlei::mqtt::embedded::packets::{FIVE, Incoming, THREE};
use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::Channel;
use mqtt5_protocol::packet::MqttPacket;
use mqtt5_protocol::packet::connect::ConnectPacket;
use mqtt5_protocol::packet::disconnect::DisconnectPacket;
use mqtt5_protocol::packet::pingreq::PingReqPacket;
use mqtt5_protocol::packet::puback::PubAckPacket;
use mqtt5_protocol::packet::publish::PublishPacket;
use mqtt5_protocol::packet::pubrel::PubRelPacket;
use mqtt5_protocol::packet::unsubscribe::UnsubscribePacket;
use mqtt5_protocol::{Packet, Properties, PropertyId, PropertyValue, QoS, ReasonCode, WillMessage};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::line::{Line, Raw};
use super::world::{By, PATIENCE, World, event};

fn connect(device: &Credential, version: u8) -> ConnectPacket {
    ConnectPacket {
        protocol_version: version,
        clean_start: true,
        keep_alive: 60,
        client_id: device.device.clone(),
        username: Some(device.device.clone()),
        password: Some(device.secret.clone().into_bytes()),
        will: None,
        properties: Properties::default(),
        will_properties: Properties::default(),
    }
}

/// To be kept for ten minutes.
fn kept(device: &Credential, version: u8) -> ConnectPacket {
    let mut connect = ConnectPacket { clean_start: false, ..connect(device, version) };
    if version == FIVE {
        connect.properties.set_session_expiry_interval(600);
    }
    connect
}

fn publish(device: &Credential, version: u8, qos: QoS, id: u16, content: &Value) -> PublishPacket {
    let mut publish = PublishPacket::new(device.topic(Channel::Event), content.to_string(), qos).with_packet_id(id);
    publish.protocol_version = version;
    publish
}

fn receipt(publish: &PublishPacket) -> Value {
    serde_json::from_slice(&publish.payload).unwrap()
}

#[tokio::test]
async fn many_publishes_are_under_way_and_answered_in_their_order_when_stored() {
    const COUNT: u16 = 300;
    let world = World::start(By::Own).await;
    for (boot, version) in [(1, THREE), (2, FIVE)] {
        let (mut line, _) = Line::connect(&world, connect(&world.one, version)).await;
        for id in 1..=COUNT {
            let publish = publish(&world.one, version, QoS::AtLeastOnce, id, &event(boot, id.into()));
            line.outgoing.put(&publish).unwrap();
        }
        line.outgoing.write().await.unwrap();
        for id in 1..=COUNT {
            let Packet::PubAck(answer) = line.hear().await else { panic!("no PUBACK") };
            assert_eq!((answer.packet_id, answer.reason_code), (id, ReasonCode::Success));
            if id.is_multiple_of(50) || id == 1 {
                assert!(world.stored(&world.one).contains(&(1, boot, id.into())), "{id}");
            }
        }
        assert_eq!(world.stored(&world.one).len(), usize::from(COUNT) * boot as usize);
    }
}

#[tokio::test]
async fn qos_2_and_0_are_stored_as_well() {
    let world = World::start(By::Own).await;
    for (boot, version) in [(1, THREE), (2, FIVE)] {
        let (mut line, _) = Line::connect(&world, connect(&world.one, version)).await;
        let twice = publish(&world.one, version, QoS::ExactlyOnce, 7, &event(boot, 1));
        for again in [false, true] {
            line.say(&twice.clone().with_dup(again)).await;
            assert!(matches!(line.hear().await, Packet::PubRec(answer) if answer.packet_id == 7));
            assert!(world.stored(&world.one).contains(&(1, boot, 1)));
        }
        for _ in 0..2 {
            line.say(&PubRelPacket::new(7)).await;
            assert!(matches!(line.hear().await, Packet::PubComp(answer) if answer.packet_id == 7));
        }
        let mut silent = publish(&world.one, version, QoS::AtMostOnce, 1, &event(boot, 2));
        silent.packet_id = None;
        line.say(&silent).await;
        line.say(&publish(&world.one, version, QoS::AtLeastOnce, 8, &event(boot, 3))).await;
        assert!(matches!(line.hear().await, Packet::PubAck(answer) if answer.packet_id == 8));
    }
    let all = [1, 2].map(|boot| [1, 2, 3].map(|seq| (1, boot, seq))).concat();
    assert_eq!(world.stored(&world.one), all);
}

#[tokio::test]
async fn what_is_said_before_leaving_is_stored_and_receipted() {
    let world = World::start(By::Own).await;
    let (mut line, _) = Line::connect(&world, kept(&world.one, FIVE)).await;
    line.subscribe(&world.one, Channel::Receipt).await;
    let mut silent = publish(&world.one, FIVE, QoS::AtMostOnce, 1, &event(1, 1));
    silent.packet_id = None;
    line.outgoing.put(&silent).unwrap();
    line.say(&DisconnectPacket::normal()).await;
    assert_eq!(line.farewell().await, None);
    let (mut line, found) = Line::connect(&world, kept(&world.one, FIVE)).await;
    assert!(found && receipt(&line.message().await)["through"] == 1);
    assert_eq!(world.stored(&world.one), [(1, 1, 1)]);
}

#[tokio::test]
async fn a_session_is_found_again_with_what_was_not_acknowledged() {
    let world = World::start(By::Own).await;
    for (boot, version) in [(1, THREE), (2, FIVE)] {
        let clean = Line::connect(&world, connect(&world.one, version)).await;
        assert!(!clean.1);
        let (mut line, found) = Line::connect(&world, kept(&world.one, version)).await;
        assert!(!found, "{version}: a clean session is over with its connection");
        line.subscribe(&world.one, Channel::Receipt).await;
        line.say(&publish(&world.one, version, QoS::AtLeastOnce, 1, &event(boot, 1))).await;
        let first = line.message().await;
        assert!(!first.dup && receipt(&first)["through"] == 1);
        drop(line);
        // Not acknowledged, so it comes again, before what is new; without having subscribed again.
        let (mut line, found) = Line::connect(&world, kept(&world.one, version)).await;
        assert!(found, "{version}");
        line.say(&publish(&world.one, version, QoS::AtLeastOnce, 2, &event(boot, 2))).await;
        let (again, second) = (line.message().await, line.message().await);
        assert_eq!((again.dup, again.packet_id, &again.payload), (true, first.packet_id, &first.payload));
        assert!(!second.dup && receipt(&second)["through"] == 2);
        for acknowledged in [&again, &second] {
            line.say(&PubAckPacket::new(acknowledged.packet_id.unwrap())).await;
        }
        line.say(&UnsubscribePacket { protocol_version: version, ..unsubscribe(&world.one) }).await;
        while !matches!(line.hear().await, Packet::UnsubAck(_)) {}
        line.say(&publish(&world.one, version, QoS::AtLeastOnce, 3, &event(boot, 3))).await;
        assert!(matches!(line.hear().await, Packet::PubAck(answer) if answer.packet_id == 3), "nothing comes any more");
    }
}

fn unsubscribe(device: &Credential) -> UnsubscribePacket {
    UnsubscribePacket::new(8).add_filter(device.topic(Channel::Receipt))
}

fn will(device: &Credential, boot: u32) -> WillMessage {
    let mut will = WillMessage::new(device.topic(Channel::State), json!({"online": false, "boot": boot}).to_string());
    (will.qos, will.retain) = (QoS::AtLeastOnce, true);
    will
}

/// Says of itself that it is there.
async fn born(line: &mut Line, device: &Credential, boot: u32) {
    let birth = json!({"online": true, "boot": boot}).to_string();
    let mut birth =
        PublishPacket::new(device.topic(Channel::State), birth, QoS::AtLeastOnce).with_packet_id(6).with_retain(true);
    birth.protocol_version = line.version;
    line.say(&birth).await;
    assert!(matches!(line.hear().await, Packet::PubAck(answer) if answer.packet_id == 6));
}

#[tokio::test]
async fn a_will_holds_unless_the_device_takes_leave() {
    let world = World::start(By::Own).await;
    for (boot, version, leave) in
        [(1, THREE, None), (2, FIVE, None), (3, FIVE, Some(ReasonCode::DisconnectWithWillMessage))]
    {
        let with_will = ConnectPacket { will: Some(will(&world.one, boot)), ..connect(&world.one, version) };
        let (mut line, _) = Line::connect(&world, with_will.clone()).await;
        born(&mut line, &world.one, boot).await;
        line.say(&DisconnectPacket::normal()).await;
        assert_eq!(line.farewell().await, None);
        // Its next connection begins when all of this one is over, its will included.
        let (mut line, _) = Line::connect(&world, with_will).await;
        assert_eq!(world.device(&world.one).await["online"], true, "{version}: it took leave");
        match leave {
            Some(reason) => line.say(&DisconnectPacket::new(reason)).await,
            None => drop(line),
        }
        world.until(&world.one, |shown| shown["online"] == false && shown["boot"] == boot).await;
    }
}

#[tokio::test]
async fn a_will_that_may_wait_is_not_said_of_a_device_that_is_back() {
    let world = World::start(By::Own).await;
    let with_will = |seconds, kept: ConnectPacket| {
        let mut will = will(&world.one, 1);
        will.properties.will_delay_interval = Some(seconds);
        let mut will_properties = Properties::default();
        will.properties.apply_to_publish_properties(&mut will_properties);
        will_properties.add(PropertyId::WillDelayInterval, PropertyValue::FourByteInteger(seconds)).unwrap();
        ConnectPacket { will: Some(will), will_properties, ..kept }
    };
    let (mut line, _) = Line::connect(&world, with_will(600, kept(&world.one, FIVE))).await;
    born(&mut line, &world.one, 1).await;
    drop(line);
    let (line, found) = Line::connect(&world, with_will(1, kept(&world.one, FIVE))).await;
    assert!(found);
    assert_eq!(world.device(&world.one).await["online"], true);
    drop(line);
    // Now it stays away for longer than that.
    world.until(&world.one, |shown| shown["online"] == false).await;
    // A session that is over cannot have its will wait.
    let (mut line, _) = Line::connect(&world, with_will(600, connect(&world.one, FIVE))).await;
    born(&mut line, &world.one, 1).await;
    drop(line);
    world.until(&world.one, |shown| shown["online"] == false).await;
}

#[tokio::test]
async fn a_topic_goes_by_its_number() {
    let world = World::start(By::Own).await;
    let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
    for seq in 1..=2 {
        let mut publish = publish(&world.one, FIVE, QoS::AtLeastOnce, 1, &event(1, seq)).with_topic_alias(2);
        if seq == 2 {
            publish.topic_name.clear();
        }
        line.say(&publish).await;
        assert!(matches!(line.hear().await, Packet::PubAck(answer) if answer.reason_code == ReasonCode::Success));
    }
    assert_eq!(world.stored(&world.one), [(1, 1, 1), (1, 1, 2)]);
    for (alias, reason) in
        [(9, ReasonCode::TopicAliasInvalid), (0, ReasonCode::TopicAliasInvalid), (3, ReasonCode::ProtocolError)]
    {
        let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
        let mut publish = publish(&world.one, FIVE, QoS::AtLeastOnce, 1, &event(1, 3)).with_topic_alias(alias);
        publish.topic_name.clear();
        line.say(&publish).await;
        assert_eq!(line.farewell().await, Some(reason), "{alias}");
    }
}

#[tokio::test]
async fn who_breaks_the_rules_is_told_which_and_sent_away() {
    let world = World::start(By::Own).await;
    let topic = world.one.topic(Channel::Event);
    let large = |size| PublishPacket::new(topic.as_str(), vec![b'x'; size], QoS::AtLeastOnce).with_packet_id(1);
    let unnamed = PublishPacket::new("", "{}", QoS::AtLeastOnce).with_packet_id(1);
    let (mut silent, _) = Line::connect(&world, ConnectPacket { keep_alive: 1, ..connect(&world.two, FIVE) }).await;
    let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
    // Its length is said in its first bytes, which are enough.
    let mut begun = Vec::new();
    large(1_200_000).encode(&mut begun).unwrap();
    begun.truncate(10);
    line.say(&Raw(begun)).await;
    assert_eq!(line.farewell().await, Some(ReasonCode::PacketTooLarge));
    let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
    line.say(&unnamed).await;
    assert_eq!(line.farewell().await, Some(ReasonCode::ProtocolError));
    let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
    line.say(&large(1).with_user_property("more".into(), "x".repeat(5_000))).await;
    assert_eq!(line.farewell().await, Some(ReasonCode::QuotaExceeded));
    let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
    line.say(&connect(&world.one, FIVE)).await;
    assert_eq!(line.farewell().await, Some(ReasonCode::ProtocolError), "it is connected");
    let (mut line, _) = Line::connect(&world, connect(&world.one, FIVE)).await;
    let (mut other, _) = Line::connect(&world, connect(&world.one, THREE)).await;
    assert_eq!(line.farewell().await, Some(ReasonCode::SessionTakenOver));
    other.say(&PingReqPacket::default()).await;
    assert!(matches!(other.hear().await, Packet::PingResp));
    // Said in words of MQTT 5 alone.
    other.say(&connect(&world.one, THREE)).await;
    assert_eq!(other.farewell().await, None);
    assert_eq!(silent.farewell().await, Some(ReasonCode::KeepAliveTimeout));
}

#[tokio::test]
async fn nobody_says_anything_before_a_login() {
    let world = World::start(By::Own).await;
    let mut line = Line::open(&world, FIVE).await;
    line.say(&publish(&world.one, FIVE, QoS::AtLeastOnce, 1, &event(1, 1))).await;
    assert!(line.try_hear().await.is_none());
    let mut line = Line::open(&world, FIVE).await;
    // A CONNECT of 20,000 bytes.
    line.say(&Raw([0x10, 0xa0, 0x9c, 0x01].into())).await;
    assert!(line.try_hear().await.is_none());
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x10, 0xff, 0xff, 0xff, 0xff], &[0xff; 64]] {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let (from, _to) = tokio::io::split(stream);
        let ended = tokio::time::timeout(PATIENCE, Incoming::new(from).next(FIVE, 100)).await;
        assert!(ended.expect("it hangs up").is_err(), "{bytes:?}");
    }
    let mut deaf = connect(&world.one, FIVE);
    deaf.properties.set_receive_maximum(0);
    let mut line = Line::open(&world, FIVE).await;
    line.say(&deaf).await;
    assert!(matches!(line.hear().await, Packet::ConnAck(answer) if answer.reason_code == ReasonCode::ProtocolError));
    for (version, method, reason) in [
        (3, None, ReasonCode::UnsupportedProtocolVersion),
        (6, None, ReasonCode::UnsupportedProtocolVersion),
        (FIVE, Some("SCRAM-SHA-256"), ReasonCode::BadAuthenticationMethod),
    ] {
        let mut connect = connect(&world.one, version);
        if let Some(method) = method {
            connect.properties.set_authentication_method(method.to_owned());
        }
        let mut line = Line::open(&world, version).await;
        line.say(&connect).await;
        let Packet::ConnAck(answer) = line.hear().await else { panic!("no CONNACK") };
        assert_eq!(answer.reason_code, reason, "{version}");
        assert!(line.try_hear().await.is_none());
    }
    assert!(world.stored(&world.one).is_empty());
    // Nobody was waited for.
    assert_eq!(world.backend.counter("fenlei_refused_total{entrance=\"mqtt\",reason=\"slow\"}").await, 0.0);
}
