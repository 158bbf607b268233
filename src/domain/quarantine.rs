//! What is kept of an event that was refused: enough to mend and try again, nothing that names a person.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::card::{CardHash, CardKey};

/// How much is kept of bytes that are no JSON.
pub const MAX_RAW: usize = 4 * 1024;
/// How much is kept of one text inside JSON.
const MAX_TEXT: usize = 256;
/// The key under which a refused event carries its hashed card; devices never send it.
pub const CARD_HASH: &str = "card_hash";

/// What is kept of a refused event.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The fields that events have, the card as its hash; can be tried again.
    Fields(Map<String, Value>),
    /// The first bytes of what is no JSON.
    Raw(Vec<u8>),
}

impl Content {
    pub fn raw(bytes: &[u8]) -> Self {
        Self::Raw(bytes[..bytes.len().min(MAX_RAW)].to_vec())
    }
}

/// The fields of all events, each as whatever JSON it came as.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    pub boot: Option<Value>,
    pub seq: Option<Value>,
    time: Option<Value>,
    clock: Option<Value>,
    r#type: Option<Value>,
    stream: Option<Value>,
    grams: Option<Value>,
    card: Option<Value>,
    card_hash: Option<Value>,
    verdict: Option<Value>,
    reason: Option<Value>,
    percent: Option<Value>,
    celsius: Option<Value>,
    open: Option<Value>,
    by: Option<Value>,
    alarm: Option<Value>,
    active: Option<Value>,
    confidence: Option<Value>,
    deposit: Option<Value>,
    bin: Option<Value>,
    what: Option<Value>,
    command: Option<Value>,
    status: Option<Value>,
    detail: Option<Value>,
    millivolts: Option<Value>,
    rssi: Option<Value>,
    of_boot: Option<Value>,
    from: Option<Value>,
    to: Option<Value>,
}

impl Fields {
    /// (boot, seq), where both can be read.
    pub fn name(&self) -> Option<(u32, u64)> {
        let boot = u32::try_from(self.boot.as_ref()?.as_u64()?).ok()?;
        let seq = self.seq.as_ref()?.as_u64()?;
        super::marks::is_seq(seq).then_some((boot, seq))
    }

    /// What may be kept. `trusted`: the fields were kept before, so a hash in them is ours.
    pub fn into_content(self, key: &CardKey, trusted: bool) -> Content {
        let hash = match &self.card {
            Some(Value::String(card)) if !card.is_empty() => Some(key.hash(card)),
            Some(Value::String(_)) | None => None,
            Some(other) => Some(key.hash(&other.to_string())),
        };
        let hash = hash.or_else(|| if trusted { read_hash(self.card_hash.as_ref()) } else { None });
        let mut kept = Map::new();
        for (name, value) in [
            ("boot", self.boot),
            ("seq", self.seq),
            ("time", self.time),
            ("clock", self.clock),
            ("type", self.r#type),
            ("stream", self.stream),
            ("grams", self.grams),
            ("verdict", self.verdict),
            ("reason", self.reason),
            ("percent", self.percent),
            ("celsius", self.celsius),
            ("open", self.open),
            ("by", self.by),
            ("alarm", self.alarm),
            ("active", self.active),
            ("confidence", self.confidence),
            ("deposit", self.deposit),
            ("bin", self.bin),
            ("what", self.what),
            ("command", self.command),
            ("status", self.status),
            ("detail", self.detail),
            ("millivolts", self.millivolts),
            ("rssi", self.rssi),
            ("of_boot", self.of_boot),
            ("from", self.from),
            ("to", self.to),
        ] {
            match value {
                Some(Value::Object(reference)) if name == "deposit" => {
                    let known = ["device", "boot", "seq"];
                    let reference = reference.into_iter().filter(|(key, _)| known.contains(&key.as_str()));
                    let reference: Map<_, _> = reference.filter_map(|(key, value)| Some((key, cut(value)?))).collect();
                    kept.insert(name.to_owned(), Value::Object(reference));
                }
                Some(value) => {
                    if let Some(value) = cut(value) {
                        kept.insert(name.to_owned(), value);
                    }
                }
                None => {}
            }
        }
        if let Some(hash) = hash {
            kept.insert(CARD_HASH.to_owned(), Value::String(hash.to_hex()));
        }
        Content::Fields(kept)
    }
}

/// A scalar, a long text cut; no field of an event but `deposit` nests.
fn cut(value: Value) -> Option<Value> {
    match value {
        Value::String(text) if text.len() > MAX_TEXT => Some(Value::String(text.chars().take(MAX_TEXT).collect())),
        Value::Array(_) | Value::Object(_) => None,
        scalar => Some(scalar),
    }
}

pub fn read_hash(value: Option<&Value>) -> Option<CardHash> {
    CardHash::from_hex(value?.as_str()?)
}
