//! The whole backend in one process: store, broker, pipeline, jobs, web. What `fenlei serve` runs, and
//! what the tests and the demo start.

mod doors;
pub(crate) mod files;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::select_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::card_key::{self, CardKeyError};
use crate::clock::SharedClock;
use crate::config::{BrokerUrl, Config};
use crate::domain::inbound::Sender;
use crate::faults::{Faults, Part};
use crate::ingest::Ingest;
use crate::mqtt::embedded::Broker;
use crate::mqtt::receipts::Receipts;
use crate::mqtt::relay::Relay;
use crate::mqtt::wished::{Kept, Wish};
use crate::mqtt::{Message, Publisher, Sink, external, share};
use crate::store::{Store, states};
use crate::{jobs, telemetry, trust, web};

/// How long what is under way may take when the backend stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long it may take to tell the store's server that it stopped.
const LEAVE: Duration = Duration::from_secs(2);

/// A running backend.
pub struct Running {
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    /// Of the embedded broker.
    pub mqtt: Option<SocketAddr>,
    pub mqtts: Option<SocketAddr>,
    /// By which an external broker is reached by TLS.
    pub relay: Option<Relay>,
    pub store: Store,
    stop: CancellationToken,
    /// Its parts, by what they do.
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    broker: Option<Broker>,
}

/// Starts everything; comes back once HTTP and, if embedded, MQTT accept connections.
pub async fn start(config: &Config, clock: SharedClock) -> anyhow::Result<Running> {
    telemetry::install();
    // Devices come to us where there is no other broker.
    let devices = if config.mqtt.url.is_some() { 0 } else { config.mqtt.connections.all };
    files::allow(u64::from(config.http.connections.all) + u64::from(devices));
    let store = Store::open(&config.store_options()).with_context(|| format!("`store.url`: {}", config.store.url))?;
    let alone = !store.is_shared();
    let (key_file, now) = (config.privacy.card_key_file.clone(), clock.now().timestamp_millis());
    let (behind, card_key) = store
        .write(move |session| -> Result<_, CardKeyError> {
            let behind = if alone { states::begin(session.connection, now)? } else { 0 };
            Ok((behind, card_key::catch_up(session.connection, &key_file)?))
        })
        .await?;
    let faults = Faults::default();
    if let minutes @ 1.. = behind / 60_000 {
        // A machine without a clock that lasts begins with an old one, until a server of its network tells it.
        faults.fails(
            Part::Clock,
            format!("the clock is {minutes} min behind what it was before the start; check that it is right"),
        );
    }

    let stop = CancellationToken::new();
    let mut tasks = Vec::new();
    let receipts = Receipts::default();
    let sink: Arc<dyn Sink> = Arc::new(Ingest {
        store: store.clone(),
        clock: clock.clone(),
        card_key: card_key.clone(),
        receipts: receipts.clone(),
    });
    let http_doors = doors::http(&config.http).await?;
    let (mut mqtt, mut mqtts, mut relay) = (None, None, None);
    // Where others share the store, the one whose turn it is sees to the states, and to what the broker keeps.
    let (states, kept) = (Wish::default(), Kept::default());
    // The embedded broker is always there.
    let (connected, receiving) = watch::channel(config.mqtt.url.is_none());
    let (broker, publisher, ready): (_, _, Arc<dyn Fn() -> bool + Send + Sync>) = match &config.mqtt.url {
        None => {
            let reading = store.clone();
            let doors = doors::mqtt(&config.mqtt).await?;
            (mqtt, mqtts) = (Some(doors.plain), doors.sealed);
            let registry = Arc::new(move || reading.registry());
            let broker = Broker::start(doors.listeners, config.mqtt.limits, registry, sink);
            let publisher = Publisher::Embedded(broker.router.clone());
            let running = broker.running();
            (Some(broker), publisher, Arc::new(move || !running.is_finished()))
        }
        Some(url) => {
            relay = relay_to(url, config.mqtt.ca.as_deref()).await?;
            let (host, port) = match &relay {
                Some(relay) => (relay.address.ip().to_string(), relay.address.port()),
                // Joined with the port as it is: an IPv6 address needs its brackets.
                None if url.host.contains(':') => (format!("[{}]", url.host), url.port),
                None => (url.host.clone(), url.port),
            };
            let options = external::Options {
                host,
                port,
                credentials: url.login.clone().map(|login| (login.user, login.password)),
                // Beside others its session ends with its connection, so nobody has to give each backend a name.
                client_id: if alone { config.mqtt.client_id.clone() } else { share::name(&config.mqtt.client_id) },
                alone,
                share: config.mqtt.share.clone(),
            };
            share::prove(&options).await.context("`mqtt.share`")?;
            let (outbox, waiting) = external::outbox();
            let wished = (states.clone(), kept.clone());
            let receiver = external::start(options.clone(), sink, wished, connected, &stop)?;
            tasks.push(("receiver", tokio::spawn(receiver)));
            let (connections, connected) = watch::channel(None);
            let sender = external::publish(options, waiting, connections, clock.clone(), stop.clone());
            tasks.push(("publisher", tokio::spawn(sender)));
            let reached = receiving.clone();
            (None, Publisher::External(outbox, connected), Arc::new(move || *reached.borrow()))
        }
    };
    tasks.push(("receipts", until(&stop, receipts.run(publisher.clone()))));
    let jobs = jobs::Jobs {
        store: store.clone(),
        publisher: publisher.clone(),
        clock: clock.clone(),
        evening: config.projector.evening.clone(),
        retention: config.retention,
        webhooks: config.webhooks,
        influx: config.influx.clone(),
        receiving,
        states,
        kept,
        faults: faults.clone(),
    };
    tasks.push(("jobs", tokio::spawn(jobs.run(stop.clone()))));

    let broker_address = match &config.mqtt.url {
        Some(url) => web::BrokerAddress { host: Some(url.host.clone()), port: url.port, tls: url.tls },
        None => {
            let address = mqtts.or(mqtt).unwrap_or(config.mqtt.listen);
            let host = Some(address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
            web::BrokerAddress { host, port: address.port(), tls: mqtts.is_some() }
        }
    };
    let app = web::App {
        broker: broker_address,
        store: store.clone(),
        clock,
        card_key,
        limits: web::Limits::new(config.http.quotas),
        retention: config.retention,
        webhooks: config.webhooks,
        ready,
        faults,
        on_secret_changed: Arc::new(move |device: Sender, forgotten| {
            let publisher = publisher.clone();
            tokio::spawn(async move {
                publisher.disconnect(&device.device);
                if forgotten {
                    // What the broker retains of the old hardware must not outlive it: its boots may be the higher ones.
                    let topic = device.topic(fenlei_wire::vocabulary::Channel::State);
                    publisher.publish(Message { topic, payload: Vec::new(), retain: true, lifetime: None }).await;
                }
            });
        }),
    };
    let router = web::router(app);
    let (http, https) = (http_doors.plain, http_doors.sealed);
    let serving = web::serve(http_doors.listeners, config.http.head, router, stop.clone());
    tasks.push(("web", tokio::spawn(serving)));
    tracing::info!(%http, ?https, ?mqtt, ?mqtts, "Fenlei is running");
    Ok(Running { http, https, mqtt, mqtts, relay, store, stop, tasks, broker })
}

/// The way to an external broker that is reached by TLS; `None`: it is reached without.
pub async fn relay_to(url: &BrokerUrl, ca: Option<&Path>) -> anyhow::Result<Option<Relay>> {
    if !url.tls {
        return Ok(None);
    }
    let trusted = match ca {
        None => trust::system(),
        Some(file) => trust::authority(file).with_context(|| format!("`mqtt.ca` = \"{}\"", file.display()))?,
    };
    Relay::start(&url.host, url.port, trusted).await.context("`mqtt.url`").map(Some)
}

fn until(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    })
}

