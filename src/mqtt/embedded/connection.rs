//! A device's connection: what it publishes is handed over in the order in which it comes and answered when it is stored,
//! what is published for it is sent.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use mqtt5_protocol::packet::disconnect::DisconnectPacket;
use mqtt5_protocol::packet::pingresp::PingRespPacket;
use mqtt5_protocol::packet::puback::PubAckPacket;
use mqtt5_protocol::packet::pubcomp::PubCompPacket;
use mqtt5_protocol::packet::publish::PublishPacket;
use mqtt5_protocol::packet::pubrec::PubRecPacket;
use mqtt5_protocol::packet::suback::{SubAckPacket, SubAckReasonCode};
use mqtt5_protocol::packet::subscribe::SubscribePacket;
use mqtt5_protocol::packet::subscribe_options::RetainHandling;
use mqtt5_protocol::packet::unsuback::{UnsubAckPacket, UnsubAckReasonCode};
use mqtt5_protocol::packet::unsubscribe::UnsubscribePacket;
use mqtt5_protocol::{Packet, Properties, QoS, ReasonCode};

use super::login::Wishes;
use super::messages::Delivery;
use super::packets::{Broken, FIVE, Incoming, Outgoing};
use super::sessions::{Ending, Tenure};
use super::{Engine, MAX_PACKET, TOPIC_ALIASES, UNANSWERED, refused};
use crate::entrance::Stream;
use crate::mqtt::authority;

/// Bytes of what is not yet stored, past which nothing more is read: so much memory a device may take while nothing can be.
const HELD: usize = 64 * 1024;
/// Bytes of messages to the device that are written at once.
const GATHERED: usize = 64 * 1024;
/// Bytes of a publish beside its topic and payload.
const PROPERTIES: usize = 4 * 1024;
/// How long a device may take to hear why its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Over {
    /// The device said so: its will does not hold.
    Left,
    /// It said so, and that its will holds.
    LeftWithWill,
    /// It was heard no more.
    Silent,
    /// What it said is against the protocol.
    Wrong(ReasonCode),
    Broken(Broken),
    Ended(Ending),
}

