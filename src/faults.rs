//! What does not work at the moment, part by part. Whoever finds out notes it here; `/readyz`, `/metrics` and the pages
//! tell it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A part that may fail while the others go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Nothing can be written.
    Store,
    /// No device can be heard.
    Mqtt,
    /// The machine's clock was set, so that one of the two times was wrong.
    Clock,
    /// The time-series server takes nothing.
    Export,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Store, Self::Mqtt, Self::Clock, Self::Export];

    /// For metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Mqtt => "mqtt",
            Self::Clock => "clock",
            Self::Export => "export",
        }
    }
}

/// The parts that fail, each with the reason in plain words: no path, no address, nothing of anybody's.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<BTreeMap<Part, String>>>);

impl Faults {
    pub fn fails(&self, part: Part, reason: impl Into<String>) {
        self.known().insert(part, reason.into());
    }

    pub fn works(&self, part: Part) {
        self.known().remove(&part);
    }

    pub fn now(&self) -> BTreeMap<Part, String> {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Part, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
