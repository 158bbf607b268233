//! The settings. `config/default.toml` is embedded and is the defaults; a file goes before it, and the
//! variables `FENLEI__SECTION__KEY` of the environment before both.
//!
//! A crate that fills a struct through serde ends at the first mistake; whoever sets up a machine wants all
//! of them at once, each with its place. So every key is read by itself, and one line here is all it needs.

mod broker_url;
mod entrances;
mod influx_options;
mod layers;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use broker_url::{BrokerUrl, Login};
pub use entrances::{Connections, Sealed};
use fenlei_wire::limits::MAX_TEXT_BYTES;
use fenlei_wire::schedule::Minute;
pub use layers::Mistakes;
use layers::{Layers, Value};
use tracing_subscriber::EnvFilter;

use crate::domain::device_config::EveningMessage;
use crate::influx;
use crate::mqtt::embedded::Limits;
use crate::store::retention::Retention;
use crate::store::{self, StoreUrl};
use crate::web::Quotas;
use crate::webhook::Reach;

/// The documented defaults.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

#[derive(Clone, Debug)]
pub struct Config {
    pub http: Http,
    pub mqtt: Mqtt,
    pub store: Store,
    pub projector: Projector,
    pub privacy: Privacy,
    pub quarantine: Quarantine,
    pub retention: Retention,
    /// Where webhooks may lead.
    pub webhooks: Reach,
    /// Where the ledger is exported to, if anywhere.
    pub influx: Option<influx::Options>,
    pub log: Log,
}

#[derive(Clone, Debug)]
pub struct Http {
    /// Without TLS.
    pub listen: SocketAddr,
    pub sealed: Option<Sealed>,
    pub connections: Connections,
    /// How long the head of a request may take, and how long an unused connection is kept.
    pub head: Duration,
    pub quotas: Quotas,
}

#[derive(Clone, Debug)]
pub struct Mqtt {
    /// Of the embedded broker, without TLS.
    pub listen: SocketAddr,
    pub sealed: Option<Sealed>,
    pub connections: Connections,
    pub limits: Limits,
    /// An external broker instead.
    pub url: Option<BrokerUrl>,
    /// Who signs its certificate; `None`: whom the system trusts.
    pub ca: Option<PathBuf>,
    /// The name at an external broker.
    pub client_id: String,
    /// The group of the backends that share an external broker and a store.
    pub share: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Store {
    pub url: StoreUrl,
    /// Of SQLite.
    pub cache_mib: u32,
    pub readers: usize,
}

#[derive(Clone, Debug)]
pub struct Projector {
    pub evening: EveningMessage,
}

#[derive(Clone, Debug)]
pub struct Privacy {
    pub card_key_file: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Quarantine {
    pub max_per_device: u32,
}

#[derive(Clone, Debug)]
pub struct Log {
    /// In the form of [`EnvFilter`].
    pub filter: String,
}

impl Config {
    /// The defaults, `file`, and the environment of this process.
    pub fn load(file: Option<&Path>) -> Result<Self, Mistakes> {
        Self::from_layers(file, std::env::vars_os())
    }

    /// The defaults, `file`, and the `FENLEI__` variables among `environment`.
    pub fn from_layers(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Mistakes> {
        let mut layers = Layers::default();
        layers.add_file("config/default.toml", DEFAULT);
        if let Some(file) = file {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => layers.add_file(&name, &text),
                Err(error) => layers.add_unreadable_file(&name, &error),
            }
        }
        layers.add_environment(environment.into_iter());
        let config = Self::read(&mut layers);
        let mistakes = layers.finish();
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(mistakes),
        }
    }

