//! An external broker, reached with `rumqttc` over MQTT 5.
//!
//! A publish is acknowledged after the commit, never before, and in the order in which it came. Every
//! connection is a new client on the same session: what the old one had not acknowledged the broker
//! sends again, and no stale acknowledgement can reach the new connection.
//!
//! Several backends share the events by a shared subscription, each with a session that ends with its connection: the
//! broker then divides what comes among those that are there, and keeps nothing for one that is not. What that one had
//! not stored has no receipt, so its device sends it again. States are kept by the broker, which tells them to whoever
//! subscribes; one backend at a time does. So does the one that tells devices their config: a message of the one before
//! may arrive at the broker after its own.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::wished::{Kept, Wish};
use super::{CONFIGS, EVENTS, MAX_PACKET, Message, STATES, Sink, Stored, share};
use crate::clock::SharedClock;

/// How to reach the broker.
#[derive(Clone)]
pub struct Options {
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

/// Publishes the broker may have sent without our acknowledgement.
const WINDOW: u16 = 1_000;
/// Room for an acknowledgement of each of them: acknowledging never waits for the connection.
const REQUESTS: usize = 4_096;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const OUTBOX: usize = 1_024;
/// How long what could not be stored is left to the broker.
const UNSTORED: Duration = Duration::from_secs(1);

/// Why a connection came to its end.
enum Ended {
    /// What came could not be stored: the broker, which is well, sends it again on the next connection.
    Unstored,
    Line(String),
}

/// Messages to devices, taken by [`publish`].
pub fn outbox() -> (mpsc::Sender<Message>, mpsc::Receiver<Message>) {
    mpsc::channel(OUTBOX)
}

/// Receives for ever, and where there are others, states and configs as it is wished; `connected` tells whether the
/// subscriptions stand.
pub async fn receive(
    options: Options,
    sink: Arc<dyn Sink>,
    (states, kept): (Wish, Kept),
    connected: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            ended = receive_once(&options, &sink, (&states, &kept), &connected, &mut backoff) => ended,
            () = stop.cancelled() => return,
        };
        metrics::counter!("fenlei_mqtt_disconnects_total").increment(1);
        let wait = async {
            match ended {
                // The store says so itself.
                Ended::Unstored => tokio::time::sleep(UNSTORED).await,
                Ended::Line(reason) => {
                    connected.send_replace(false);
                    tracing::warn!(broker = ?options, %reason, "the connection to the broker ended");
                    backoff.wait().await;
                }
            }
        };
        tokio::select! {
            () = wait => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn receive_once(
    options: &Options,
    sink: &Arc<dyn Sink>,
    (states, kept): (&Wish, &Kept),
    connected: &watch::Sender<bool>,
    backoff: &mut Backoff,
) -> Ended {
    let alone = options.alone;
    let events = options.share.as_ref().map_or_else(|| EVENTS.to_owned(), |group| share::filter(group, EVENTS));
    // Where there are others the states come to the one whose turn it is.
    let filters = if alone { vec![events, STATES.to_owned()] } else { vec![events] };
    let mut mqtt = mqtt_options(options, &options.client_id);
    mqtt.set_manual_acks(true)
        .set_clean_start(!alone)
        .set_session_expiry_interval(Some(if alone { u32::MAX } else { 0 }))
        .set_receive_maximum(Some(WINDOW));
    let (client, mut connection) = AsyncClient::new(mqtt, REQUESTS);
    let (handed_over, to_acknowledge) = mpsc::channel::<(Publish, Stored)>(REQUESTS);
    let (arrived, to_store) = mpsc::unbounded_channel::<Publish>();
    // The connection is polled by itself: reading JSON and waiting for the disk happen beside it.
    let storing = tokio::spawn(store(Arc::clone(sink), kept.clone(), to_store, handed_over));
    let mut acknowledging = tokio::spawn(acknowledge(client.clone(), to_acknowledge));
    let wished = async {
        let follow = |filter, wish: &Wish| follow(&client, filter, wish.follow(), connected.subscribe());
        tokio::select! {
            () = follow(STATES, states) => {}
            () = follow(CONFIGS, &kept.wish) => {}
        }
    };
    let ended = tokio::select! {
        reason = poll(&client, &mut connection, &filters, &arrived, connected, backoff) => Ended::Line(reason),
        () = wished, if !alone => Ended::Line("the connection takes no more requests".to_owned()),
        _ = &mut acknowledging => Ended::Unstored,
    };
    storing.abort();
    acknowledging.abort();
    ended
}

/// Subscribes while it is wished, and again when it is wished anew. Comes back when the connection takes nothing more.
async fn follow(
    client: &AsyncClient,
    filter: &str,
    mut wish: watch::Receiver<Option<u64>>,
    mut connected: watch::Receiver<bool>,
) {
    if connected.wait_for(|connected| *connected).await.is_err() {
        return;
    }
    let mut before = None;
    loop {
        let wished = *wish.borrow_and_update();
        let asked = match wished {
            _ if wished == before => Ok(()),
            Some(_) => client.subscribe(filter, QoS::AtLeastOnce).await,
            None => client.unsubscribe(filter).await,
        };
        before = wished;
        if asked.is_err() || wish.changed().await.is_err() {
            return;
        }
    }
}

async fn poll(
    client: &AsyncClient,
    connection: &mut EventLoop,
    filters: &[String],
    arrived: &mpsc::UnboundedSender<Publish>,
    connected: &watch::Sender<bool>,
    backoff: &mut Backoff,
) -> String {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let filters = filters.iter().map(|filter| Filter::new(filter.as_str(), QoS::AtLeastOnce));
                if let Err(error) = client.try_subscribe_many(filters) {
                    return error.to_string();
                }
            }
            Ok(Event::Incoming(Packet::SubAck(answer))) => {
                let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                if !answer.return_codes.iter().all(granted) {
                    return "the broker refuses our subscriptions: its ACL must let this user read fenlei/v1/#"
                        .to_owned();
                }
                backoff.reset();
                connected.send_replace(true);
                tracing::info!("subscribed to what devices say");
            }
            // Never waits here: acknowledgements leave by this same loop. The broker's window bounds what is under way.
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                if arrived.send(publish).is_err() {
                    return "the store is shutting down".to_owned();
                }
            }
            Ok(Event::Incoming(Packet::Disconnect(_))) => return "the broker asked us to disconnect".to_owned(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

async fn store(
    sink: Arc<dyn Sink>,
    kept: Kept,
    mut arrived: mpsc::UnboundedReceiver<Publish>,
    handed_over: mpsc::Sender<(Publish, Stored)>,
) {
    while let Some(publish) = arrived.recv().await {
        let topic = String::from_utf8_lossy(&publish.topic);
        let stored: Stored = if topic.ends_with("/config") {
            kept.hear(&topic, &publish.payload);
            Box::pin(std::future::ready(true))
        } else {
            sink.deliver(&topic, &publish.payload).await
        };
        if handed_over.send((publish, stored)).await.is_err() {
            return;
        }
    }
}

/// Ends when something could not be stored: the connection then ends too, and nothing more is acknowledged.
async fn acknowledge(client: AsyncClient, mut publishes: mpsc::Receiver<(Publish, Stored)>) {
    while let Some((publish, stored)) = publishes.recv().await {
        if !stored.await || client.ack(&publish).await.is_err() {
            return;
        }
    }
}

/// Publishes what the backend has to say, on a connection of its own: acknowledgements and publishes
/// would share one bounded queue, and the one could keep the other waiting.
pub async fn publish(
    options: Options,
    mut outbox: mpsc::Receiver<Message>,
    connections: watch::Sender<Option<u64>>,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let (mut backoff, mut count) = (Backoff::default(), 0);
    while !stop.is_cancelled() {
        let mut mqtt = mqtt_options(&options, &format!("{}-out", options.client_id));
        mqtt.set_clean_start(true);
        let (client, mut connection) = AsyncClient::new(mqtt, 64);
        let sending = async {
            while let Some(message) = outbox.recv().await {
                let Message { topic, payload, retain, lifetime } = message;
                // It may have waited here for the connection.
                if lifetime.is_some_and(|lifetime| lifetime.until <= clock.now().timestamp_millis()) {
                    continue;
                }
                let expiry = lifetime.map(|lifetime| lifetime.seconds);
                let properties = PublishProperties { message_expiry_interval: expiry, ..PublishProperties::default() };
                let sent = client.publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties);
                if sent.await.is_err() {
                    return;
                }
            }
        };
        let polling = async {
            loop {
                match connection.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        backoff.reset();
                        count += 1;
                        connections.send_replace(Some(count));
                    }
                    Ok(_) => {}
                    Err(error) => return error.to_string(),
                }
            }
        };
        tokio::select! {
            // What was under way is lost with the connection: devices ask again for receipts, jobs repeat the rest.
            error = polling => tracing::warn!(broker = ?options, %error, "the publishing connection ended"),
            () = sending => return,
            () = stop.cancelled() => return,
        }
        connections.send_replace(None);
        tokio::select! {
            () = backoff.wait() => {}
            () = stop.cancelled() => return,
        }
    }
}

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
}

impl Backoff {
    fn reset(&mut self) {
        self.failures = 0;
    }

    async fn wait(&mut self) {
        let longest = Duration::from_millis(250).saturating_mul(1 << self.failures.min(7)).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0; 1];
        let share = getrandom::fill(&mut random).map_or(1.0, |()| 0.5 + f64::from(random[0]) / 510.0);
        tokio::time::sleep(longest.mul_f64(share)).await;
    }
}
