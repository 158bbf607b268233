//! Shared subscriptions of MQTT 5, by which several backends divide what comes among them, and the proof that a broker has
//! them: some take such a subscription and deliver nothing to it, and nobody would notice but by what is missing.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};

use super::external::{Options, mqtt_options};

/// How long the broker is waited for, in all.
const CONNECT: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(500);
/// So many times a broker may close a connection that it has not answered to.
const CLOSED: u32 = 5;
/// How long it may take to deliver.
const DELIVER: Duration = Duration::from_secs(10);

/// Why several backends cannot work with a broker.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    #[error("the broker could not be reached within {within} seconds: {cause}", within = CONNECT.as_secs())]
    Unreachable { cause: String },
    #[error("the broker refuses to speak MQTT 5 ({0}), which shared subscriptions need")]
    Refused(&'static str),
    #[error("the broker says that it has no shared subscriptions")]
    Unavailable,
    #[error("the broker refuses a shared subscription: its ACL must let this user read and write fenlei/v1/#")]
    Forbidden,
    #[error(
        "the broker took a shared subscription and delivered nothing to it within {} seconds: events would be lost \
         from sight; use a broker that has shared subscriptions, such as Mosquitto 2, or one backend without `mqtt.share`",
        DELIVER.as_secs()
    )]
    Undelivered,
    #[error("the connection to the broker ended: {0}")]
    Ended(String),
}

/// The filter of a shared subscription.
pub(super) fn filter(group: &str, filter: &str) -> String {
    format!("$share/{group}/{filter}")
}

/// A client id that no other backend has.
pub fn name(client_id: &str) -> String {
    format!("{client_id}-{:016x}", fastrand::u64(..))
}

/// Sends itself a message by a shared subscription of its own, where the options name a group.
pub async fn prove(options: &Options) -> Result<(), Unproven> {
    let Some(group) = &options.share else { return Ok(()) };
    let nonce = format!("{:016x}", fastrand::u64(..));
    // A topic that no device can have, and that our own user may read and write.
    let topic = format!("fenlei/v1/-/probe/{nonce}/receipt");
    let mut mqtt = mqtt_options(options, &format!("{}-probe", options.client_id));
    mqtt.set_clean_start(true);
    let (client, mut connection) = AsyncClient::new(mqtt, 8);
    tokio::time::timeout(CONNECT, connected(&mut connection))
        .await
        .unwrap_or_else(|_| Err(Unproven::Unreachable { cause: "it does not answer".to_owned() }))?;
    let ended = |error: &dyn std::fmt::Display| Unproven::Ended(error.to_string());
    client.subscribe(filter(group, &topic), QoS::AtLeastOnce).await.map_err(|error| ended(&error))?;
    let delivered = async {
        loop {
            match connection.poll().await.map_err(|error| ended(&error))? {
                Event::Incoming(Packet::SubAck(answer)) => {
                    let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                    if !answer.return_codes.iter().all(granted) {
                        return Err(Unproven::Forbidden);
                    }
                    let sent = client.publish(topic.as_str(), QoS::AtLeastOnce, false, nonce.clone()).await;
                    sent.map_err(|error| ended(&error))?;
                }
                Event::Incoming(Packet::Publish(publish)) if publish.payload == nonce => return Ok(()),
                _ => {}
            }
        }
    };
    tokio::time::timeout(DELIVER, delivered).await.unwrap_or(Err(Unproven::Undelivered))
}

/// Waits for a connection.
async fn connected(connection: &mut EventLoop) -> Result<(), Unproven> {
    let (began, mut closed) = (tokio::time::Instant::now(), 0);
    loop {
        let error = match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(answer))) => {
                let available = answer.properties.and_then(|properties| properties.shared_subscription_available);
                return if available == Some(0) { Err(Unproven::Unavailable) } else { Ok(()) };
            }
            Ok(_) => continue,
            Err(error) => error,
        };
        match error {
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion,
            ) => return Err(Unproven::Refused("it says so")),
            // NATS does so. Once may be a broker that is just going away.
            ConnectionError::MqttState(_) if closed == CLOSED => {
                return Err(Unproven::Refused("it closes the connection whenever it is asked to"));
            }
            ConnectionError::MqttState(_) => closed += 1,
            error if began.elapsed() + RETRY >= CONNECT => {
                return Err(Unproven::Unreachable { cause: error.to_string() });
            }
            _ => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}
