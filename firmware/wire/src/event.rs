//! What a device tells the backend, and its one spelling. Encoding only: the backend reads on its own, more leniently,
//! since it must also name what is wrong with a stranger's event.

use core::fmt::{self, Write};

use crate::json::write_str;
use crate::limits::MAX_DETAIL_BYTES;
use crate::time::{UnixMillis, write_rfc3339};
use crate::vocabulary::{
    AlarmKind, DisplayStatus, DoorBy, EventType, ExecutedStatus, Reason, SightingKind, Stream, Verdict,
};

/// One event. (device, boot, seq) names it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which start of the device it belongs to.
    pub boot: u32,
    /// Its number within that boot, from 1.
    pub seq: u64,
    /// When it happened, by the device's clock.
    pub time: UnixMillis,
    /// Offset of local time, in minutes, that `time` is written with.
    pub offset_minutes: i16,
    /// Whether the clock was not to be trusted: then the time of arrival stands in.
    pub unsynced: bool,
    /// What happened.
    pub body: Body<'a>,
}

/// What happened. Temperatures are in tenths of a degree Celsius and confidences in thousandths, because a device without
/// floating point must write exactly the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Waste was put into a bin.
    Deposit {
        /// Stream of the bin.
        stream: Stream,
        /// Weight, 0 to 200000.
        grams: u32,
        /// The card shown, at most 64 bytes; none: anonymous.
        card: Option<&'a str>,
        /// What the bin itself found.
        verdict: Option<Verdict>,
        /// Why it is not sorted well.
        reason: Option<Reason>,
    },
    /// How full a bin is.
    Fill {
        /// Stream of the bin.
        stream: Stream,
        /// 0 to 100.
        percent: u8,
        /// Tenths of a degree Celsius.
        celsius: Option<i16>,
    },
    /// A bin was emptied.
    Emptied {
        /// Stream of the bin.
        stream: Stream,
        /// Weight taken away, 0 to 200000.
        grams: u32,
    },
    /// A lid moved.
    Door {
        /// Whether it opened.
        open: bool,
        /// Who moved it.
        by: DoorBy,
    },
    /// An alarm began or ended.
    Alarm {
        /// Which.
        alarm: AlarmKind,
        /// Whether it began.
        active: bool,
    },
    /// A camera judged a deposit.
    Judgement {
        /// What it found.
        verdict: Verdict,
        /// Why it is not sorted well.
        reason: Option<Reason>,
        /// Thousandths, 0 to 1000.
        confidence: u16,
        /// What it judged.
        judged: Judged<'a>,
    },
    /// A camera saw something.
    Sighting {
        /// What.
        what: SightingKind,
        /// Thousandths, 0 to 1000.
        confidence: u16,
    },
    /// A projector's step with a command.
    Display {
        /// Id of the command.
        command: &'a str,
        /// Which step.
        status: DisplayStatus,
        /// More about it; what exceeds 128 bytes is not sent.
        detail: Option<&'a str>,
    },
    /// A bin's outcome of a command.
    Executed {
        /// Id of the command.
        command: &'a str,
        /// Which outcome.
        status: ExecutedStatus,
        /// More about it; what exceeds 128 bytes is not sent.
        detail: Option<&'a str>,
    },
    /// A sign of life.
    Heartbeat {
        /// Tenths of a degree Celsius.
        celsius: Option<i16>,
        /// Voltage of the supply.
        millivolts: Option<u32>,
        /// Strength of the radio signal, in dBm.
        rssi: Option<i16>,
    },
    /// Events that were accepted and can never be delivered.
    Lost {
        /// Their boot.
        of_boot: u32,
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
}

/// What a judgement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged<'a> {
    /// One deposit by its name.
    Deposit {
        /// Id of the bin.
        device: &'a str,
        /// Boot of the deposit.
        boot: u32,
        /// Sequence number of the deposit.
        seq: u64,
    },
    /// The deposit of this bin, of the same site, that is nearest in time.
    Bin(&'a str),
}

impl Body<'_> {
    /// Its type's word.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Deposit { .. } => EventType::Deposit,
            Self::Fill { .. } => EventType::Fill,
            Self::Emptied { .. } => EventType::Emptied,
            Self::Door { .. } => EventType::Door,
            Self::Alarm { .. } => EventType::Alarm,
            Self::Judgement { .. } => EventType::Judgement,
            Self::Sighting { .. } => EventType::Sighting,
            Self::Display { .. } => EventType::Display,
            Self::Executed { .. } => EventType::Executed,
            Self::Heartbeat { .. } => EventType::Heartbeat,
            Self::Lost { .. } => EventType::Lost,
        }
    }
}

