//! What a driver tells a [`Session`], and what it is told to do.

use fenlei_wire::command::Command;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::Channel;

#[cfg(doc)]
use crate::Session;

/// Monotonic time in milliseconds, from any beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    pub(crate) const fn after(self, wait: u64) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The broker accepted the connection, and the three topics are subscribed.
    Connected,
    /// The connection, or the attempt at one, is at its end.
    Disconnected,
    /// The broker acknowledged a publish, in the order in which they were sent.
    PublishAcked,
    /// The wall clock was set or read. Until it is known no command counts as expired.
    Clock(UnixMillis),
    /// A message came in.
    Received {
        /// On which channel of the device.
        channel: Channel,
        /// Its payload.
        payload: &'a [u8],
    },
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "without an allocator the text lies in the command, and one is held at once"
)]
pub enum Action<'a> {
    /// Connect with [`Session::will`] as retained last will, subscribe, and answer with [`Input::Connected`] or
    /// [`Input::Disconnected`].
    Connect,
    /// Publish with QoS 1.
    Publish {
        /// On which channel of the device.
        channel: Channel,
        /// Whether the broker keeps it.
        retained: bool,
        /// What to publish.
        payload: &'a [u8],
    },
    /// Store [`Session::seen`], then do what the command says.
    Command(Command),
    /// [`Session::config`] has changed: store it and keep to it.
    Configured,
    /// Nothing before then, unless something happens.
    Wait {
        /// When to poll again.
        until: Millis,
    },
    /// Nothing, until something happens.
    Idle,
}

/// What a device may tell of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events refused because the queue was full; they have no number and are not `lost`.
    pub refused: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Commands not handed out because they had expired or there was no room for them.
    pub skipped: u64,
}
