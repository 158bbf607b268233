//! What is kept of an event that was refused: enough to mend and try again. Of JSON nothing that names a person; of bytes
//! that are none nobody can tell, so they are kept for a month only.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::card::{CardHash, CardKey};

/// How much is kept of bytes that are no JSON.
pub const MAX_RAW: usize = 4 * 1024;
/// How much is kept of one text inside JSON.
const MAX_TEXT: usize = 256;
/// The key under which a refused event carries its hashed card; devices never send it.
pub const CARD_HASH: &str = "card_hash";

/// What stands there once the card is erased.
pub const ERASED: &str = "erased";

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

    /// What may be kept of a payload that is refused as a whole. Its bytes only if they are no JSON: else they may hold
    /// a card in the clear.
    pub fn of_payload(payload: &[u8], key: &CardKey) -> Self {
        let text = std::str::from_utf8(payload).ok();
        match text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) {
            None => Self::raw(payload),
            Some(text) => Fields::read(text)
                .map_or_else(|| Self::Fields(Map::new()), |fields| fields.into_content(Cards::Clear(key))),
        }
    }
}

/// How an event tells its card.
#[derive(Clone, Copy)]
pub enum Cards<'a> {
    /// As the reader read it: `card`, to be hashed.
    Clear(&'a CardKey),
    /// It was kept before, and a hash in it is ours: `card_hash`.
    Hashed,
}

/// The fields that are kept; `card` is kept as its hash.
const KEPT: [&str; 27] = [
    "boot",
    "seq",
    "time",
    "clock",
    "type",
    "stream",
    "grams",
    "verdict",
    "reason",
    "percent",
    "celsius",
    "open",
    "by",
    "alarm",
    "active",
    "confidence",
    "deposit",
    "bin",
    "what",
    "command",
    "status",
    "detail",
    "millivolts",
    "rssi",
    "of_boot",
    "from",
    "to",
];

/// The members of a JSON object, each unread: one that cannot be read hides neither the name nor the card of its event.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// `None`: it is no JSON object.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// (boot, seq), where both can be read; one that is given twice says nothing.
    pub fn name(&self) -> Option<(u32, u64)> {
        let boot = u32::try_from(self.number("boot")?).ok()?;
        let seq = self.number("seq")?;
        super::marks::is_seq(seq).then_some((boot, seq))
    }

    fn number(&self, name: &str) -> Option<u64> {
        let mut given = self.0.iter().filter(|(key, _)| key == name);
        let (_, raw) = given.next()?;
        if given.next().is_some() { None } else { serde_json::from_str(raw.get()).ok() }
    }

    fn last(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.last(name)?.get()).ok()
    }

    /// What may be kept.
    pub fn into_content(self, cards: Cards<'_>) -> Content {
        let mut kept = Map::new();
        for name in KEPT {
            let value = match self.value(name) {
                Some(Value::Object(reference)) if name == "deposit" => {
                    let known = ["device", "boot", "seq"];
                    let reference = reference.into_iter().filter(|(key, _)| known.contains(&key.as_str()));
                    let reference = reference.filter_map(|(key, value)| Some((key, cut(value)?)));
                    Some(Value::Object(reference.collect()))
                }
                value => value.and_then(cut),
            };
            if let Some(value) = value {
                kept.insert(name.to_owned(), value);
            }
        }
        if let Some(hash) = self.card(cards) {
            kept.insert(CARD_HASH.to_owned(), Value::String(hash.to_hex()));
        }
        Content::Fields(kept)
    }

    fn card(&self, cards: Cards<'_>) -> Option<CardHash> {
        let Cards::Clear(key) = cards else { return read_hash(self.value(CARD_HASH).as_ref()) };
        let card = self.last("card")?.get();
        match serde_json::from_str::<Option<String>>(card) {
            Ok(card) => card.filter(|card| !card.is_empty()).map(|card| key.hash(&card)),
            Err(_) => Some(key.hash(card)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object).map(Self)
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
