//! From the bytes of a publish to validated events, each element of an array on its own.
//!
//! The quick path reads an element straight into its type. Only an element that fails there is read a
//! second time, to say which field is wrong and whether its boot and seq can be read all the same.

use std::borrow::Cow;

use chrono::DateTime;
use fenlei_wire::limits::{MAX_BATCH, MAX_CARD_BYTES, MAX_GRAMS, MAX_PAYLOAD, is_id};
use fenlei_wire::vocabulary::{
    AlarmKind, DisplayStatus, DoorBy, EventType, ExecutedStatus, SightingKind, Stream, Verdict,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use super::card::{CardHash, CardKey};
use super::event::{Alarm, Body, Deposit, Display, Door, Emptied, Event, Executed, Fill, Heartbeat, Judged};
use super::event::{Judgement, Lost, NOTHING_JUDGED, Sighting};
use super::marks::is_seq;
use super::quarantine::{CARD_HASH, Cards, Content, Fields, read_hash};
use super::refusal::{Reason, Refusal};

/// How far an event may be stamped ahead of its arrival, in milliseconds.
pub const MAX_AHEAD_MS: i64 = 5 * 60 * 1000;
/// How far an event may be stamped behind its arrival, in milliseconds.
pub const MAX_BEHIND_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// The longest free text an event may carry, in bytes; what is longer is cut.
const MAX_DETAIL: usize = 256;

/// One element of a publish.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    Event(Event),
    Refused(Refused),
}

/// An element that cannot be accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub refusal: Refusal,
    /// (boot, seq), where they can be read: that seq is used up and receipted all the same.
    pub name: Option<(u32, u64)>,
    pub content: Content,
}

/// The elements of the payload of an `event` publish that arrived at `received` (Unix milliseconds).
pub fn decode(payload: &[u8], received: i64, key: &CardKey) -> Vec<Element> {
    let whole = |refusal| vec![Element::Refused(Refused { refusal, name: None, content: Content::raw(payload) })];
    let cards = Cards::Clear(key);
    let Ok(text) = std::str::from_utf8(payload) else {
        return whole(Refusal::new(Reason::NotJson, "the payload is not UTF-8"));
    };
    if !text.trim_start().starts_with('[') {
        let element = bounded(text, payload.len(), received, cards);
        let refused = matches!(element, Element::Refused(_));
        return if refused && serde_json::from_str::<IgnoredAny>(text).is_err() {
            whole(Refusal::new(Reason::NotJson, "the payload is not JSON"))
        } else {
            vec![element]
        };
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Err(_) => whole(Refusal::new(Reason::NotJson, "the payload is not JSON")),
        Ok(elements) if elements.is_empty() => {
            whole(Refusal::new(Reason::NotAnEvent, "the array is empty: it takes 1 to 500 events"))
        }
        Ok(elements) => {
            let within = elements.iter().take(MAX_BATCH).map(|one| bounded(one.get(), payload.len(), received, cards));
            let refusal = || Refusal::new(Reason::TooMany, "beyond the 500th event of an array");
            let beyond = elements.iter().skip(MAX_BATCH).map(|one| refuse(one.get(), refusal(), cards));
            within.chain(beyond).collect()
        }
    }
}

/// An event that was refused before, read again from what was kept of it.
pub fn decode_kept(fields: &serde_json::Map<String, Value>, received: i64) -> Element {
    let text = Value::Object(fields.clone()).to_string();
    match event(&text, received, Cards::Hashed) {
        Ok(event) => Element::Event(event),
        Err(refusal) => refuse(&text, refusal, Cards::Hashed),
    }
}

/// What an element says, whenever it came: the event it is, or would have been in time. `None`: it is none.
pub fn said(content: &Content) -> Option<Event> {
    let Content::Fields(fields) = content else { return None };
    let stamped = fields.get("time").and_then(Value::as_str).and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    match decode_kept(fields, stamped.map_or(0, |time| time.timestamp_millis())) {
        Element::Event(event) => Some(event),
        Element::Refused(_) => None,
    }
}

fn bounded(text: &str, publish_bytes: usize, received: i64, cards: Cards<'_>) -> Element {
    if publish_bytes > MAX_PAYLOAD {
        return refuse(text, Refusal::new(Reason::TooLarge, "the publish is larger than 256 KiB"), cards);
    }
    match event(text, received, cards) {
        Ok(event) => Element::Event(event),
        Err(refusal) => refuse(text, refusal, cards),
    }
}

/// What is kept of an element that cannot be accepted.
fn refuse(text: &str, refusal: Refusal, cards: Cards<'_>) -> Element {
    Element::Refused(match Fields::read(text) {
        Some(fields) => Refused { refusal, name: fields.name(), content: fields.into_content(cards) },
        // JSON of a shape that no event has. Its bytes may hold a card in the clear, so they are not kept.
        None => Refused { refusal, name: None, content: Content::Fields(serde_json::Map::new()) },
    })
}

