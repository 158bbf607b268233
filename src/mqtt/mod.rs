//! MQTT: where publishes come from and receipts go to. Either the embedded broker or an external one;
//! both deliver to the same [`Sink`], and neither acknowledges a publish before that says it is stored.

pub mod authority;
pub mod embedded;
pub mod external;
pub mod receipts;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::{mpsc, watch};

/// Room for a full event publish with its topic and headers. A larger packet ends the connection.
pub const MAX_PACKET: u32 = 1_114_112;

/// The filters of what devices say.
pub const FILTERS: [&str; 2] = ["fenlei/v1/+/+/+/event", "fenlei/v1/+/+/+/state"];

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
            Self::Embedded(router) => router.publish(message).await,
            // The receiver lives as long as the program: it ends only with it.
            Self::External(queue, _) => drop(queue.send(message).await),
        }
    }

    /// The number of the connection to the broker, while there is one. Another number: a broker that may know nothing
    /// of what was published before.
    pub fn connection(&self) -> watch::Receiver<Option<u64>> {
        match self {
            Self::Embedded(_) => watch::channel(Some(1)).1,
            Self::External(_, connections) => connections.clone(),
        }
    }

    /// Ends a device's connection after its secret changed. An external broker knows of that by its password file.
    pub async fn disconnect(&self, device: &str) {
        if let Self::Embedded(router) = self {
            router.disconnect(device).await;
        }
    }
}
