//! The settings of what listens: TLS, and what limits hold there.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::layers::{Layers, Value};
use super::{BrokerUrl, Http, Mqtt, address, client_id, file_path, integer};
use crate::entrance::tls::{ClientCertificates, Files};
use crate::mqtt::embedded::Limits;
use crate::mqtt::rates::Rate;
use crate::web::Quotas;

/// A listener with TLS beside the plain one.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub listen: SocketAddr,
    pub files: Files,
}

/// How many connections there may be at once: in all, and from one address.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    pub all: u32,
    pub per_address: u32,
}

pub(super) fn http(layers: &mut Layers) -> Option<Http> {
    let listen = layers.read("http.listen", address);
    let tls_listen = layers.read("http.tls_listen", address);
    let certificate = layers.read("http.certificate", file_path);
    let key = layers.read("http.key", file_path);
    let all = layers.read("http.connections", |value| integer(value, 1, 1_000_000));
    let per_address = layers.read("http.connections_per_address", |value| integer(value, 1, 1_000_000));
    let head = layers.read("http.head_seconds", |value| integer(value, 1, 600));
    let requests = layers.read("http.requests_per_second", |value| integer(value, 300, 1_000_000));
    let streams = layers.read("http.streams", |value| integer(value, 1, 1_000_000));
    let streams_per_caller = layers.read("http.streams_per_caller", |value| integer(value, 1, 1_000_000));
    let failures = layers.read("http.sign_in_failures_per_address", |value| integer(value, 1, 1_000_000));
    pair(layers, ["http.tls_listen", "http.certificate", "http.key"]);
    let files = certificate.zip(key).map(|(certificate, key)| Files {
        section: "http",
        certificate,
        key,
        client_ca: None,
        clients: ClientCertificates::Off,
    });
    let sealed = tls_listen.zip(files).map(|(listen, files)| Sealed { listen, files });
    let connections = Connections { all: all?, per_address: per_address? };
    let quotas = Quotas {
        requests_per_second: NonZeroU32::new(requests?)?,
        streams: streams?,
        streams_per_caller: streams_per_caller?,
        sign_in_failures_per_address: failures?,
    };
    Some(Http { listen: listen?, sealed, connections, head: Duration::from_secs(head?.into()), quotas })
}

pub(super) fn mqtt(layers: &mut Layers) -> Option<Mqtt> {
    let url = layers.read("mqtt.url", |value| BrokerUrl::parse(value.text().unwrap_or_default()));
    let ca = layers.read("mqtt.ca", file_path);
    let share = layers.read("mqtt.share", client_id);
    let client_id = layers.read("mqtt.client_id", client_id);
    let listen = layers.read("mqtt.listen", address);
    let tls_listen = layers.read("mqtt.tls_listen", address);
    let certificate = layers.read("mqtt.certificate", file_path);
    let key = layers.read("mqtt.key", file_path);
    let client_ca = layers.read("mqtt.client_ca", file_path);
    let certificates = layers.read("mqtt.client_certificates", client_certificates);
    let all = layers.read("mqtt.connections", |value| integer(value, 1, 1_000_000));
    let per_address = layers.read("mqtt.connections_per_address", |value| integer(value, 1, 1_000_000));
    let connect = layers.read("mqtt.connect_seconds", |value| integer(value, 1, 10));
    let publishes = layers.read("mqtt.publishes_per_second", |value| integer(value, 1, 1_000_000));
    let bytes = layers.read("mqtt.bytes_per_second", |value| integer(value, 1024, 1 << 30));
    let subscriptions = layers.read("mqtt.subscriptions", |value| integer(value, 3, 1000));
    let failures_per_device = layers.read("mqtt.failures_per_device", |value| integer(value, 1, 1_000_000));
    let failures_per_address = layers.read("mqtt.failures_per_address", |value| integer(value, 1, 1_000_000));
    pair(layers, ["mqtt.tls_listen", "mqtt.certificate", "mqtt.key"]);
    // One that is given and wrong is a mistake of its own, and none of the others.
    if !layers.is_given("mqtt.url") {
        layers
            .contradiction("mqtt.share", "needs a `mqtt.url`: what comes to the embedded broker comes to one backend");
    }
    if !url.as_ref().map_or(layers.is_given("mqtt.url"), |url| url.tls) {
        layers.contradiction("mqtt.ca", "needs a `mqtt.url` of the scheme mqtts");
    }
    if matches!(certificates, Some(ClientCertificates::Optional | ClientCertificates::Required)) {
        for (needed, is_there) in [("mqtt.client_ca", client_ca.is_some()), ("mqtt.tls_listen", tls_listen.is_some())] {
            if !is_there {
                layers.contradiction("mqtt.client_certificates", &format!("needs `{needed}` beside it"));
            }
        }
    }
    let files = certificate.zip(key).map(|(certificate, key)| Files {
        section: "mqtt",
        certificate,
        key,
        client_ca,
        clients: certificates.unwrap_or_default(),
    });
    let sealed = tls_listen.zip(files).map(|(listen, files)| Sealed { listen, files });
    let connections = Connections { all: all?, per_address: per_address? };
    let limits = Limits {
        connect: Duration::from_secs(connect?.into()),
        rate: Rate { publishes: NonZeroU32::new(publishes?)?, bytes: NonZeroU32::new(bytes?)? },
        subscriptions: subscriptions? as usize,
        failures_per_device: failures_per_device?,
        failures_per_address: failures_per_address?,
        certificates: certificates?,
    };
    Some(Mqtt { listen: listen?, sealed, connections, limits, url, ca, client_id: client_id?, share })
}

/// A listener with TLS, its certificate and its key go together.
fn pair(layers: &mut Layers, keys: [&'static str; 3]) {
    let missing: Vec<_> = keys.into_iter().filter(|key| !layers.is_given(key)).collect();
    if let (false, Some(given)) = (missing.is_empty(), keys.into_iter().find(|key| layers.is_given(key))) {
        layers.contradiction(given, &format!("needs `{}` beside it", missing.join("` and `")));
    }
}

fn client_certificates(value: &Value) -> Result<ClientCertificates, String> {
    match value.text() {
        Some("off") => Ok(ClientCertificates::Off),
        Some("optional") => Ok(ClientCertificates::Optional),
        Some("required") => Ok(ClientCertificates::Required),
        _ => Err("\"off\", \"optional\" or \"required\"".to_owned()),
    }
}
