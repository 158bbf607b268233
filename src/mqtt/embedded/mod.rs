//! The embedded broker. Its clients are devices and nobody else: each sees only its own topics, so a message has one
//! receiver, which its topic names.
//!
//! A publish is answered when its event is committed: a PUBACK to a device means *stored*. Many of a device's may be under
//! way at once, and its answers come in their order. Sessions live in memory: after a restart devices connect anew, and
//! everything they were told is told again from the store.
//!
//! Packets are read and written by `mqtt5-protocol`. What a broker for everybody brings beside (subscriptions looked up
//! among those of all, channels of its own for each client, one publish after the other) cost a device ten times the memory
//! and a fleet that comes back minutes; `fenlei bench --only connections,visible` measures it.

mod connection;
mod login;
mod messages;
pub mod packets;
mod session;
mod sessions;
mod will;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use mqtt5_protocol::Packet;
use mqtt5_protocol::packet::connect::ConnectPacket;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::rates::{Rate, Rates};
use super::{MAX_PACKET, Message, Sink, Stored};
use crate::domain::registry::Registry;
use crate::entrance::tls::ClientCertificates;
use crate::entrance::{self, Attempts, Guest, Listener, Stream};
use connection::{Connection, Over};
use login::{Visitor, Wishes};
use packets::{FIVE, Incoming, Outgoing};
use sessions::{Ending, Sessions, Tenure};
use will::Will;

/// Reads the registry as it stands.
pub type ReadRegistry = Arc<dyn Fn() -> Arc<Registry> + Send + Sync>;

/// How long a device may be away before its session is forgotten.
const SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a device may be silent that does not say how often it will be heard.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// Publishes that may be under way at once, from a device and to it, each.
const UNANSWERED: u16 = 128;
/// Topics that a device may give a number to. It has two.
const TOPIC_ALIASES: u16 = 8;
/// How long what could not be stored waits until it is tried again: twice as long each time, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);
const DRAIN: Duration = Duration::from_secs(5);

/// What devices may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may take until its device has logged in.
    pub connect: Duration,
    pub rate: Rate,
    pub subscriptions: usize,
    /// Wrong secrets of a device from one address before it has to wait,
    pub failures_per_device: u32,
    /// and of an address in a quarter of an hour.
    pub failures_per_address: u32,
    pub certificates: ClientCertificates,
}

/// A running broker.
pub struct Broker {
    pub router: Router,
    running: AbortHandle,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// Publishes into the broker.
#[derive(Clone)]
pub struct Router(Arc<Sessions>);

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Router")
    }
}

impl Router {
    pub(super) fn publish(&self, message: Message) {
        let Message { topic, payload, retain, lifetime } = message;
        let until = lifetime.and_then(|left| Instant::now().checked_add(Duration::from_secs(left.seconds.into())));
        self.0.publish(messages::Outbound { topic: topic.into(), payload: payload.into(), retain, until });
    }

    pub(super) fn disconnect(&self, device: &str) {
        self.0.end(device, Ending::ByOrder);
    }
}

impl Broker {
    /// Takes devices at all of these listeners, which must be one at least.
    pub fn start(listeners: Vec<Listener>, limits: Limits, registry: ReadRegistry, sink: Arc<dyn Sink>) -> Self {
        let (sessions, stop) = (Arc::<Sessions>::default(), CancellationToken::new());
        let engine = Arc::new(Engine {
            attempts: Attempts::new(limits.failures_per_device, limits.failures_per_address),
            rates: Rates::new(limits.rate),
            sessions: Arc::clone(&sessions),
            stop: stop.clone(),
            limits,
            registry,
            sink,
        });
        let mut tasks = JoinSet::new();
        let accepting = listeners.into_iter().map(|listener| {
            let engine = Arc::clone(&engine);
            // On the heap: a connection that waits is to cost little.
            listener.run(stop.clone(), move |guest| Box::pin(Arc::clone(&engine).serve(guest)))
        });
        let accepting: Vec<_> = accepting.collect();
        let running = tasks.spawn(async move {
            futures::future::join_all(accepting).await;
        });
        tasks.spawn(async move {
            while engine.stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
                engine.sessions.sweep(Instant::now());
            }
        });
        Self { router: Router(sessions), running, tasks, stop }
    }

    /// Finished when it no longer accepts connections.
    pub fn running(&self) -> AbortHandle {
        self.running.clone()
    }

    /// Comes back when it has ended by itself.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.router.0.end_all(Ending::Stopping);
        if tokio::time::timeout(DRAIN, self.tasks.join_all()).await.is_err() {
            tracing::warn!("the embedded broker did not stop in time");
        }
    }
}

