//! The listeners, as the settings have them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use crate::config::{Connections, Http, Mqtt, Sealed};
use crate::entrance::{Listener, Slots, Tls};
use crate::web;

/// The listeners of a protocol, and where they are.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) plain: SocketAddr,
    pub(super) sealed: Option<SocketAddr>,
    pub(super) listeners: Vec<Listener>,
}

/// What they are called.
struct Names {
    section: &'static str,
    plain: &'static str,
    sealed: &'static str,
    protocols: &'static [&'static str],
}

pub(super) async fn http(http: &Http) -> anyhow::Result<Doors> {
    let names = Names { section: "http", plain: "http", sealed: "https", protocols: &["http/1.1"] };
    let mut doors = Doors::open(&names, http.listen, http.sealed.as_ref(), http.connections, http.head).await?;
    let farewell = web::farewell();
    let listeners = doors.listeners.into_iter().map(|listener| listener.with_farewell(farewell.clone()));
    doors.listeners = listeners.collect();
    Ok(doors)
}

pub(super) async fn mqtt(mqtt: &Mqtt) -> anyhow::Result<Doors> {
    let names = Names { section: "mqtt", plain: "mqtt", sealed: "mqtts", protocols: &[] };
    Doors::open(&names, mqtt.listen, mqtt.sealed.as_ref(), mqtt.connections, mqtt.limits.connect).await
}

impl Doors {
    async fn open(
        names: &Names,
        listen: SocketAddr,
        sealed: Option<&Sealed>,
        connections: Connections,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let section = names.section;
        let slots = Slots::new(connections.all, connections.per_address);
        let bound = Listener::bind(names.plain, listen, slots.clone(), patience).await;
        let bound = bound.with_context(|| format!("`{section}.listen` = \"{listen}\" cannot be used"))?;
        let plain = bound.address()?;
        if !plain.ip().to_canonical().is_loopback() {
            tracing::warn!(
                "`{section}.listen` = \"{listen}\" takes others than this machine without TLS: whoever is on the way reads \
                 and changes what is said; use `{section}.tls_listen`, or a proxy that speaks TLS"
            );
        }
        let mut listeners = vec![bound];
        let mut at = None;
        if let Some(Sealed { listen, files }) = sealed {
            let tls = Tls::load(files.clone(), names.protocols)?;
            let bound = Listener::bind(names.sealed, *listen, slots, patience).await;
            let bound = bound.with_context(|| format!("`{section}.tls_listen` = \"{listen}\" cannot be used"))?;
            at = Some(bound.address()?);
            listeners.push(bound.sealed(tls));
        }
        Ok(Self { plain, sealed: at, listeners })
    }
}