#[derive(Deserialize)]
struct Head<'a> {
    boot: u32,
    seq: u64,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    clock: Option<Cow<'a, str>>,
    r#type: EventType,
}

#[derive(Deserialize)]
struct DepositFields<'a> {
    stream: Stream,
    grams: u32,
    #[serde(borrow, default)]
    card: Option<Cow<'a, str>>,
    #[serde(default)]
    card_hash: Option<Value>,
    #[serde(default)]
    verdict: Option<Verdict>,
    #[serde(default)]
    reason: Option<String>,
}

fn event(text: &str, received: i64, cards: Cards<'_>) -> Result<Event, Refusal> {
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::new(Reason::NotAnEvent, "an event is a JSON object"));
    }
    let head: Head<'_> = serde_json::from_str(text).map_err(|error| explain::<HeadOwned>(text, &error))?;
    require(is_seq(head.seq), "seq", "a whole number from 1 to 2^53-1")?;
    let unsynced = match head.clock.as_deref() {
        None | Some("synced") => false,
        Some("unsynced") => true,
        Some(_) => return Err(invalid("clock", "\"unsynced\", or absent")),
    };
    let time = if unsynced { received } else { stamped(head.time.as_deref(), received)? };
    let body = body(text, head.r#type, cards)?;
    if let Body::Lost(lost) = &body {
        require(lost.of_boot <= head.boot, "of_boot", "the boot of this event or an earlier one")?;
        let before_itself = lost.of_boot < head.boot || lost.to < head.seq;
        require(before_itself, "to", "below the event's own seq")?;
    }
    Ok(Event { boot: head.boot, seq: head.seq, time, unsynced, body })
}

fn stamped(time: Option<&str>, received: i64) -> Result<i64, Refusal> {
    let text = time.ok_or_else(|| Refusal::new(Reason::MissingField, "`time` is missing"))?;
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| invalid("time", "RFC 3339 with an offset, such as 2026-11-20T08:15:30.250+08:00"))?
        .timestamp_millis();
    if time > received.saturating_add(MAX_AHEAD_MS) {
        Err(Refusal::new(Reason::TimeAhead, "`time` is over 5 minutes ahead of arrival"))
    } else if time < received.saturating_sub(MAX_BEHIND_MS) {
        Err(Refusal::new(Reason::TimeBehind, "`time` is over 90 days behind arrival"))
    } else {
        Ok(time)
    }
}

fn body(text: &str, event_type: EventType, cards: Cards<'_>) -> Result<Body, Refusal> {
    Ok(match event_type {
        EventType::Deposit => Body::Deposit(deposit(text, cards)?),
        EventType::Fill => {
            let fill: Fill = fields(text)?;
            require((0.0..=100.0).contains(&fill.percent), "percent", "a number from 0 to 100")?;
            Body::Fill(fill)
        }
        EventType::Emptied => {
            let emptied: Emptied = fields(text)?;
            require(emptied.grams <= MAX_GRAMS, "grams", EXPECTED_GRAMS)?;
            Body::Emptied(emptied)
        }
        EventType::Door => Body::Door(fields::<Door>(text)?),
        EventType::Alarm => Body::Alarm(fields::<Alarm>(text)?),
        EventType::Judgement => {
            let judgement: Judgement = fields(text)?;
            require(judgement.confidence.is_none_or(is_share), "confidence", EXPECTED_SHARE)?;
            let name = if matches!(judgement.judged, Judged::Bin(_)) { "bin" } else { "deposit" };
            require(is_id(judgement.judged.device()), name, "the id of a bin of this site")?;
            if let Judged::Deposit(deposit) = &judgement.judged {
                require(is_seq(deposit.seq), "deposit.seq", "a whole number from 1 to 2^53-1")?;
            }
            Body::Judgement(judgement)
        }
        EventType::Sighting => {
            let sighting: Sighting = fields(text)?;
            require(is_share(sighting.confidence), "confidence", EXPECTED_SHARE)?;
            Body::Sighting(sighting)
        }
        EventType::Display => {
            let mut display: Display = fields(text)?;
            require(is_command_id(&display.command), "command", EXPECTED_COMMAND)?;
            cut(&mut display.detail);
            Body::Display(display)
        }
        EventType::Executed => {
            let mut executed: Executed = fields(text)?;
            require(is_command_id(&executed.command), "command", EXPECTED_COMMAND)?;
            cut(&mut executed.detail);
            Body::Executed(executed)
        }
        EventType::Heartbeat => Body::Heartbeat(fields::<Heartbeat>(text)?),
        EventType::Lost => {
            let lost: Lost = fields(text)?;
            require(is_seq(lost.from), "from", "a whole number from 1 to 2^53-1")?;
            require(is_seq(lost.to) && lost.from <= lost.to, "to", "a whole number from `from` to 2^53-1")?;
            Body::Lost(lost)
        }
    })
}

