//! MQTT: where publishes come from and receipts go to. Either the embedded broker or an external one;
//! both deliver to the same [`Sink`], and neither acknowledges a publish before that says it is stored.

pub mod authority;
pub mod embedded;
pub mod external;
pub mod rates;
pub mod receipts;
pub mod relay;
pub mod share;
pub mod wished;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::{mpsc, watch};

/// Four times the largest publish: what is too large a publish is quarantined as that. A larger packet ends the connection.
pub const MAX_PACKET: u32 = 1_114_112;

/// The filters of what devices say.
pub const EVENTS: &str = "fenlei/v1/+/+/+/event";
pub const STATES: &str = "fenlei/v1/+/+/+/state";
/// And of what it keeps for them.
const CONFIGS: &str = "fenlei/v1/+/+/+/config";

/// `true`: stored. `false`: not stored, the sender must keep it.
pub type Stored = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Where publishes go.
pub trait Sink: Send + Sync + 'static {
    /// Hands a publish over. The future it yields ends when the publish is stored, or cannot be; what is
    /// handed over first is stored first.
    fn deliver<'a>(&'a self, topic: &'a str, payload: &'a [u8]) -> Pin<Box<dyn Future<Output = Stored> + Send + 'a>>;
}

/// A message from the backend to a device, always with QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// Absent: it holds for ever.
    pub lifetime: Option<Lifetime>,
}

/// How long a message holds: past it nobody is to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Unix milliseconds.
    pub until: i64,
    /// What is left of it, for the broker to count down.
    pub seconds: u32,
}

/// The connection to the broker, as it comes and goes; the embedded broker is always there.
#[derive(Clone, Debug)]
pub struct Connection(Option<watch::Receiver<Option<u64>>>);

impl Connection {
    /// Its number, while there is one. Another number: a broker that may know nothing of what was published before.
    pub fn number(&mut self) -> Option<u64> {
        self.0.as_mut().map_or(Some(1), |numbers| *numbers.borrow_and_update())
    }

    /// Comes back when it is another, or gone.
    pub async fn changed(&mut self) {
        let changed = match &mut self.0 {
            Some(numbers) => numbers.changed().await.is_ok(),
            None => false,
        };
        // Where nothing can change any more this never comes back: a loop that waits for it must not spin.
        if !changed {
            std::future::pending::<()>().await;
        }
    }
}

/// Publishes to devices, whichever broker there is.
#[derive(Clone, Debug)]
pub enum Publisher {
    Embedded(embedded::Router),
    /// Its queue, and the number of its connection while it has one.
    External(mpsc::Sender<Message>, watch::Receiver<Option<u64>>),
}

impl Publisher {
    /// Waits while the broker takes no more.
    pub async fn publish(&self, message: Message) {
        match self {
            Self::Embedded(router) => router.publish(message),
            // The receiver lives as long as the program: it ends only with it.
            Self::External(queue, _) => drop(queue.send(message).await),
        }
    }

    pub fn connection(&self) -> Connection {
        match self {
            Self::Embedded(_) => Connection(None),
            Self::External(_, connections) => Connection(Some(connections.clone())),
        }
    }

    /// Ends a device's connection after its secret changed. An external broker knows of that by its password file.
    pub fn disconnect(&self, device: &str) {
        if let Self::Embedded(router) = self {
            router.disconnect(device);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn who_waits_for_a_change_that_cannot_come_waits() {
        let mut embedded = Connection(None);
        assert_eq!((embedded.number(), embedded.changed().now_or_never()), (Some(1), None));
        let (sender, receiver) = watch::channel(None);
        let mut external = Connection(Some(receiver));
        assert_eq!((external.number(), external.changed().now_or_never()), (None, None));
        sender.send_replace(Some(2));
        assert_eq!((external.changed().now_or_never(), external.number()), (Some(()), Some(2)));
        drop(sender);
        assert_eq!(external.changed().now_or_never(), None);
    }
}
