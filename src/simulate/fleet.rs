//! All simulated devices together: one task and one connection for each, counted in one place.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::device::Device;
use super::occurrence::Occurrence;
use crate::clock::SharedClock;
use crate::config::BrokerUrl;

/// Where the devices connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
}

impl From<&BrokerUrl> for Broker {
    /// The login of the URL is the backend's: devices have their own.
    fn from(url: &BrokerUrl) -> Self {
        // What is connected to is written with brackets where it is an IPv6 address.
        let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        Self { host, port: url.port }
    }
}

impl From<SocketAddr> for Broker {
    fn from(address: SocketAddr) -> Self {
        let address = reachable(address);
        let host = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
        Self { host, port: address.port() }
    }
}

/// Where to connect to what listens on an address: what listens everywhere is reached here.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mqtt://{}:{}", self.host, self.port)
    }
}

/// What a device logs in with, and where it belongs.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Credential {
    pub device: String,
    pub secret: String,
    pub site: String,
    pub kind: DeviceKind,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, …)", self.device)
    }
}

impl Credential {
    /// The name of one of the device's topics.
    pub fn topic(&self, channel: Channel) -> String {
        Topic { site: &self.site, kind: self.kind, device: &self.device, channel }.to_string()
    }
}

/// How far the devices are, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that devices took in, and so will deliver.
    pub accepted: u64,
    /// Events that receipts cover.
    pub receipted: u64,
    pub connected: u64,
}

impl Counts {
    pub fn waiting(&self) -> u64 {
        self.accepted - self.receipted
    }
}

/// What happens at each device.
pub type Sources = BTreeMap<&'static str, BoxStream<'static, Occurrence>>;

/// The running devices. Dropping it ends them without order.
#[derive(Debug)]
pub struct Fleet {
    tasks: JoinSet<()>,
    counts: watch::Receiver<Counts>,
    stop: CancellationToken,
}

impl Fleet {
    /// Starts a device for each credential that has a source.
    pub fn start(
        broker: &Broker,
        credentials: &[Credential],
        mut sources: Sources,
        boot: u32,
        seed: u64,
        clock: &SharedClock,
    ) -> Self {
        let (counts, counted) = watch::channel(Counts::default());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (index, credential) in (0..).zip(credentials) {
            let Some(source) = sources.remove(credential.device.as_str()) else { continue };
            let device = Device {
                broker: broker.clone(),
                credential: credential.clone(),
                boot,
                // Devices that lose their broker together must not come back together.
                seed: seed.wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                clock: clock.clone(),
                counts: counts.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(device.run(source));
        }
        Self { tasks, counts: counted, stop }
    }

    /// How far they are, now and at each change.
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.clone()
    }

    /// Comes back when every device has delivered everything and has stopped.
    pub async fn finished(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a simulated device ended abruptly");
            }
        }
    }

    /// Stops the devices in order, whatever waits, and says how far they came.
    pub async fn stop(mut self) -> Counts {
        self.stop.cancel();
        self.finished().await;
        *self.counts.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_by_url_and_by_address() {
        let by_url = |text| Broker::from(&BrokerUrl::parse(text).unwrap()).to_string();
        assert_eq!(by_url("mqtt://fenlei:secret@localhost"), "mqtt://localhost:1883");
        assert_eq!(by_url("mqtt://[::1]:1884"), "mqtt://[::1]:1884");
        assert_eq!(Broker::from("0.0.0.0:1883".parse::<SocketAddr>().unwrap()).to_string(), "mqtt://127.0.0.1:1883");
        assert_eq!(Broker::from("[::]:1883".parse::<SocketAddr>().unwrap()).to_string(), "mqtt://[::1]:1883");
    }
}
