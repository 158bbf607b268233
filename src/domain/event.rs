//! Events as they are once validated: every value in range, the card a keyed hash, the time decided.
//!
//! The structs of the single types are at once what is read from a device, what the ledger keeps and
//! what `/events` shows, so that nothing is lost between the three.

use fenlei_wire::vocabulary::{
    AlarmKind, DisplayStatus, DoorBy, EventType, ExecutedStatus, Reason, SightingKind, Stream, Verdict,
};
use serde::{Deserialize, Serialize};

use super::card::CardHash;

/// A validated event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub boot: u32,
    pub seq: u64,
    /// When it happened, Unix milliseconds: by the device's clock, or the time of arrival where that is unsynced.
    pub time: i64,
    pub unsynced: bool,
    pub body: Body,
}

impl Event {
    /// Whether `later`, come under the same name, says the same. An unsynced event is stamped on
    /// arrival, so its second arrival may differ in nothing but that.
    pub fn same_content(&self, later: &Self) -> bool {
        self.unsynced == later.unsynced && (self.unsynced || self.time == later.time) && self.body == later.body
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Deposit(Deposit),
    Fill(Fill),
    Emptied(Emptied),
    Door(Door),
    Alarm(Alarm),
    Judgement(Judgement),
    Sighting(Sighting),
    Display(Display),
    Executed(Executed),
    Heartbeat(Heartbeat),
    Lost(Lost),
}

impl Body {
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Deposit(_) => EventType::Deposit,
            Self::Fill(_) => EventType::Fill,
            Self::Emptied(_) => EventType::Emptied,
            Self::Door(_) => EventType::Door,
            Self::Alarm(_) => EventType::Alarm,
            Self::Judgement(_) => EventType::Judgement,
            Self::Sighting(_) => EventType::Sighting,
            Self::Display(_) => EventType::Display,
            Self::Executed(_) => EventType::Executed,
            Self::Heartbeat(_) => EventType::Heartbeat,
            Self::Lost(_) => EventType::Lost,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Deposit {
    pub stream: Stream,
    pub grams: u32,
    pub card: Option<CardHash>,
    /// The bin's own verdict; a camera's and a volunteer's stand before it.
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    pub stream: Stream,
    pub percent: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub celsius: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emptied {
    pub stream: Stream,
    pub grams: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Door {
    pub open: bool,
    pub by: DoorBy,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub alarm: AlarmKind,
    pub active: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "JudgementFields")]
pub struct Judgement {
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(flatten)]
    pub judged: Judged,
}

/// As it is read. Flattening would read unknown fields too, and stumble over what must be ignored.
#[derive(Deserialize)]
struct JudgementFields {
    verdict: Verdict,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(default)]
    deposit: Option<DepositRef>,
    #[serde(default)]
    bin: Option<String>,
}

/// What a judgement without a target is told.
pub const NOTHING_JUDGED: &str = "`deposit` (with device, boot and seq) or `bin` is missing";

impl TryFrom<JudgementFields> for Judgement {
    type Error = &'static str;

    fn try_from(fields: JudgementFields) -> Result<Self, Self::Error> {
        let judged = fields.deposit.map(Judged::Deposit).or(fields.bin.map(Judged::Bin)).ok_or(NOTHING_JUDGED)?;
        Ok(Self { verdict: fields.verdict, reason: fields.reason, confidence: fields.confidence, judged })
    }
}

/// What a camera judges.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Judged {
    #[serde(rename = "deposit")]
    Deposit(DepositRef),
    /// The named bin's deposit nearest in time, not yet judged by a camera.
    #[serde(rename = "bin")]
    Bin(String),
}

impl Judged {
    pub fn device(&self) -> &str {
        match self {
            Self::Deposit(deposit) => &deposit.device,
            Self::Bin(device) => device,
        }
    }
}

/// Names a deposit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DepositRef {
    /// A bin.
    #[schema(example = "bin-1")]
    pub device: String,
    #[schema(example = 7)]
    pub boot: u32,
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1042)]
    pub seq: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    pub what: SightingKind,
    pub confidence: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Display {
    pub command: String,
    pub status: DisplayStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Executed {
    pub command: String,
    pub status: ExecutedStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub celsius: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millivolts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi: Option<f64>,
}

/// Events that the device accepted but can never deliver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    pub of_boot: u32,
    pub from: u64,
    pub to: u64,
}

impl Body {
    /// The event's own fields as `/events` shows them; never a card.
    pub fn fields(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = match self {
            Self::Deposit(deposit) => serde_json::to_value(DepositShown {
                stream: deposit.stream,
                grams: deposit.grams,
                verdict: deposit.verdict,
                reason: deposit.reason.as_deref(),
            }),
            Self::Fill(body) => serde_json::to_value(body),
            Self::Emptied(body) => serde_json::to_value(body),
            Self::Door(body) => serde_json::to_value(body),
            Self::Alarm(body) => serde_json::to_value(body),
            Self::Judgement(body) => serde_json::to_value(body),
            Self::Sighting(body) => serde_json::to_value(body),
            Self::Display(body) => serde_json::to_value(body),
            Self::Executed(body) => serde_json::to_value(body),
            Self::Heartbeat(body) => serde_json::to_value(body),
            Self::Lost(body) => serde_json::to_value(body),
        };
        match value {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        }
    }
}

impl Body {
    /// The fields as the ledger keeps them, for the types that have no columns there: JSON, or nothing where there is none.
    pub fn detail(&self) -> Option<String> {
        let json = match self {
            Self::Deposit(deposit) => {
                let reason = deposit.reason.as_ref()?;
                serde_json::to_string(&serde_json::json!({ "reason": reason }))
            }
            Self::Emptied(_) => return None,
            Self::Fill(body) => serde_json::to_string(body),
            Self::Door(body) => serde_json::to_string(body),
            Self::Alarm(body) => serde_json::to_string(body),
            Self::Judgement(body) => serde_json::to_string(body),
            Self::Sighting(body) => serde_json::to_string(body),
            Self::Display(body) => serde_json::to_string(body),
            Self::Executed(body) => serde_json::to_string(body),
            Self::Heartbeat(body) => serde_json::to_string(body),
            Self::Lost(body) => serde_json::to_string(body),
        };
        json.ok().filter(|json| json != "{}")
    }
}

#[derive(Serialize)]
struct DepositShown<'a> {
    stream: Stream,
    grams: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}