impl From<Broken> for Over {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// What a publish is answered.
pub(super) struct Answer {
    /// Bytes that need not be held any more.
    size: usize,
    qos: QoS,
    id: u16,
    /// Absent: none. It was not stored, and will not be.
    reason: Option<ReasonCode>,
}

/// What waits for its answer, in the order in which it came.
type Unanswered = FuturesOrdered<Pin<Box<dyn Future<Output = Answer> + Send>>>;

pub(super) struct Connection<'a> {
    engine: &'a Arc<Engine>,
    id: &'a str,
    tenure: Tenure,
    wishes: Wishes,
    incoming: Incoming<Stream>,
    outgoing: Outgoing<Stream>,
    /// What it published.
    unanswered: Unanswered,
    /// The bytes of that.
    held: usize,
    aliases: HashMap<u16, String>,
    /// Something may be there for it.
    due: bool,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        engine: &'a Arc<Engine>,
        id: &'a str,
        tenure: Tenure,
        wishes: Wishes,
        (incoming, outgoing): (Incoming<Stream>, Outgoing<Stream>),
    ) -> Self {
        let (unanswered, aliases) = (FuturesOrdered::new(), HashMap::new());
        let (held, due) = (0, true);
        Self { engine, id, tenure, wishes, incoming, outgoing, unanswered, held, aliases, due }
    }

    /// Serves the device until its connection is over. It may be dropped at any time.
    pub(super) async fn serve(&mut self) -> Over {
        loop {
            if let Err(over) = self.step().await {
                return over;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Over> {
        if std::mem::take(&mut self.due) {
            self.send().await?;
        }
        // A device that waits for answers need not be heard meanwhile.
        let reading = self.held <= HELD && self.unanswered.len() < usize::from(UNANSWERED);
        let silent = self.incoming.heard() + self.wishes.silence;
        tokio::select! {
            // What has come in time is heard before it is held against the device that nothing came.
            biased;
            Some(answer) = self.unanswered.next() => {
                if !reading {
                    self.incoming.excuse();
                }
                self.answer(&answer).await
            }
            () = self.tenure.device.wake.notified() => {
                self.due = true;
                Ok(())
            }
            packet = self.incoming.next(self.wishes.version, MAX_PACKET as usize), if reading => self.hear(packet?).await,
            () = tokio::time::sleep_until(silent.into()), if reading => {
                if self.incoming.heard().elapsed() < self.wishes.silence { Ok(()) } else { Err(Over::Silent) }
            }
        }
    }

    async fn hear(&mut self, packet: Packet) -> Result<(), Over> {
        match packet {
            Packet::Publish(publish) => self.publish(publish).await,
            Packet::PubAck(acknowledged) => {
                self.tenure.device.session().acknowledged(acknowledged.packet_id);
                self.due = true;
                Ok(())
            }
            // The third word of QoS 2. The second said that it is stored, and what is stored does not count twice.
            Packet::PubRel(released) => {
                self.outgoing.put(&PubCompPacket::new(released.packet_id))?;
                Ok(self.outgoing.write().await?)
            }
            Packet::Subscribe(asked) => self.subscribe(asked).await,
            Packet::Unsubscribe(asked) => self.unsubscribe(asked).await,
            Packet::PingReq => {
                self.outgoing.put(&PingRespPacket::default())?;
                Ok(self.outgoing.write().await?)
            }
            Packet::Disconnect(left) => Err(self.leave(&left)),
            _ => Err(Over::Wrong(ReasonCode::ProtocolError)),
        }
    }

    async fn publish(&mut self, mut publish: PublishPacket) -> Result<(), Over> {
        if publish.packet_id == Some(0) || publish.properties.get_subscription_identifier().is_some() {
            return Err(Over::Wrong(ReasonCode::ProtocolError));
        }
        self.engine.rates.publish(self.id).await;
        self.engine.rates.send(self.id, publish.body_encoded_size()).await;
        self.resolve(&mut publish)?;
        if publish.properties.encoded_len() > PROPERTIES {
            return Err(Over::Wrong(ReasonCode::QuotaExceeded));
        }
        // Nothing here asks for them any more.
        publish.properties = Properties::default();
        if !authority::may_publish(&(self.engine.registry)(), Some(self.id), &publish.topic_name) {
            refused("publish");
            // MQTT 3.1.1 knows no refusal.
            let reason = if self.wishes.version == FIVE { ReasonCode::NotAuthorized } else { ReasonCode::Success };
            let answer =
                Answer { size: 0, qos: publish.qos, id: publish.packet_id.unwrap_or_default(), reason: Some(reason) };
            self.unanswered.push_back(Box::pin(std::future::ready(answer)));
            return Ok(());
        }
        // Of states the last one holds: one that has to be tried again must not come after a newer one.
        let alone = Topic::parse(&publish.topic_name).is_none_or(|topic| topic.channel != Channel::Event);
        if alone {
            self.settle().await?;
        }
        self.hand_over(publish).await;
        if alone {
            self.settle().await?;
        }
        Ok(())
    }

    /// Replaces a topic's number by the topic.
    fn resolve(&mut self, publish: &mut PublishPacket) -> Result<(), Over> {
        match publish.properties.get_topic_alias() {
            None if publish.topic_name.is_empty() => Err(Over::Wrong(ReasonCode::ProtocolError)),
            None => Ok(()),
            Some(alias) if alias == 0 || alias > TOPIC_ALIASES => Err(Over::Wrong(ReasonCode::TopicAliasInvalid)),
            Some(alias) if publish.topic_name.is_empty() => {
                let known = self.aliases.get(&alias).ok_or(Over::Wrong(ReasonCode::ProtocolError))?;
                publish.topic_name.clone_from(known);
                Ok(())
            }
            // A topic that can be allowed is short.
            Some(alias) => {
                if Topic::parse(&publish.topic_name).is_some() {
                    self.aliases.insert(alias, publish.topic_name.clone());
                }
                Ok(())
            }
        }
    }

    async fn hand_over(&mut self, publish: PublishPacket) {
        let PublishPacket { topic_name: topic, payload, qos, packet_id, .. } = publish;
        let (size, id) = (topic.len() + payload.len(), packet_id.unwrap_or_default());
        // The packet as a whole is not held.
        let payload = Bytes::copy_from_slice(&payload);
        let (engine, tenure) = (Arc::clone(self.engine), self.tenure.clone());
        let attempt = engine.sink.deliver(&topic, &payload).await;
        self.held += size;
        self.unanswered.push_back(Box::pin(async move {
            let stored = engine.stored(&tenure, attempt, &topic, &payload).await;
            Answer { size, qos, id, reason: stored.then_some(ReasonCode::Success) }
        }));
    }

    /// Comes back when everything so far is stored and answered.
    async fn settle(&mut self) -> Result<(), Over> {
        while let Some(answer) = self.unanswered.next().await {
            self.answer(&answer).await?;
        }
        Ok(())
    }

    /// Gives this one, and all after it that the same transaction stored.
    async fn answer(&mut self, answer: &Answer) -> Result<(), Over> {
        self.put(answer)?;
        while let Some(Some(answer)) = self.unanswered.next().now_or_never() {
            self.put(&answer)?;
        }
        Ok(self.outgoing.write().await?)
    }

    fn put(&mut self, answer: &Answer) -> Result<(), Over> {
        let Answer { size, qos, id, reason } = *answer;
        self.held -= size;
        match (qos, reason) {
            (QoS::AtMostOnce, _) | (_, None) => {}
            (QoS::AtLeastOnce, Some(reason)) => self.outgoing.put(&PubAckPacket::new_with_reason(id, reason))?,
            (QoS::ExactlyOnce, Some(reason)) => self.outgoing.put(&PubRecPacket::new_with_reason(id, reason))?,
        }
        Ok(())
    }

    async fn subscribe(&mut self, asked: SubscribePacket) -> Result<(), Over> {
        let number = asked.properties.get_subscription_identifier();
        let impossible =
            asked.filters.iter().any(|filter| filter.options.no_local && filter.filter.starts_with("$share/"));
        if asked.packet_id == 0 || number == Some(0) || impossible {
            return Err(Over::Wrong(ReasonCode::ProtocolError));
        }
        self.engine.rates.publish(self.id).await;
        let protocol_version = self.wishes.version;
        let mut answer = SubAckPacket { protocol_version, ..SubAckPacket::new(asked.packet_id) };
        let mut retained = Vec::new();
        for filter in asked.filters {
            let (options, filter) = (filter.options, filter.filter);
            let code = if authority::may_subscribe(&(self.engine.registry)(), Some(self.id), &filter) {
                match self.tenure.device.session().subscribe(&filter, options, number, self.engine.limits.subscriptions)
                {
                    Ok(new) => {
                        let wanted = match options.retain_handling {
                            RetainHandling::SendAtSubscribe => true,
                            RetainHandling::SendAtSubscribeIfNew => new,
                            RetainHandling::DoNotSend => false,
                        };
                        retained.extend(wanted.then_some(filter));
                        SubAckReasonCode::from_qos(options.qos)
                    }
                    Err(_) => {
                        refused("subscriptions");
                        SubAckReasonCode::QuotaExceeded
                    }
                }
            } else {
                refused("subscribe");
                SubAckReasonCode::NotAuthorized
            };
            answer = answer.add_reason_code(code);
        }
        self.outgoing.put(&answer)?;
        self.outgoing.write().await?;
        for filter in retained {
            self.engine.sessions.tell_retained(self.id, &self.tenure.device, &filter);
        }
        self.due = true;
        Ok(())
    }

    async fn unsubscribe(&mut self, asked: UnsubscribePacket) -> Result<(), Over> {
        if asked.packet_id == 0 {
            return Err(Over::Wrong(ReasonCode::ProtocolError));
        }
        self.engine.rates.publish(self.id).await;
        let protocol_version = self.wishes.version;
        let mut answer = UnsubAckPacket { protocol_version, ..UnsubAckPacket::new(asked.packet_id) };
        for filter in &asked.filters {
            let known = self.tenure.device.session().unsubscribe(filter);
            let code = if known { UnsubAckReasonCode::Success } else { UnsubAckReasonCode::NoSubscriptionExisted };
            answer = answer.add_reason_code(code);
        }
        self.outgoing.put(&answer)?;
        Ok(self.outgoing.write().await?)
    }

    /// A device may say at its end that its session is to be kept for another time, but not that it is to be kept at all.
    fn leave(&mut self, left: &DisconnectPacket) -> Over {
        if let Some(seconds) = left.properties.get_session_expiry_interval() {
            if self.wishes.kept.is_zero() && seconds > 0 {
                return Over::Wrong(ReasonCode::ProtocolError);
            }
            self.wishes.kept = Duration::from_secs(seconds.into()).min(super::SESSION);
        }
        if left.reason_code == ReasonCode::Success { Over::Left } else { Over::LeftWithWill }
    }

    /// Sends what waits for the device, as far as it takes it.
    async fn send(&mut self) -> Result<(), Over> {
        let window = usize::from(self.wishes.window);
        loop {
            let now = Instant::now();
            let Some(delivery) = self.tenure.device.session().next(window, now) else { break };
            let id = delivery.id;
            let fits = self.outgoing.put_within(&self.packet(delivery), self.wishes.most)?;
            if let Some(id) = id.filter(|_| !fits) {
                // Nobody could read it.
                self.tenure.device.session().acknowledged(id);
            }
            if self.outgoing.gathered() > GATHERED {
                self.outgoing.write().await?;
            }
        }
        Ok(self.outgoing.write().await?)
    }

    fn packet(&self, delivery: Delivery) -> PublishPacket {
        let Delivery { topic, payload, retain, id, again, lifetime, subscription } = delivery;
        let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let mut packet = PublishPacket::new(&*topic, payload, qos).with_retain(retain).with_dup(again);
        (packet.packet_id, packet.protocol_version) = (id, self.wishes.version);
        if let Some(left) = lifetime {
            packet.properties.set_message_expiry_interval(u32::try_from(left.as_secs()).unwrap_or(u32::MAX));
        }
        if let Some(number) = subscription {
            packet.properties.set_subscription_identifier(number);
        }
        packet
    }

    /// Tells the device why it is over, where its version has words for that and it does not know. Gives how long its
    /// session is to be kept, and what of its is still to be stored.
    pub(super) async fn close(mut self, over: &Over) -> (Duration, Unanswered) {
        let reason = match over {
            Over::Left | Over::LeftWithWill => None,
            Over::Silent => Some(ReasonCode::KeepAliveTimeout),
            Over::Wrong(reason) => Some(*reason),
            Over::Broken(broken) => broken.reason(),
            Over::Ended(Ending::TakenOver) => Some(ReasonCode::SessionTakenOver),
            Over::Ended(Ending::ByOrder) => Some(ReasonCode::AdministrativeAction),
            Over::Ended(Ending::Stopping) => Some(ReasonCode::ServerShuttingDown),
        };
        let told = async {
            if let Some(reason) = reason.filter(|_| self.wishes.version == FIVE) {
                self.outgoing.put(&DisconnectPacket::new(reason))?;
                self.outgoing.write().await?;
            }
            Ok::<_, Broken>(self.outgoing.close().await?)
        };
        // Whoever is gone hears nothing.
        let _ = tokio::time::timeout(FAREWELL, told).await;
        (self.wishes.kept, self.unanswered)
    }
}