fn deposit(text: &str, cards: Cards<'_>) -> Result<Deposit, Refusal> {
    let fields: DepositFields<'_> =
        serde_json::from_str(text).map_err(|error| explain::<DepositOwned>(text, &error))?;
    require(fields.grams <= MAX_GRAMS, "grams", EXPECTED_GRAMS)?;
    let card = fields.card.filter(|card| !card.is_empty());
    require(card.as_ref().is_none_or(|card| card.len() <= MAX_CARD_BYTES), "card", "at most 64 bytes")?;
    let card: Option<CardHash> = match cards {
        Cards::Clear(key) => card.map(|card| key.hash(&card)),
        Cards::Hashed => read_hash(fields.card_hash.as_ref()),
    };
    let mut reason = fields.reason;
    cut(&mut reason);
    Ok(Deposit { stream: fields.stream, grams: fields.grams, card, verdict: fields.verdict, reason })
}

const EXPECTED_GRAMS: &str = "a whole number from 0 to 200000";
const EXPECTED_SHARE: &str = "a number from 0 to 1";
const EXPECTED_COMMAND: &str = "the id of a command, 1 to 64 bytes";

fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn is_command_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
}

fn cut(text: &mut Option<String>) {
    if let Some(text) = text {
        text.truncate(text.floor_char_boundary(MAX_DETAIL));
    }
}

fn require(holds: bool, field: &str, expected: &str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(invalid(field, expected)) }
}

fn invalid(field: &str, expected: &str) -> Refusal {
    Refusal::new(Reason::InvalidField, format!("`{field}` must be {expected}"))
}

fn fields<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &error))
}

/// The head and a deposit as owned types: borrowed ones cannot report the path of an error.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read only for the path of the first error")]
struct HeadOwned {
    boot: u32,
    seq: u64,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    clock: Option<String>,
    r#type: EventType,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read only for the path of the first error")]
struct DepositOwned {
    stream: Stream,
    grams: u32,
    #[serde(default)]
    card: Option<String>,
    #[serde(default)]
    verdict: Option<Verdict>,
    #[serde(default)]
    reason: Option<String>,
}

/// Says which field is wrong. The error of the parser itself is not shown: it quotes the value.
fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return Refusal::new(Reason::MissingField, format!("`{field}` is missing"));
    }
    if message.contains(NOTHING_JUDGED) {
        return Refusal::new(Reason::MissingField, NOTHING_JUDGED);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => error.path().to_string(),
        Ok(_) => ".".to_owned(),
    };
    if path == "." {
        return Refusal::new(Reason::InvalidField, "a field is given twice or has a value of the wrong type");
    }
    let reason = if path == "type" { Reason::UnknownType } else { Reason::InvalidField };
    Refusal::new(reason, format!("`{path}` must be {}", expected(&path)))
}

fn expected(field: &str) -> String {
    fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> String {
        format!("one of {}", all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", "))
    }
    match field {
        "type" => one_of(EventType::ALL, EventType::as_str),
        "stream" => one_of(Stream::ALL, Stream::as_str),
        "verdict" => one_of(Verdict::ALL, Verdict::as_str),
        "alarm" => one_of(AlarmKind::ALL, AlarmKind::as_str),
        "by" => one_of(DoorBy::ALL, DoorBy::as_str),
        "what" => one_of(SightingKind::ALL, SightingKind::as_str),
        "status" => format!(
            "{} (a projector's) or {} (a bin's)",
            one_of(DisplayStatus::ALL, DisplayStatus::as_str),
            one_of(ExecutedStatus::ALL, ExecutedStatus::as_str)
        ),
        "boot" | "of_boot" => "a whole number from 0 to 4294967295".to_owned(),
        "seq" | "from" | "to" => "a whole number from 1 to 2^53-1".to_owned(),
        "grams" => EXPECTED_GRAMS.to_owned(),
        "percent" => "a number from 0 to 100".to_owned(),
        "confidence" => EXPECTED_SHARE.to_owned(),
        "open" | "active" => "true or false".to_owned(),
        "celsius" | "millivolts" | "rssi" => "a number".to_owned(),
        _ => "of the type that the table of events gives".to_owned(),
    }
}

/// An event as it is kept when it was well-formed but could not be accepted where it came from.
pub fn content_of(event: &Event) -> Content {
    let mut fields = serde_json::Map::new();
    fields.insert("boot".into(), event.boot.into());
    fields.insert("seq".into(), event.seq.into());
    let time = DateTime::from_timestamp_millis(event.time).unwrap_or_default();
    fields.insert("time".into(), time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true).into());
    if event.unsynced {
        fields.insert("clock".into(), "unsynced".into());
    }
    fields.insert("type".into(), event.body.event_type().as_str().into());
    if let Body::Deposit(deposit) = &event.body
        && let Some(card) = deposit.card
    {
        fields.insert(CARD_HASH.into(), card.to_hex().into());
    }
    fields.extend(event.body.fields());
    Content::Fields(fields)
}
