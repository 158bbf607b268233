//! What comes to one of several backends at a time: the states of devices, and the configs that the broker keeps for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Whether something is to be received. The broker tells once more what it keeps of it whenever somebody begins to.
#[derive(Clone, Debug)]
pub struct Wish(watch::Sender<Option<u64>>);

impl Wish {
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub fn begin(&self) {
        // Another number each time: what ended and began again in one moment began again.
        self.0.send_replace(Some(fastrand::u64(..)));
    }

    pub fn end(&self) {
        self.0.send_replace(None);
    }

    pub(super) fn follow(&self) -> watch::Receiver<Option<u64>> {
        self.0.subscribe()
    }
}

impl Default for Wish {
    fn default() -> Self {
        Self::new()
    }
}

/// The configs that the broker keeps, as far as they came since somebody last looked.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub wish: Wish,
    /// By their topics.
    heard: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl Kept {
    pub(super) fn hear(&self, topic: &str, payload: &[u8]) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), payload.to_vec());
    }

    /// What came, by the topics; empty where something was cleared.
    pub fn take(&self) -> HashMap<String, Vec<u8>> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
