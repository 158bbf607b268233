//! A publish: its topic on the first line, the rest its payload, for the backend and for a device.

#![no_main]

use std::fmt::Debug;

use fenlei::domain::card::CardKey;
use fenlei::domain::decode::{Element, content_of, decode_kept};
use fenlei::domain::inbound::{Inbound, What};
use fenlei::domain::quarantine::Content;
use fenlei_wire::command::Command;
use fenlei_wire::config::Config;
use fenlei_wire::limits::MAX_CONFIG_BYTES;
use fenlei_wire::receipt::Receipt;
use fenlei_wire::state::State;
use fenlei_wire::{json, topic::Topic};
use libfuzzer_sys::fuzz_target;
use serde::de::{DeserializeOwned, IgnoredAny};

/// When it arrives: a moment after the golden events happened.
const RECEIVED: i64 = 1_795_133_800_000;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (topic, payload) = (String::from_utf8_lossy(&bytes[..end]), bytes.get(end + 1..).unwrap_or_default());
    if let Some(parsed) = Topic::parse(&topic) {
        assert_eq!(parsed.to_string(), topic);
    }
    if let What::Events { elements, .. } = Inbound::read(&topic, payload, RECEIVED, &CardKey::new([7; 32])).what {
        let text = str::from_utf8(payload).unwrap_or_default();
        let listed = serde_json::from_str::<Vec<IgnoredAny>>(text).map_or(1, |list| list.len().max(1));
        assert_eq!(elements.len(), listed, "an element vanished");
        elements.iter().for_each(kept_and_read_again);
    }
    device_reads::<Command>(payload);
    device_reads::<Config>(payload);
    device_reads::<Receipt>(payload);
    device_reads::<State>(payload);
});

/// An event that is kept is that event when it is tried again; of what is refused nothing is lost by trying.
fn kept_and_read_again(element: &Element) {
    let kept = match element {
        Element::Event(event) => content_of(event),
        Element::Refused(refused) => refused.content.clone(),
    };
    let Content::Fields(fields) = kept else { return };
    match (element, decode_kept(&fields, RECEIVED)) {
        (Element::Refused(_), Element::Refused(again)) => assert_eq!(again.content, Content::Fields(fields)),
        (Element::Refused(_), Element::Event(_)) => {}
        (Element::Event(_), again) => assert_eq!(&again, element),
    }
}

/// What a device reads, it reads again from what it writes, and from what the backend writes.
fn device_reads<T: DeserializeOwned + serde::Serialize + PartialEq + Debug>(payload: &[u8]) {
    let mut room = [0; MAX_CONFIG_BYTES];
    let of_device = json::from_slice::<T>(payload).ok();
    for message in of_device.into_iter().chain(serde_json::from_slice(payload).ok()) {
        let written = json::to_slice(&message, &mut room).expect("it fits");
        assert_eq!(json::from_slice(&room[..written]).as_ref(), Ok(&message));
        let written = serde_json::to_vec(&message).expect("it is JSON");
        assert_eq!(json::from_slice(&written).as_ref(), Ok(&message));
    }
}