    fn read(layers: &mut Layers) -> Option<Self> {
        // Every key is read before the first `?`: no mistake hides another.
        let http = entrances::http(layers);
        let mqtt = entrances::mqtt(layers);
        let store_url = layers.read("store.url", |value| StoreUrl::parse(value.text().unwrap_or_default()));
        let cache_mib = layers.read("store.cache_mib", |value| integer(value, 1, 65_536));
        let readers = layers.read("store.readers", |value| integer(value, 1, 64));
        let evening_text = layers.read("projector.evening_text", evening_text);
        let evening_start = layers.read("projector.evening_start", local_time);
        let evening_seconds = layers.read("projector.evening_seconds", |value| integer(value, 1, 86_400));
        let card_key_file = layers.read("privacy.card_key_file", file_path);
        let max_per_device = layers.read("quarantine.max_per_device", |value| integer(value, 1, 1_000_000));
        let departed_days = layers.read("retention.departed_days", days);
        let visits_days = layers.read("retention.visits_days", days);
        let audit_days = layers.read("retention.audit_days", days);
        let private_addresses = layers.read("webhooks.private_addresses", boolean);
        let influx = influx_options::read(layers);
        let filter = layers.read("log.filter", log_filter);
        Some(Self {
            http: http?,
            mqtt: mqtt?,
            store: Store { url: store_url?, cache_mib: cache_mib?, readers: readers? as usize },
            projector: Projector {
                evening: EveningMessage { text: evening_text?, start: evening_start?, seconds: evening_seconds? },
            },
            privacy: Privacy { card_key_file: card_key_file? },
            quarantine: Quarantine { max_per_device: max_per_device? },
            retention: Retention { departed_days: departed_days?, visits_days: visits_days?, audit_days: audit_days? },
            webhooks: if private_addresses? { Reach::Anywhere } else { Reach::Public },
            influx: influx?,
            log: Log { filter: filter? },
        })
    }

    pub fn store_options(&self) -> store::Options {
        store::Options {
            url: self.store.url.clone(),
            cache_mib: self.store.cache_mib,
            readers: self.store.readers,
            quarantine_cap: self.quarantine.max_per_device,
            // A file has one backend, which then is its group.
            shared: self.mqtt.share.is_some() && self.store.url.file().is_none(),
        }
    }
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    let address = value.text().and_then(|text| text.parse().ok());
    address.ok_or_else(|| "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned())
}

fn integer(value: &Value, least: u32, most: u32) -> Result<u32, String> {
    let number = value.integer().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("a whole number from {least} to {most}"))
}

fn boolean(value: &Value) -> Result<bool, String> {
    value.boolean().ok_or_else(|| "true or false".to_owned())
}

/// A number of days; 0: no limit.
fn days(value: &Value) -> Result<Option<u32>, String> {
    Ok(Some(integer(value, 0, 36_500)?).filter(|days| *days > 0))
}

fn client_id(value: &Value) -> Result<String, String> {
    let fits = |text: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        (1..=64).contains(&text.len()) && text.bytes().all(allowed)
    };
    let id = value.text().filter(fits);
    id.map(str::to_owned).ok_or_else(|| "a text of 1 to 64 of A-Z a-z 0-9 _ -".to_owned())
}

fn evening_text(value: &Value) -> Result<String, String> {
    let text = value.text().filter(|text| !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES);
    text.map(str::to_owned).ok_or_else(|| format!("a text of 1 to {MAX_TEXT_BYTES} bytes"))
}

fn local_time(value: &Value) -> Result<Minute, String> {
    let minute = value.text().and_then(Minute::parse).filter(|minute| *minute < Minute::END_OF_DAY);
    minute.ok_or_else(|| "a local time from \"00:00\" to \"23:59\"".to_owned())
}

fn file_path(value: &Value) -> Result<PathBuf, String> {
    let path = value.text().filter(|text| !text.is_empty());
    path.map(PathBuf::from).ok_or_else(|| "the path of a file".to_owned())
}

fn log_filter(value: &Value) -> Result<String, String> {
    let filter = value.text().filter(|text| !text.is_empty() && EnvFilter::try_new(text).is_ok());
    filter.map(str::to_owned).ok_or_else(|| {
        "error, warn, info, debug or trace, or such levels by part, as in \"info,fenlei::ingest=debug\"".to_owned()
    })
}
