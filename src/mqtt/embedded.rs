//! The embedded broker: the only file that knows the `mqtt5` crate.
//!
//! Its handler runs before the PUBACK of a publish, one at a time for each connection: an event is
//! committed there, so a PUBACK to a device means *stored*. Sessions live in memory: after a restart
//! devices connect anew, and everything they were told is told again from the store.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;
use mqtt5::QoS;
use mqtt5::broker::config::{BrokerConfig, StorageBackend, StorageConfig};
use mqtt5::broker::events::{BrokerEventHandler, ClientPublishEvent, PublishAction, RetainedSetEvent};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::{AuthProvider, AuthResult, BrokerShutdownHandle, MqttBroker};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::packet::publish::PublishPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;
use tokio::task::{AbortHandle, JoinHandle};

use super::{MAX_PACKET, Message, Sink, authority};
use crate::domain::registry::Registry;

/// Reads the registry as it stands.
pub type ReadRegistry = Arc<dyn Fn() -> Arc<Registry> + Send + Sync>;

const MAX_CLIENTS: usize = 50_000;
/// What a device that is away may have queued. Past it the broker drops, with nothing but a warning.
const MAX_QUEUED: usize = 100_000;
const MAX_QUEUED_BYTES: usize = 256 * 1024 * 1024;
/// How long a device may be away before its session is forgotten.
const SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a device waits for its PUBACK before a publish that could not be stored is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// A running broker.
pub struct Broker {
    pub address: SocketAddr,
    pub router: Router,
    shutdown: BrokerShutdownHandle,
    task: JoinHandle<()>,
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
    /// Binds `listen` and starts accepting connections.
    pub async fn start(listen: SocketAddr, registry: ReadRegistry, sink: Arc<dyn Sink>) -> anyhow::Result<Self> {
        let storage = StorageConfig::default()
            .with_backend(StorageBackend::Memory)
            .with_max_queued_messages_per_client(MAX_QUEUED)
            .with_max_queued_bytes_per_client(MAX_QUEUED_BYTES);
        let mut config = BrokerConfig::default()
            .with_bind_address(listen)
            .with_max_clients(MAX_CLIENTS)
            .with_max_packet_size(MAX_PACKET as usize)
            .with_session_expiry(SESSION)
            .with_storage(storage)
            .with_sys_topics_enabled(false);
        // Nobody logs in through the broker's own users; its lock-out by address would shut a whole site out.
        config.auth_config.rate_limit.enabled = false;
        config.event_handler = Some(Arc::new(Handler { sink }));
        let broker = MqttBroker::with_config(config).await?;
        let mut broker = broker.with_auth_provider(Arc::new(Authority { registry }));
        let address = broker.local_addr().ok_or_else(|| anyhow::anyhow!("the broker has no address"))?;
        let (router, shutdown) = (Router(broker.router()), broker.shutdown_handle());
        let mut ready = broker.ready_receiver();
        let task = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!(%error, "the embedded broker ended");
            }
        });
        ready.wait_for(|ready| *ready).await?;
        Ok(Self { address, router, shutdown, task })
    }

    /// Finished when it no longer accepts connections.
    pub fn running(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    pub async fn stop(self) {
        self.shutdown.shutdown();
        if tokio::time::timeout(Duration::from_secs(5), self.task).await.is_err() {
            tracing::warn!("the embedded broker did not stop in time");
        }
    }
}

struct Handler {
    sink: Arc<dyn Sink>,
}

impl Handler {
    /// Comes back when the publish is stored. Until then its sender gets no PUBACK and sends nothing more.
    async fn store(&self, topic: &str, payload: &[u8]) {
        while !self.sink.deliver(topic, payload).await.await {
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl BrokerEventHandler for Handler {
    fn on_client_publish<'a>(
        &'a self,
        event: ClientPublishEvent,
    ) -> Pin<Box<dyn Future<Output = PublishAction> + Send + 'a>> {
        Box::pin(async move {
            match Topic::parse(&event.topic).map(|topic| topic.channel) {
                // A retained state goes on to `on_retained_set`, the way wills come too.
                Some(Channel::State) if event.retain => PublishAction::Continue,
                _ => {
                    self.store(&event.topic, &event.payload).await;
                    PublishAction::Handled
                }
            }
        })
    }

    fn on_retained_set<'a>(&'a self, event: RetainedSetEvent) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if Topic::parse(&event.topic).is_some_and(|topic| topic.channel == Channel::State) {
                self.store(&event.topic, &event.payload).await;
            }
        })
    }
}

struct Authority {
    registry: ReadRegistry,
}

fn refused(what: &'static str) {
    metrics::counter!("fenlei_mqtt_refused_total", "what" => what).increment(1);
}

impl AuthProvider for Authority {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        _from: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = mqtt5::error::Result<AuthResult>> + Send + 'a>> {
        let registry = (self.registry)();
        let user = connect.username.as_deref();
        let login = authority::login(&registry, &connect.client_id, user, connect.password.as_deref());
        let result = match login {
            Ok(()) => AuthResult::success_with_user(connect.client_id.clone()),
            Err(authority::Refused::Credentials) => {
                refused("login");
                AuthResult::fail(ReasonCode::BadUsernameOrPassword)
            }
            Err(authority::Refused::ClientId) => {
                refused("client_id");
                AuthResult::fail(ReasonCode::ClientIdentifierNotValid)
            }
        };
        Box::pin(std::future::ready(Ok(result)))
    }

    fn authorize_publish<'a>(
        &'a self,
        _client_id: &str,
        user_id: Option<&'a str>,
        topic: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let allowed = authority::may_publish(&(self.registry)(), user_id, topic);
        if !allowed {
            refused("publish");
        }
        Box::pin(std::future::ready(allowed))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _client_id: &str,
        user_id: Option<&'a str>,
        topic_filter: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let allowed = authority::may_subscribe(&(self.registry)(), user_id, topic_filter);
        if !allowed {
            refused("subscribe");
        }
        Box::pin(std::future::ready(allowed))
    }
}
