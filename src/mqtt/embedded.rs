//! The embedded broker: the only file that knows the `mqtt5` crate.
//!
//! Its handler runs before the PUBACK of a publish, one at a time for each connection: an event is
//! committed there, so a PUBACK to a device means *stored*. Sessions live in memory: after a restart
//! devices connect anew, and everything they were told is told again from the store.
//!
//! The crate's own server is not used: it knows TLS without a deadline or new certificates, and drops what is over a
//! limit. Connections come from [`crate::entrance`], each with an [`Authority`] of its own, which knows where it came from.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;
use mqtt5::QoS;
use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::config::BrokerConfig;
use mqtt5::broker::events::{
    BrokerEventHandler, ClientPublishEvent, ClientSubscribeEvent, PublishAction, RetainedSetEvent, SubAckReasonCode,
};
use mqtt5::broker::resource_monitor::{ResourceLimits, ResourceMonitor};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::client_queue::QueueLimits;
use mqtt5::broker::storage::{DynamicStorage, MemoryBackend, StorageBackend};
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::broker::tls_acceptor::TlsStreamWrapper;
use mqtt5::broker::transport::BrokerTransport;
use mqtt5::broker::{AuthProvider, AuthResult};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::packet::publish::PublishPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;
use tokio::sync::{Notify, broadcast};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::busy::Busy;
use super::rates::{Rate, Rates};
use super::{MAX_PACKET, Message, Sink, authority};
use crate::domain::registry::Registry;
use crate::entrance::tls::ClientCertificates;
use crate::entrance::{self, Attempts, Guest, Listener, Place, Stream};

/// Reads the registry as it stands.
pub type ReadRegistry = Arc<dyn Fn() -> Arc<Registry> + Send + Sync>;

/// What a device that is away may have queued. Past it the broker drops, with nothing but a warning.
const QUEUE: QueueLimits = QueueLimits { max_messages: 100_000, max_bytes: 256 * 1024 * 1024 };
/// How long a device may be away before its session is forgotten.
const SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a device waits for its PUBACK before a publish that could not be stored is tried again.
const RETRY: Duration = Duration::from_millis(500);
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
    shutdown: broadcast::Sender<()>,
    stop: CancellationToken,
}

/// Publishes into the broker.
#[derive(Clone)]
pub struct Router(Arc<MessageRouter>);

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Router")
    }
}

impl Router {
    pub(super) async fn publish(&self, message: Message) {
        let mut publish =
            PublishPacket::new(message.topic, message.payload, QoS::AtLeastOnce).with_retain(message.retain);
        if let Some(lifetime) = message.lifetime {
            publish = publish.with_message_expiry_interval(lifetime.seconds);
        }
        self.0.route_message(&publish, None).await;
    }

    pub(super) async fn disconnect(&self, device: &str) {
        self.0.disconnect_client(device).await;
    }
}

impl Broker {
    /// Takes devices at all of these listeners, which must be one at least.
    pub fn start(listeners: Vec<Listener>, limits: Limits, registry: ReadRegistry, sink: Arc<dyn Sink>) -> Self {
        let (rates, busy) = (Arc::new(Rates::new(limits.rate)), Arc::<Busy>::default());
        let handler: Arc<dyn BrokerEventHandler> =
            Arc::new(Handler { sink, rates: Arc::clone(&rates), busy: Arc::clone(&busy) });
        let mut config = BrokerConfig::default()
            .with_max_packet_size(MAX_PACKET as usize)
            .with_session_expiry(SESSION)
            .with_max_subscriptions_per_client(limits.subscriptions);
        config.event_handler = Some(Arc::clone(&handler));
        let storage = Arc::new(DynamicStorage::Memory(MemoryBackend::with_queue_limits(QUEUE)));
        let router = Arc::new(
            MessageRouter::with_storage(Arc::clone(&storage))
                .with_fallback_queue_limits(QUEUE)
                .with_event_handler(handler),
        );
        let (shutdown, _) = broadcast::channel(1);
        let engine = Arc::new(Engine {
            config: Arc::new(config),
            router: Arc::clone(&router),
            storage: Arc::clone(&storage),
            stats: Arc::new(BrokerStats::new()),
            monitor: Arc::new(ResourceMonitor::new(UNLIMITED)),
            shutdown: shutdown.clone(),
            attempts: Attempts::new(limits.failures_per_device, limits.failures_per_address),
            limits,
            registry,
            rates,
            busy,
        });
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let accepting = listeners.into_iter().map(|listener| {
            let engine = Arc::clone(&engine);
            listener.run(stop.clone(), move |guest| Arc::clone(&engine).serve(guest))
        });
        let accepting: Vec<_> = accepting.collect();
        let running = tasks.spawn(async move {
            futures::future::join_all(accepting).await;
        });
        let (forgetting, stopped) = (Arc::clone(&router), stop.clone());
        tasks.spawn(async move {
            while stopped.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
                if let Err(error) = storage.cleanup_expired().await {
                    tracing::warn!(%error, "sessions that are over could not be forgotten");
                }
                forgetting.sweep_sessions().await;
            }
        });
        Self { router: Router(router), running, tasks, shutdown, stop }
    }

    /// Finished when it no longer accepts connections.
    pub fn running(&self) -> AbortHandle {
        self.running.clone()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        // Nobody may be connected.
        let _ = self.shutdown.send(());
        if tokio::time::timeout(DRAIN, self.tasks.join_all()).await.is_err() {
            tracing::warn!("the embedded broker did not stop in time");
        }
    }
}

