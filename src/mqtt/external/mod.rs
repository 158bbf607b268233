//! An external broker, reached over MQTT 5 with `rumqttc` or its codec: what comes from it, and what goes to it.
//!
//! Several backends share the events by a shared subscription, each with a session that ends with its connection: the
//! broker then divides what comes among those that are there, and keeps nothing for one that is not. What that one had
//! not stored has no receipt, so its device sends it again. States are kept by the broker, which tells them to whoever
//! subscribes; one backend at a time does. So does the one that tells devices their config: a message of the one before
//! may arrive at the broker after its own.

mod followed;
mod line;
mod publisher;
mod receiver;

use std::time::Duration;

use rumqttc::v5::MqttOptions;

pub use self::publisher::{outbox, publish};
pub use self::receiver::start;
use super::MAX_PACKET;

/// How to reach the broker.
#[derive(Clone)]
pub struct Options {
    /// A name or an address, that of IPv6 in brackets.
    pub host: String,
    pub port: u16,
    pub credentials: Option<(String, String)>,
    pub client_id: String,
    /// The group of the backends that share the events; `None`: this one receives all.
    pub share: Option<String>,
    /// Whether no other backend takes what this one misses: then the broker keeps it.
    pub alone: bool,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// For so long either side may be silent.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

pub(super) fn mqtt_options(options: &Options, client_id: &str) -> MqttOptions {
    let mut mqtt = MqttOptions::new(client_id, &options.host, options.port);
    mqtt.set_keep_alive(KEEP_ALIVE).set_max_packet_size(Some(MAX_PACKET));
    if let Some((user, password)) = &options.credentials {
        mqtt.set_credentials(user, password);
    }
    let mut network = rumqttc::NetworkOptions::new();
    network.set_tcp_nodelay(true);
    mqtt.set_network_options(network);
    mqtt
}

/// Waits between attempts: twice as long each time, up to a limit, by a random half of it, so that
/// several backends do not come back at once.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    /// Why it failed the last time.
    said: Option<String>,
}

impl Backoff {
    fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether it failed for another reason than the time before: the same one is said once.
    fn is_news(&mut self, reason: &str) -> bool {
        let news = self.said.as_deref() != Some(reason);
        if news {
            self.said = Some(reason.to_owned());
        }
        news
    }

    async fn wait(&mut self) {
        let longest = Duration::from_millis(250).saturating_mul(1 << self.failures.min(7)).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0; 1];
        let share = getrandom::fill(&mut random).map_or(1.0, |()| 0.5 + f64::from(random[0]) / 510.0);
        tokio::time::sleep(longest.mul_f64(share)).await;
    }
}
