//! What happens at a device before it becomes an event: the device gives it its number when it takes it in.

use std::sync::Arc;

use fenlei_logic::role::Report;
use fenlei_wire::event::{Body, Judged};
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{Reason, Stream, Verdict};

/// China has kept one offset from UTC, in minutes, for as long as there have been smart bins.
pub const OFFSET_MINUTES: i16 = 480;

/// Something that happens at a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    pub time: UnixMillis,
    pub what: What,
}

/// What happens; those that carry texts own them, because they outlive whoever thought them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Deposit {
        stream: Stream,
        grams: u32,
        card: Option<Arc<str>>,
    },
    Judgement {
        verdict: Verdict,
        reason: Option<Reason>,
        confidence: u16,
        bin: Arc<str>,
        /// Boot and number of the deposit; without them the bin's nearest in time is meant.
        deposit: Option<(u32, u64)>,
    },
    /// What the device has to tell of its lid or its picture.
    Reported(Report),
    Plain(Body<'static>),
}

impl What {
    /// As the device tells it.
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Deposit { stream, grams, card } => {
                Body::Deposit { stream: *stream, grams: *grams, card: card.as_deref(), verdict: None, reason: None }
            }
            Self::Judgement { verdict, reason, confidence, bin, deposit } => Body::Judgement {
                verdict: *verdict,
                reason: *reason,
                confidence: *confidence,
                judged: match deposit {
                    Some((boot, seq)) => Judged::Deposit { device: bin, boot: *boot, seq: *seq },
                    None => Judged::Bin(bin),
                },
            },
            Self::Reported(report) => report.body(),
            Self::Plain(body) => *body,
        }
    }
}