fn refused(what: &'static str) {
    metrics::counter!("fenlei_mqtt_refused_total", "what" => what).increment(1);
}

/// What all connections share.
struct Engine {
    limits: Limits,
    registry: ReadRegistry,
    sink: Arc<dyn Sink>,
    attempts: Attempts,
    rates: Rates,
    sessions: Arc<Sessions>,
    stop: CancellationToken,
}

/// Both ways of a connection.
type Ways = (Incoming<Stream>, Outgoing<Stream>);

impl Engine {
    /// Tries again until this is stored, of which `attempt` is the first try. `false`: the device connected anew meanwhile,
    /// and says it again if it has to, or the broker stops.
    async fn stored(&self, tenure: &Tenure, attempt: Stored, topic: &str, payload: &[u8]) -> bool {
        let (mut attempt, (mut pause, longest)) = (Some(attempt), RETRY);
        loop {
            if let Some(attempt) = attempt
                && attempt.await
            {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = longest.min(pause * 2),
                () = tenure.over() => return false,
                () = self.stop.cancelled() => return false,
            }
            // Whoever waited for a place in the queue and were not looked after would keep it from the others.
            attempt = self.sink.deliver(topic, payload).now_or_never();
        }
    }

    /// Speaks MQTT to the end of the connection.
    async fn serve(self: Arc<Self>, guest: Guest) {
        let Guest { stream, peer, entrance, names, place } = guest;
        let visitor = Visitor { from: peer.ip(), entrance, names };
        let (from, to) = tokio::io::split(stream);
        let meeting = self.meet(&visitor, (Incoming::new(from), Outgoing::new(to)));
        let meeting = tokio::time::timeout(self.limits.connect, Box::pin(meeting));
        let Some(met) = self.stop.run_until_cancelled(meeting).await else { return };
        let Ok(met) = met else { return entrance::refused(entrance, "slow") };
        let Some((connect, ways)) = met else { return };
        self.host(connect, ways, place).await;
    }

    /// Lets a device in, or not.
    async fn meet(&self, visitor: &Visitor, (mut incoming, mut outgoing): Ways) -> Option<(ConnectPacket, Ways)> {
        let connect = match incoming.next(FIVE, packets::OTHERS).await {
            Ok(Packet::Connect(connect)) => *connect,
            Ok(_) => return None,
            Err(error) => {
                tracing::debug!(entrance = visitor.entrance, %error, "a connection ended before a login");
                return None;
            }
        };
        match self.admit(&connect, visitor) {
            Ok(()) => Some((connect, (incoming, outgoing))),
            Err(reason) => {
                outgoing.put(&login::refusal(connect.protocol_version, reason)).ok()?;
                // Whoever does not hear it is refused all the same.
                let _ = outgoing.write().await;
                let _ = outgoing.close().await;
                None
            }
        }
    }

