//! What a device is provisioned with: who it is, and where its broker is.

use embassy_net::{IpEndpoint, Ipv4Address};
use fenlei_wire::limits::{MAX_ID, is_id};
use fenlei_wire::topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use heapless::String;

/// Longest secret.
const MAX_SECRET: usize = 64;
/// A topic of the device's.
pub type Topic = String<{ 40 + 2 * MAX_ID }>;

/// What a device is provisioned with.
pub struct Settings {
    /// Its id.
    pub device: String<MAX_ID>,
    /// Its secret; it is shown nowhere.
    pub secret: String<MAX_SECRET>,
    /// Its site.
    pub site: String<MAX_ID>,
    /// What it is.
    pub kind: DeviceKind,
    /// Where its broker listens.
    pub broker: IpEndpoint,
}

impl Settings {
    /// Reads words like `device=bin-1`, in any order.
    pub fn read<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut settings = Self {
            device: String::new(),
            secret: String::new(),
            site: String::new(),
            kind: DeviceKind::Bin,
            broker: IpEndpoint::new(Ipv4Address::UNSPECIFIED.into(), 0),
        };
        let mut kind = None;
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("device", id) if is_id(id) => settings.device = id.try_into().map_err(|_| "device=")?,
                ("site", id) if is_id(id) => settings.site = id.try_into().map_err(|_| "site=")?,
                ("secret", secret) => settings.secret = secret.try_into().map_err(|_| "secret= is too long")?,
                ("kind", word) => kind = DeviceKind::parse(word),
                ("broker", address) => settings.broker = endpoint(address).ok_or("broker= is not ADDRESS:PORT")?,
                ("device" | "site", _) => return Err("an id is a-z 0-9 _ -"),
                // The first word is the image's name.
                _ => {}
            }
        }
        settings.kind = kind.ok_or("kind= is bin, camera or projector")?;
        if settings.device.is_empty() || settings.site.is_empty() || settings.broker.port == 0 {
            return Err("needed: device= secret= site= kind= broker=");
        }
        Ok(settings)
    }

    /// The topic of one of the device's channels.
    pub fn topic(&self, channel: Channel) -> Topic {
        let topic = topic::Topic { site: &self.site, kind: self.kind, device: &self.device, channel };
        let mut name = String::new();
        // It fits: the ids keep to their limit.
        let _ = core::fmt::write(&mut name, format_args!("{topic}"));
        name
    }
}

/// Reads `ADDRESS:PORT`.
pub(crate) fn endpoint(text: &str) -> Option<IpEndpoint> {
    let (address, port) = text.split_once(':')?;
    Some(IpEndpoint::new(address.parse::<Ipv4Address>().ok()?.into(), port.parse().ok()?))
}
