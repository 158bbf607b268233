//! To the broker: what the backend has to say.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::super::Message;
use super::{Backoff, Options, mqtt_options};
use crate::clock::SharedClock;

const OUTBOX: usize = 1_024;

/// Messages to devices, taken by [`publish`].
pub fn outbox() -> (mpsc::Sender<Message>, mpsc::Receiver<Message>) {
    mpsc::channel(OUTBOX)
}

/// Publishes for ever, on a connection of its own: what waits here keeps no acknowledgement waiting.
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
            error = polling => {
                if backoff.is_news(&error) {
                    tracing::warn!(broker = ?options, %error, "the publishing connection ended");
                } else {
                    tracing::debug!(%error, "the publishing connection ended");
                }
            }
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
