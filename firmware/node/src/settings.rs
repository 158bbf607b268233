//! What a device is provisioned with: who it is, and where its broker is.

use embassy_net::{IpEndpoint, Ipv4Address};
use fenlei_wire::limits::{MAX_ID, is_id};
use fenlei_wire::topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use heapless::String;

/// Longest secret.
const MAX_SECRET: usize = 64;
/// Longest certificate of an authority, and longest name in a broker's.
#[cfg(feature = "tls")]
const MAX_AUTHORITY: usize = 1024;
#[cfg(feature = "tls")]
const MAX_NAME: usize = 64;
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
    /// The certificate of the authority that it trusts, in DER.
    #[cfg(feature = "tls")]
    pub authority: heapless::Vec<u8, MAX_AUTHORITY>,
    /// The name that its broker's certificate must have.
    #[cfg(feature = "tls")]
    pub name: String<MAX_NAME>,
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
            #[cfg(feature = "tls")]
            authority: heapless::Vec::new(),
            #[cfg(feature = "tls")]
            name: String::new(),
        };
        let mut kind = None;
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("device", id) if is_id(id) => settings.device = id.try_into().map_err(|_| "device=")?,
                ("site", id) if is_id(id) => settings.site = id.try_into().map_err(|_| "site=")?,
                ("secret", secret) => settings.secret = secret.try_into().map_err(|_| "secret= is too long")?,
                ("kind", word) => kind = DeviceKind::parse(word),
                ("broker", address) => settings.broker = endpoint(address).ok_or("broker= is not ADDRESS:PORT")?,
                #[cfg(feature = "tls")]
                ("authority", base64) => settings.authority = certificate(base64)?,
                #[cfg(feature = "tls")]
                ("name", name) => settings.name = name.try_into().map_err(|_| "name= is too long")?,
                // Whoever gives them takes the line to be encrypted.
                #[cfg(not(feature = "tls"))]
                ("authority" | "name", _) => return Err("authority= and name= need an image with TLS"),
                ("device" | "site", _) => return Err("an id is a-z 0-9 _ -"),
                // The first word is the image's name.
                _ => {}
            }
        }
        settings.kind = kind.ok_or("kind= is bin, camera or projector")?;
        if settings.device.is_empty() || settings.site.is_empty() || settings.broker.port == 0 {
            return Err("needed: device= secret= site= kind= broker=");
        }
        #[cfg(feature = "tls")]
        if settings.authority.is_empty() || settings.name.is_empty() {
            return Err("needed with TLS: authority= name=");
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

/// Reads what stands between the lines of a PEM file, without its line breaks.
#[cfg(feature = "tls")]
fn certificate(text: &str) -> Result<heapless::Vec<u8, MAX_AUTHORITY>, &'static str> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let mut der = [0; MAX_AUTHORITY];
    let length = BASE64_STANDARD.decode_slice(text, &mut der).map_err(|error| match error {
        base64::DecodeSliceError::OutputSliceTooSmall => "authority= is longer than 1024 bytes",
        base64::DecodeSliceError::DecodeError(_) => "authority= is not base64",
    })?;
    Ok(der[..length].iter().copied().collect())
}

/// Reads `ADDRESS:PORT`.
pub(crate) fn endpoint(text: &str) -> Option<IpEndpoint> {
    let (address, port) = text.split_once(':')?;
    Some(IpEndpoint::new(address.parse::<Ipv4Address>().ok()?.into(), port.parse().ok()?))
}
