//! The whole backend in one process: store, broker, pipeline, jobs, web. What `fenlei serve` runs, and
//! what the tests and the demo start.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::card_key::{self, CardKeyError};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::inbound::Sender;
use crate::ingest::Ingest;
use crate::mqtt::embedded::Broker;
use crate::mqtt::receipts::Receipts;
use crate::mqtt::{Message, Publisher, Sink, external};
use crate::store::{Store, states};
use crate::{jobs, telemetry, web};

/// How long what is under way may take when the backend stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A running backend.
pub struct Running {
    pub http: SocketAddr,
    /// Of the embedded broker.
    pub mqtt: Option<SocketAddr>,
    pub store: Store,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    broker: Option<Broker>,
}

/// Starts everything; comes back once HTTP and, if embedded, MQTT accept connections.
pub async fn start(config: &Config, clock: SharedClock) -> anyhow::Result<Running> {
    telemetry::install();
    let store = Store::open(&config.store_options())
        .with_context(|| format!("`store.url`: sqlite:{}", config.store.path.display()))?;
    let (key_file, now) = (config.privacy.card_key_file.clone(), clock.now().timestamp_millis());
    let card_key = store
        .write(move |session| -> Result<_, CardKeyError> {
            states::begin(session.connection, now)?;
            card_key::catch_up(session.connection, &key_file)
        })
        .await?;

    let stop = CancellationToken::new();
    let mut tasks = Vec::new();
    let receipts = Receipts::default();
    let sink: Arc<dyn Sink> = Arc::new(Ingest {
        store: store.clone(),
        clock: clock.clone(),
        card_key: card_key.clone(),
        receipts: receipts.clone(),
    });
    let (broker, publisher, ready): (_, _, Arc<dyn Fn() -> bool + Send + Sync>) = match &config.mqtt.url {
        None => {
            let reading = store.clone();
            let broker = Broker::start(config.mqtt.listen, Arc::new(move || reading.registry()), sink)
                .await
                .with_context(|| format!("`mqtt.listen` = \"{}\" cannot be used", config.mqtt.listen))?;
            let publisher = Publisher::Embedded(broker.router.clone());
            let running = broker.running();
            (Some(broker), publisher, Arc::new(move || !running.is_finished()))
        }
        Some(url) => {
            let options = external::Options {
                // Joined with the port as it is: an IPv6 address needs its brackets.
                host: if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() },
                port: url.port,
                credentials: url.login.clone().map(|login| (login.user, login.password)),
                client_id: config.mqtt.client_id.clone(),
            };
            let (connected, connection) = watch::channel(false);
            let (outbox, waiting) = external::outbox();
            tasks.push(tokio::spawn(external::receive(options.clone(), sink, connected, stop.clone())));
            let (connections, connected) = watch::channel(None);
            tasks.push(tokio::spawn(external::publish(options, waiting, connections, clock.clone(), stop.clone())));
            (None, Publisher::External(outbox, connected), Arc::new(move || *connection.borrow()))
        }
    };
    tasks.push(until(&stop, receipts.run(publisher.clone())));
    let jobs = jobs::Jobs {
        store: store.clone(),
        publisher: publisher.clone(),
        clock: clock.clone(),
        evening: config.projector.evening.clone(),
        retention: config.retention,
        influx: config.influx.clone(),
    };
    tasks.push(tokio::spawn(jobs.run(stop.clone())));

    let listener = TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("`http.listen` = \"{}\" cannot be used", config.http.listen))?;
    let http = listener.local_addr()?;
    let address = broker.as_ref().map(|broker| broker.address);
    let broker_address = match (&config.mqtt.url, address) {
        (Some(url), _) => web::BrokerAddress { host: Some(url.host.clone()), port: url.port },
        (None, address) => {
            let ip = address.map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
            let port = address.map_or(config.mqtt.listen.port(), |address| address.port());
            web::BrokerAddress { host: ip.map(|ip| ip.to_string()), port }
        }
    };
    let app = web::App {
        broker: broker_address,
        store: store.clone(),
        clock,
        card_key,
        limits: web::Limits::new(config.http.requests_per_second),
        retention: config.retention,
        ready,
        on_secret_changed: Arc::new(move |device: Sender, forgotten| {
            let publisher = publisher.clone();
            tokio::spawn(async move {
                publisher.disconnect(&device.device).await;
                if forgotten {
                    // What the broker retains of the old hardware must not outlive it: its boots may be the higher ones.
                    let topic = device.topic(fenlei_wire::vocabulary::Channel::State);
                    publisher.publish(Message { topic, payload: Vec::new(), retain: true, lifetime: None }).await;
                }
            });
        }),
    };
    let router = web::router(app);
    let serving = stop.clone();
    tasks.push(tokio::spawn(async move {
        if let Err(error) = web::serve(listener, router, serving).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    }));
    let mqtt = broker.as_ref().map(|broker| broker.address);
    tracing::info!(%http, mqtt = ?mqtt, "Fenlei is running");
    Ok(Running { http, mqtt, store, stop, tasks, broker })
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
    /// Stops taking anything in, finishes what is under way, within a bound.
    pub async fn stop(self) {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        self.stop.cancel();
        let finish = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a task ended badly");
                }
            }
        };
        if tokio::time::timeout(DRAIN, finish).await.is_err() {
            tracing::warn!("not everything stopped in time");
        }
    }
}