/// Limits stand at the entrance and in [`Rates`]: what these refuse would be lost.
const UNLIMITED: ResourceLimits = ResourceLimits {
    max_connections: usize::MAX,
    max_connections_per_ip: usize::MAX,
    max_message_rate_per_client: 0,
    max_bandwidth_per_client: 0,
    max_connection_rate: u32::MAX,
    rate_limit_window: Duration::from_secs(1),
};

/// What all connections share.
struct Engine {
    config: Arc<BrokerConfig>,
    router: Arc<MessageRouter>,
    storage: Arc<DynamicStorage>,
    stats: Arc<BrokerStats>,
    monitor: Arc<ResourceMonitor>,
    shutdown: broadcast::Sender<()>,
    limits: Limits,
    attempts: Attempts,
    registry: ReadRegistry,
    rates: Arc<Rates>,
    busy: Arc<Busy>,
}

impl Engine {
    /// Speaks MQTT to the end of the connection.
    async fn serve(self: Arc<Self>, guest: Guest) {
        let Guest { stream, peer, entrance, names, place } = guest;
        let logged_in = Arc::new(Notify::new());
        let authority =
            Authority { engine: Arc::clone(&self), entrance, names, logged_in: Arc::clone(&logged_in), _place: place };
        let transport = match stream {
            Stream::Plain(stream) => BrokerTransport::tcp(stream),
            Stream::Sealed(stream) => BrokerTransport::tls(TlsStreamWrapper::new(*stream)),
        };
        let (config, router, storage) = (Arc::clone(&self.config), Arc::clone(&self.router), Arc::clone(&self.storage));
        let (stats, monitor) = (Arc::clone(&self.stats), Arc::clone(&self.monitor));
        let (authority, shutdown) = (Arc::new(authority), self.shutdown.subscribe());
        let handler =
            ClientHandler::new(transport, peer, config, router, authority, Some(storage), stats, monitor, shutdown);
        // On the heap: a connection that waits is to cost little.
        let over = Arc::new(Notify::new());
        let run = Box::pin(Busy::until(Arc::clone(&over), handler.run()));
        let late = async {
            if tokio::time::timeout(self.limits.connect, logged_in.notified()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = run => if let Err(error) = ended && !error.is_normal_disconnect() {
                tracing::debug!(entrance, %error, "a connection ended");
            },
            () = late => entrance::refused(entrance, "slow"),
            () = over.notified() => tracing::debug!(entrance, "a connection made way for the next of its device"),
        }
    }
}

struct Handler {
    sink: Arc<dyn Sink>,
    rates: Arc<Rates>,
    busy: Arc<Busy>,
}

impl Handler {
    /// Comes back when the publish is stored. Until then its sender gets no PUBACK and sends nothing more.
    async fn store(&self, topic: &str, payload: &[u8]) {
        if self.sink.deliver(topic, payload).await.await {
            return;
        }
        // A device's client id is its own, and so are its topics.
        let device = Topic::parse(topic).map_or("", |topic| topic.device);
        self.busy.enter(device);
        loop {
            tokio::time::sleep(RETRY).await;
            if self.sink.deliver(topic, payload).await.await {
                break;
            }
        }
        self.busy.leave(device);
    }
}

impl BrokerEventHandler for Handler {
    fn on_client_subscribe<'a>(&'a self, event: ClientSubscribeEvent) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let over = event.subscriptions.iter().filter(|asked| asked.result == SubAckReasonCode::QuotaExceeded);
        over.for_each(|_| refused("subscriptions"));
        Box::pin(std::future::ready(()))
    }

    fn on_client_publish<'a>(
        &'a self,
        event: ClientPublishEvent,
    ) -> Pin<Box<dyn Future<Output = PublishAction> + Send + 'a>> {
        Box::pin(async move {
            self.rates.send(&event.client_id, event.payload.len()).await;
            // Not for the broker to keep, not even a retained state: nobody may subscribe to it here, and each subscription
            // looks through all that is retained.
            self.store(&event.topic, &event.payload).await;
            PublishAction::Handled
        })
    }

    /// The way wills come.
    fn on_retained_set<'a>(&'a self, event: RetainedSetEvent) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if Topic::parse(&event.topic).is_some_and(|topic| topic.channel == Channel::State) {
                self.store(&event.topic, &event.payload).await;
            }
        })
    }
}

