//! What comes by a connection to the embedded broker, as MQTT 3.1.1 and 5: read packet by packet, whole and a byte at a time.

#![no_main]

use bytes::BytesMut;
use fenlei::mqtt::embedded::packets::{FIVE, THREE, take};
use libfuzzer_sys::fuzz_target;
use mqtt5_protocol::packet::MqttPacket;
use mqtt5_protocol::{MqttError, Packet};

const MOST: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    for version in [THREE, FIVE] {
        let whole = read(&mut BytesMut::from(bytes), version);
        let (mut piecemeal, mut waiting) = (Vec::new(), BytesMut::new());
        for byte in bytes {
            waiting.extend_from_slice(&[*byte]);
            match take(&mut waiting, version, MOST) {
                Ok(Some(packet)) => piecemeal.push(packet),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        assert_eq!(whole.len(), piecemeal.len(), "it depends on how the bytes come");
        for packet in whole {
            if let Packet::Publish(publish) = packet {
                let mut written = BytesMut::new();
                publish.encode(&mut written).expect("what was read can be written");
                let Ok(Some(Packet::Publish(again))) = take(&mut written, version, usize::MAX) else {
                    panic!("it is lost")
                };
                assert_eq!((&again.topic_name, &again.payload), (&publish.topic_name, &publish.payload));
                assert_eq!(
                    (again.packet_id, again.qos, again.retain),
                    (publish.packet_id, publish.qos, publish.retain)
                );
                assert_eq!(again.properties, publish.properties);
            }
        }
    }
});

/// All packets until one is not there as a whole, or is none.
fn read(bytes: &mut BytesMut, version: u8) -> Vec<Packet> {
    std::iter::from_fn(|| {
        let taken: Result<_, MqttError> = take(bytes, version, MOST);
        taken.ok().flatten()
    })
    .collect()
}