    /// Serves a device from its CONNACK to its will.
    async fn host<P>(self: Arc<Self>, mut connect: ConnectPacket, ways: Ways, place: P) {
        let id = std::mem::take(&mut connect.client_id);
        let (wishes, will) = (Wishes::of(&connect), Will::of(&mut connect));
        let mut claim = self.sessions.claim(&id);
        let (Some(turn), tenure) = (claim.turn().await, claim.tenure) else { return };
        let (incoming, mut outgoing) = ways;
        let found = tenure.device.session().begin(wishes.anew, Instant::now());
        let welcomed = outgoing.put(&login::welcome(&connect, &wishes, found));
        drop(connect);
        let mut connection = Connection::new(&self, &id, tenure.clone(), wishes, (incoming, outgoing));
        let over = match welcomed {
            Err(broken) => Over::from(broken),
            Ok(()) if self.stop.is_cancelled() => Over::Ended(Ending::Stopping),
            Ok(()) => tokio::select! {
                over = connection.serve() => over,
                // The sender is dropped with the session only, and that not before this ends.
                ending = &mut claim.ending => Over::Ended(ending.unwrap_or(Ending::Stopping)),
            },
        };
        tracing::debug!(device = id, ?over, "a connection ended");
        let (kept, mut unanswered) = connection.close(&over).await;
        drop(place);
        // Nobody waits for an answer any more, but what was said holds, and is receipted.
        while unanswered.next().await.is_some() {}
        tenure.device.session().end(kept, Instant::now());
        if let Some(will) = will.filter(|_| !matches!(over, Over::Left)) {
            will.publish(&self, &id, &tenure, turn, kept).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};

    use mqtt5_protocol::ReasonCode;

    use super::*;

    #[test]
    fn who_is_refused_is_told_in_its_own_version() {
        let code = |version, reason| {
            let mut bytes = bytes::BytesMut::new();
            mqtt5_protocol::packet::MqttPacket::encode(&login::refusal(version, reason), &mut bytes).unwrap();
            bytes[3]
        };
        for (reason, three, five) in [
            (ReasonCode::BadUsernameOrPassword, 4, 0x86),
            (ReasonCode::ClientIdentifierNotValid, 2, 0x85),
            (ReasonCode::ConnectionRateExceeded, 3, 0x9f),
            (ReasonCode::UnsupportedProtocolVersion, 1, 0x84),
        ] {
            assert_eq!((code(4, reason), code(5, reason)), (three, five), "{reason:?}");
        }
    }

    /// Stores nothing so many times.
    struct Failing(AtomicU32);

    impl Sink for Failing {
        fn deliver<'a>(&'a self, _: &'a str, _: &'a [u8]) -> Pin<Box<dyn Future<Output = Stored> + Send + 'a>> {
            let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            let stored: Stored = Box::pin(std::future::ready(left.is_err()));
            Box::pin(std::future::ready(stored))
        }
    }

    fn engine(failures: u32) -> Engine {
        let rate = Rate { publishes: NonZeroU32::MAX, bytes: NonZeroU32::MAX };
        let (connect, certificates) = (Duration::from_secs(1), ClientCertificates::Off);
        let limits =
            Limits { connect, rate, subscriptions: 1, failures_per_device: 1, failures_per_address: 1, certificates };
        Engine {
            limits,
            registry: Arc::new(Arc::default),
            sink: Arc::new(Failing(failures.into())),
            attempts: Attempts::new(1, 1),
            rates: Rates::new(rate),
            sessions: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn what_cannot_be_stored_is_tried_again_until_its_device_is_back() {
        let engine = engine(2);
        let tenure = engine.sessions.claim("one").tenure;
        let attempt = engine.sink.deliver("", b"").await;
        assert!(engine.stored(&tenure, attempt, "", b"").await, "the second time, for one more failure was left");
        let engine = self::engine(u32::MAX);
        let tenure = engine.sessions.claim("one").tenure;
        let attempt = engine.sink.deliver("", b"").await;
        let (stored, _newer) = tokio::join!(engine.stored(&tenure, attempt, "", b""), async {
            tokio::task::yield_now().await;
            engine.sessions.claim("one")
        });
        assert!(!stored);
        let attempt = engine.sink.deliver("", b"").await;
        engine.stop.cancel();
        assert!(!engine.stored(&engine.sessions.claim("one").tenure, attempt, "", b"").await);
    }
}