/// Who a connection is, and what it may do.
struct Authority {
    engine: Arc<Engine>,
    entrance: &'static str,
    /// Whom its certificate names.
    names: Option<Vec<String>>,
    logged_in: Arc<Notify>,
    /// At the entrance, as long as the connection lasts.
    _place: Place<std::net::IpAddr>,
}

fn refused(what: &'static str) {
    metrics::counter!("fenlei_mqtt_refused_total", "what" => what).increment(1);
}

impl Authority {
    fn login(&self, connect: &ConnectPacket, from: std::net::IpAddr) -> Result<(), ReasonCode> {
        let (attempts, user) = (&self.engine.attempts, connect.username.as_deref());
        let name = user.unwrap_or_default();
        if attempts.wait(from, name, Instant::now()).is_some() {
            entrance::refused(self.entrance, "attempts");
            return Err(ReasonCode::ConnectionRateExceeded);
        }
        let login = authority::login(&(self.engine.registry)(), &connect.client_id, user, connect.password.as_deref());
        match login {
            Ok(()) => {
                attempts.succeeded(from, name);
                self.engine.busy.connects_anew(&connect.client_id);
            }
            Err(authority::Refused::Credentials) => {
                attempts.failed(from, name, Instant::now());
                refused("login");
                // Whoever goes on has to wait, so that this is no flood. What is no device's id may be a secret.
                let device = (self.engine.registry)().devices.get(name).map(|device| device.id.clone());
                tracing::warn!(device = device.as_deref().unwrap_or("unknown"), %from, "a login was refused");
                return Err(ReasonCode::BadUsernameOrPassword);
            }
            Err(authority::Refused::ClientId) => {
                refused("client_id");
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
        }
        if !authority::is_named(self.engine.limits.certificates, self.names.as_deref(), name) {
            entrance::refused(self.entrance, "certificate");
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
    }
}

impl AuthProvider for Authority {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        from: std::net::SocketAddr,
    ) -> Pin<Box<dyn Future<Output = mqtt5::error::Result<AuthResult>> + Send + 'a>> {
        let result = match self.login(connect, from.ip()) {
            Ok(()) => {
                self.logged_in.notify_one();
                AuthResult::success_with_user(connect.client_id.clone())
            }
            Err(reason) => AuthResult::fail(reason),
        };
        Box::pin(std::future::ready(Ok(result)))
    }

    fn authorize_publish<'a>(
        &'a self,
        client_id: &str,
        user_id: Option<&'a str>,
        topic: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let client_id = client_id.to_owned();
        Box::pin(async move {
            self.engine.rates.publish(&client_id).await;
            let allowed = authority::may_publish(&(self.engine.registry)(), user_id, topic);
            if !allowed {
                refused("publish");
            }
            allowed
        })
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _client_id: &str,
        user_id: Option<&'a str>,
        topic_filter: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let allowed = authority::may_subscribe(&(self.engine.registry)(), user_id, topic_filter);
        if !allowed {
            refused("subscribe");
        }
        Box::pin(std::future::ready(allowed))
    }
}
