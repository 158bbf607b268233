//! One connection of a device to a broker. It is never mended: after the first error it is dropped, and the next is a new
//! one, so that nothing of an old connection can be taken for the new one's.

use std::pin::Pin;
use std::time::Duration;

use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;
use futures::{Stream, StreamExt, stream};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, LastWill, Packet, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, MqttOptions};
use tokio::time::{Instant, timeout_at};

use super::fleet::{Broker, Credential};

/// The largest packet that is taken in; what devices are told is far smaller.
const MAX_PACKET: u32 = 512 * 1024;
/// Requests that may wait for the line. The session has few publishes under way, so more means that the line stands still.
const QUEUE: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A line on which not even the answers to pings come is dead, whatever TCP believes.
const SILENCE: Duration = Duration::from_secs(40);

/// What came over the connection.
pub(super) enum Heard {
    /// The broker accepted the connection and every subscription.
    Ready,
    Acked,
    Message(Channel, Vec<u8>),
    /// Nothing that concerns the device.
    Other,
    Broken(Broken),
}

/// Why a connection is at its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Connection(#[from] Box<ConnectionError>),
    #[error("the broker refused a subscription")]
    Subscription,
    #[error("the broker has fallen silent")]
    Silent,
    #[error("the line takes no more")]
    Full,
}

pub(super) struct Link {
    client: AsyncClient,
    /// A stream, because its `next` may be given up at any time: the poll of an event loop may not.
    events: Pin<Box<dyn Stream<Item = Result<Event, ConnectionError>> + Send>>,
    unacked: usize,
    heard: Instant,
}

impl Link {
    /// Begins to connect, with `will` as the device's last will.
    pub(super) fn open(broker: &Broker, credential: &Credential, will: &[u8]) -> Self {
        let mut options = MqttOptions::new(&credential.device, &broker.host, broker.port);
        options.set_credentials(&credential.device, &credential.secret);
        options.set_clean_start(true);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_max_packet_size(Some(MAX_PACKET));
        options.set_last_will(LastWill::new(credential.topic(Channel::State), will, QoS::AtLeastOnce, true, None));
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, event_loop) = AsyncClient::new(options, QUEUE);
        let topics = [Channel::Command, Channel::Config, Channel::Receipt].map(|channel| credential.topic(channel));
        // The queue is empty, and what is in it is sent once the broker has accepted the connection.
        let _ = client.try_subscribe_many(topics.map(|topic| Filter::new(topic, QoS::AtLeastOnce)));
        let events = stream::unfold(event_loop, |mut event_loop| async move {
            let event = event_loop.poll().await;
            Some((event, event_loop))
        });
        Self { client, events: Box::pin(events), unacked: 0, heard: Instant::now() }
    }

    /// The next thing that comes; may be dropped at any time without losing one.
    pub(super) async fn hear(&mut self) -> Heard {
        let event = match timeout_at(self.heard + SILENCE, self.events.next()).await {
            Ok(Some(Ok(Event::Incoming(packet)))) => packet,
            Ok(Some(Ok(Event::Outgoing(_)))) => return Heard::Other,
            Ok(Some(Err(error))) => return Heard::Broken(Box::new(error).into()),
            Ok(None) | Err(_) => return Heard::Broken(Broken::Silent),
        };
        self.heard = Instant::now();
        match event {
            Packet::SubAck(ack) => {
                let accepted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                if ack.return_codes.iter().all(accepted) { Heard::Ready } else { Heard::Broken(Broken::Subscription) }
            }
            Packet::PubAck(_) => {
                self.unacked = self.unacked.saturating_sub(1);
                Heard::Acked
            }
            Packet::Publish(publish) => {
                let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
                topic.map_or(Heard::Other, |topic| Heard::Message(topic.channel, publish.payload.to_vec()))
            }
            _ => Heard::Other,
        }
    }

    pub(super) fn publish(&mut self, topic: String, retained: bool, payload: &[u8]) -> Result<(), Broken> {
        let sent = self.client.try_publish(topic, QoS::AtLeastOnce, retained, payload.to_vec());
        sent.map_err(|_| Broken::Full)?;
        self.unacked += 1;
        Ok(())
    }

    /// Waits until the broker has everything that was published, then takes leave, so that it does not send the will.
    pub(super) async fn close(mut self) {
        while self.unacked > 0 {
            if let Heard::Broken(_) = self.hear().await {
                return;
            }
        }
        if self.client.try_disconnect().is_ok() {
            while !matches!(self.hear().await, Heard::Broken(_)) {}
        }
    }
}
