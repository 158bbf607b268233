//! Messages on their way to a device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// As it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outbound {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    /// As it was published.
    pub(super) retain: bool,
    /// Past it nobody is to see it.
    pub(super) until: Option<Instant>,
}

/// As it is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    /// Absent: QoS 0.
    pub(super) id: Option<u16>,
    /// It was sent before.
    pub(super) again: bool,
    /// What is left of its time.
    pub(super) lifetime: Option<Duration>,
    /// The number that its subscription goes by.
    pub(super) subscription: Option<u32>,
}