impl Event<'_> {
    /// Writes the event as JSON, without any white space.
    ///
    /// # Errors
    /// Only those of `out`, such as its being full.
    pub fn encode(&self, out: &mut impl Write) -> fmt::Result {
        write!(out, r#"{{"boot":{},"seq":{},"time":""#, self.boot, self.seq)?;
        write_rfc3339(self.time, self.offset_minutes, out)?;
        out.write_char('"')?;
        if self.unsynced {
            out.write_str(r#","clock":"unsynced""#)?;
        }
        word(out, "type", self.body.event_type().as_str())?;
        self.body.encode(out)?;
        out.write_char('}')
    }
}

impl Body<'_> {
    fn encode(&self, out: &mut impl Write) -> fmt::Result {
        match *self {
            Self::Deposit { stream, grams, card, verdict, reason } => {
                word(out, "stream", stream.as_str())?;
                number(out, "grams", grams)?;
                if let Some(card) = card {
                    text(out, "card", card)?;
                }
                if let Some(verdict) = verdict {
                    word(out, "verdict", verdict.as_str())?;
                }
                optional_reason(out, reason)
            }
            Self::Fill { stream, percent, celsius } => {
                word(out, "stream", stream.as_str())?;
                number(out, "percent", percent)?;
                optional_celsius(out, celsius)
            }
            Self::Emptied { stream, grams } => {
                word(out, "stream", stream.as_str())?;
                number(out, "grams", grams)
            }
            Self::Door { open, by } => {
                number(out, "open", open)?;
                word(out, "by", by.as_str())
            }
            Self::Alarm { alarm, active } => {
                word(out, "alarm", alarm.as_str())?;
                number(out, "active", active)
            }
            Self::Judgement { verdict, reason, confidence, judged } => {
                word(out, "verdict", verdict.as_str())?;
                optional_reason(out, reason)?;
                thousandths(out, confidence)?;
                match judged {
                    Judged::Deposit { device, boot, seq } => {
                        out.write_str(r#","deposit":{"device":"#)?;
                        write_str(out, device)?;
                        write!(out, r#","boot":{boot},"seq":{seq}}}"#)
                    }
                    Judged::Bin(device) => text(out, "bin", device),
                }
            }
            Self::Sighting { what, confidence } => {
                word(out, "what", what.as_str())?;
                thousandths(out, confidence)
            }
            Self::Display { command, status, detail } => outcome(out, command, status.as_str(), detail),
            Self::Executed { command, status, detail } => outcome(out, command, status.as_str(), detail),
            Self::Heartbeat { celsius, millivolts, rssi } => {
                optional_celsius(out, celsius)?;
                if let Some(millivolts) = millivolts {
                    number(out, "millivolts", millivolts)?;
                }
                if let Some(rssi) = rssi {
                    number(out, "rssi", rssi)?;
                }
                Ok(())
            }
            Self::Lost { of_boot, from, to } => {
                number(out, "of_boot", of_boot)?;
                number(out, "from", from)?;
                number(out, "to", to)
            }
        }
    }
}

/// A member whose value is of a closed list and needs no escaping.
fn word(out: &mut impl Write, key: &str, value: &str) -> fmt::Result {
    write!(out, r#","{key}":"{value}""#)
}

fn text(out: &mut impl Write, key: &str, value: &str) -> fmt::Result {
    write!(out, r#","{key}":"#)?;
    write_str(out, value)
}

fn number(out: &mut impl Write, key: &str, value: impl fmt::Display) -> fmt::Result {
    write!(out, r#","{key}":{value}"#)
}

fn optional_reason(out: &mut impl Write, reason: Option<Reason>) -> fmt::Result {
    reason.map_or(Ok(()), |reason| word(out, "reason", reason.as_str()))
}

fn optional_celsius(out: &mut impl Write, tenths: Option<i16>) -> fmt::Result {
    let Some(tenths) = tenths else { return Ok(()) };
    let sign = if tenths < 0 { "-" } else { "" };
    write!(out, r#","celsius":{sign}{}.{}"#, tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10)
}

fn thousandths(out: &mut impl Write, confidence: u16) -> fmt::Result {
    write!(out, r#","confidence":{}.{:03}"#, confidence / 1000, confidence % 1000)
}

fn outcome(out: &mut impl Write, command: &str, status: &str, detail: Option<&str>) -> fmt::Result {
    text(out, "command", command)?;
    word(out, "status", status)?;
    detail.map_or(Ok(()), |detail| text(out, "detail", cut(detail)))
}

/// The longest beginning of a detail that may be sent. It is a courtesy to people, and must not make an event too long
/// to queue.
fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(MAX_DETAIL_BYTES)]
}
