//! What the backend answers once events are safe. A device may forget an event when, and only when, a receipt covers it.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_BEYOND;

/// Content of the `receipt` channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The boot it speaks of; it says nothing of any other.
    pub boot: u32,
    /// Every event up to this one is settled; 0 for none.
    pub through: u64,
    /// Ranges, both ends included, that are settled beyond it, lowest first.
    #[serde(default)]
    pub beyond: Vec<(u64, u64), MAX_BEYOND>,
}

impl Receipt {
    /// Whether the device may forget this event.
    #[must_use]
    pub fn covers(&self, boot: u32, seq: u64) -> bool {
        boot == self.boot
            && (seq <= self.through || self.beyond.iter().any(|&(first, last)| first <= seq && seq <= last))
    }
}