impl Running {
    /// Comes back when a part has ended by itself, which none should, and says which.
    pub async fn ended(&mut self) -> &'static str {
        let broker = async {
            match &mut self.broker {
                Some(broker) => broker.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (ended, place, _) = select_all(self.tasks.iter_mut().map(|(_, task)| task)) => {
                let (part, _) = self.tasks.swap_remove(place);
                if let Err(error) = ended {
                    tracing::error!(part, %error, "a part ended badly");
                }
                part
            }
            () = broker => "broker",
            () = self.store.ended() => "store",
        }
    }

    /// Stops taking anything in, finishes what is under way, within a bound.
    pub async fn stop(self) {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        self.stop.cancel();
        let finish = async {
            for (part, task) in self.tasks {
                if let Err(error) = task.await {
                    tracing::error!(part, %error, "a part ended badly");
                }
            }
        };
        if tokio::time::timeout(DRAIN, finish).await.is_err() {
            tracing::warn!("not everything stopped in time");
        }
        // Whoever shares the store goes on with the jobs now, and not when their leases have run out.
        if tokio::time::timeout(LEAVE, self.store.leave()).await.is_err() {
            tracing::warn!("jobs could not be left to others in time; they will take them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::{Health, StoreError};

    async fn running(folder: &Path) -> Running {
        let mut config = Config::from_layers(None, []).unwrap();
        config.store.url = folder.join("fenlei.db").into();
        config.privacy.card_key_file = folder.join("fenlei.card-key");
        (config.http.listen, config.mqtt.listen) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 0).into());
        start(&config, Arc::new(SystemClock)).await.unwrap()
    }

    async fn noticed(running: &mut Running) -> &'static str {
        tokio::time::timeout(Duration::from_secs(30), running.ended()).await.expect("it is noticed")
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = running(folder.path()).await;
        let parts = running.tasks.len();
        running.tasks.insert(1, ("mistake", tokio::spawn(async { panic!("a mistake of ours") })));
        assert_eq!(noticed(&mut running).await, "mistake");
        assert_eq!(running.tasks.len(), parts, "those that go on are still to be stopped");
        running.stop().await;
    }

    #[tokio::test]
    async fn a_writer_that_ends_is_noticed_and_a_read_that_panics_ends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = running(folder.path()).await;
        let read = running.store.read(|_| -> Result<(), StoreError> { panic!("a mistake of ours") }).await;
        assert!(matches!(read, Err(StoreError::Panicked)));
        assert_eq!(running.store.health(), Health::Writing);
        let written = running.store.write(|_| -> Result<(), StoreError> { panic!("a mistake of ours") }).await;
        assert!(matches!(written, Err(StoreError::Closed)));
        assert_eq!(noticed(&mut running).await, "store");
        assert!(matches!(running.store.health(), Health::Failing(_)));
        running.stop().await;
    }
}
