//! Where accepted events wait. A trait, because a simulator keeps them in memory and a bin in flash; whichever it is, what
//! was taken in stays until a receipt covers it.

use core::fmt;

use fenlei_wire::receipt::Receipt;

/// Longest encoded event that a queue need take: every event whose ids and card keep to their limits is shorter.
pub const MAX_EVENT_BYTES: usize = 1536;

/// There is no room: the event was not accepted and has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue has no room for the event")
    }
}

impl core::error::Error for QueueFull {}

/// The event was taken in, and the memory no longer has what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory lost the event")
    }
}

impl core::error::Error for Gone {}

/// An event that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its boot.
    pub boot: u32,
    /// Its number.
    pub seq: u64,
    /// Length of its JSON in bytes.
    pub length: usize,
    /// Where the queue keeps it; the queue's own affair, and void once the queue changes.
    pub place: usize,
}

impl Queued {
    /// The order of events: boots, then numbers.
    #[must_use]
    pub const fn key(&self) -> (u32, u64) {
        (self.boot, self.seq)
    }
}

/// A queue of encoded events, oldest first.
pub trait EventQueue {
    /// Takes an event in, which is not empty and whose (boot, seq) is greater than that of any before.
    ///
    /// # Errors
    /// [`QueueFull`], and then nothing has changed.
    fn push(&mut self, boot: u32, seq: u64, event: &[u8]) -> Result<(), QueueFull>;

    /// The events that no receipt has covered yet, oldest first.
    fn iter(&self) -> impl Iterator<Item = Queued>;

    /// Copies the event's JSON to `out`, which has its length.
    ///
    /// # Errors
    /// [`Gone`] if it cannot be had as it was.
    fn read(&self, queued: Queued, out: &mut [u8]) -> Result<(), Gone>;

    /// Forgets what the receipt covers, and nothing else; says how many events that were.
    fn settle(&mut self, receipt: &Receipt) -> usize;

    /// How many events wait.
    fn len(&self) -> usize;

    /// Whether no event waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A queue that lies elsewhere, such as in static memory.
impl<Q: EventQueue> EventQueue for &mut Q {
    fn push(&mut self, boot: u32, seq: u64, event: &[u8]) -> Result<(), QueueFull> {
        (**self).push(boot, seq, event)
    }

    fn iter(&self) -> impl Iterator<Item = Queued> {
        (**self).iter()
    }

    fn read(&self, queued: Queued, out: &mut [u8]) -> Result<(), Gone> {
        (**self).read(queued, out)
    }

    fn settle(&mut self, receipt: &Receipt) -> usize {
        (**self).settle(receipt)
    }

    fn len(&self) -> usize {
        (**self).len()
    }
}
