//! What came from the broker, read but not yet judged: the hand-off from a source to the store.

use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use serde::Deserialize;

use super::card::CardKey;
use super::decode::{Element, Refused, decode};
use super::quarantine::Content;
use super::refusal::{Reason, Refusal};

/// Who published, as the topic says. Whether that is true is decided against the registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sender {
    pub site: String,
    pub kind: DeviceKind,
    pub device: String,
}

impl Sender {
    pub fn topic(&self, channel: Channel) -> String {
        Topic { site: &self.site, kind: self.kind, device: &self.device, channel }.to_string()
    }
}

/// A device's word about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StateMessage {
    pub online: bool,
    pub boot: u32,
    #[serde(default)]
    pub firmware: Option<String>,
    #[serde(default)]
    pub config: Option<u32>,
}

/// One publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    pub received: i64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Events {
        from: Sender,
        elements: Vec<Element>,
    },
    State {
        from: Sender,
        state: StateMessage,
    },
    /// A state that cannot be read, or a topic that is none of ours.
    Refused {
        device: String,
        topic: String,
        refused: Refused,
    },
    /// A retained message being cleared.
    Nothing,
}

const MAX_TOPIC: usize = 200;
const MAX_FIRMWARE: usize = 64;

impl Inbound {
    /// Reads a publish that arrived at `received` (Unix milliseconds).
    pub fn read(topic: &str, payload: &[u8], received: i64, key: &CardKey) -> Self {
        Self { received, what: read(topic, payload, received, key) }
    }

    /// Takes it out, and leaves nothing.
    pub fn take(&mut self) -> Self {
        Self { received: self.received, what: std::mem::replace(&mut self.what, What::Nothing) }
    }

    /// How much work it is.
    pub fn events(&self) -> usize {
        match &self.what {
            What::Events { elements, .. } => elements.len(),
            _ => 1,
        }
    }
}

fn read(topic: &str, payload: &[u8], received: i64, key: &CardKey) -> What {
    let refused = |device: &str, reason, detail: &str| What::Refused {
        device: device.to_owned(),
        topic: topic.chars().take(MAX_TOPIC).collect(),
        refused: Refused {
            refusal: Refusal::new(reason, detail),
            name: None,
            content: Content::of_payload(payload, key),
        },
    };
    let Some(parsed) = Topic::parse(topic) else {
        let device: String = topic.chars().take(MAX_TOPIC).collect();
        return refused(&device, Reason::TopicMismatch, "the topic is not fenlei/v1/{site}/{kind}/{device}/{channel}");
    };
    let from = Sender { site: parsed.site.to_owned(), kind: parsed.kind, device: parsed.device.to_owned() };
    match parsed.channel {
        Channel::Event => What::Events { from, elements: decode(payload, received, key) },
        Channel::State if payload.is_empty() => What::Nothing,
        Channel::State => match serde_json::from_slice::<StateMessage>(payload) {
            Ok(mut state) => {
                if let Some(firmware) = &mut state.firmware {
                    firmware.truncate(firmware.floor_char_boundary(MAX_FIRMWARE));
                }
                What::State { from, state }
            }
            Err(_) => {
                let detail = "a state is {\"online\":…,\"boot\":…,\"firmware\":…,\"config\":…}";
                refused(&from.device, Reason::InvalidState, detail)
            }
        },
        Channel::Command | Channel::Config | Channel::Receipt => {
            refused(&from.device, Reason::TopicMismatch, "a device publishes to `event` and `state` only")
        }
    }
}
