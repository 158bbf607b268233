//! Many devices connected at once: what each costs the backend in memory, beside what it costs Mosquitto.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use fenlei_wire::vocabulary::DeviceKind;
use futures::StreamExt;
use futures::stream;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::task::JoinSet;

use super::backend::{Backend, resident};
use super::broker::Mosquitto;
use super::workload::register;
use crate::clock::SharedClock;
use crate::credentials;
use crate::domain::card::CardKey;
use crate::store::registry::{DeviceFields, RegistryError, put_device};
use crate::store::{Options, Store};

/// The secret of every device of the bench.
pub const SECRET: &str = "bench";

const SITE: &str = "site-0";
/// Devices that connect at the same moment.
pub const AT_ONCE: usize = 64;
/// What a connection leaves behind while it is made is given back within this time.
const SETTLE: Duration = Duration::from_secs(5);

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub devices: usize,
    /// Until all of them were connected, subscribed and had two publishes acknowledged.
    pub connected_in: Duration,
    /// Resident memory that each added, in bytes.
    pub bytes_a_device: f64,
    pub mosquitto_bytes_a_device: f64,
}

/// Connects `devices` devices, each with its three subscriptions, its state and an event.
pub async fn run(folder: &Path, devices: usize, clock: &SharedClock) -> anyhow::Result<Report> {
    let store = Store::open(&Options::at(folder.join("bench.db")))?;
    let password = credentials::hash(SECRET)?;
    register(&store, &CardKey::new([7; 32]), &password).await?;
    let add = move |session: &mut crate::store::writer::Session<'_>| -> Result<(), RegistryError> {
        for number in 0..devices {
            let (id, kind) = (id(number), DeviceKind::Bin);
            let fields = DeviceFields { id: &id, site: SITE, kind, name: None, streams: None, password: &password };
            put_device(session.connection, &session.registry, &fields)?;
        }
        Ok(())
    };
    store.write(add).await?;
    drop(store);
    let backend = Backend::start(folder, clock).await?;
    let before = backend.resident()?;
    let begun = Instant::now();
    let fleet = gather(backend.mqtt.port(), devices, Some(SECRET), clock).await?;
    let connected_in = begun.elapsed();
    tokio::time::sleep(SETTLE).await;
    let bytes_a_device = each(backend.resident()?, before, devices);
    drop(fleet);
    backend.stop()?;

    let mosquitto = Mosquitto::start(folder)?;
    let before = resident(mosquitto.process.id())?;
    let fleet = gather(mosquitto.port, devices, None, clock).await?;
    tokio::time::sleep(SETTLE).await;
    let mosquitto_bytes_a_device = each(resident(mosquitto.process.id())?, before, devices);
    drop(fleet);
    Ok(Report { devices, connected_in, bytes_a_device, mosquitto_bytes_a_device })
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory stay far below 2^53")]
fn each(after: u64, before: u64, devices: usize) -> f64 {
    after.saturating_sub(before) as f64 / devices as f64
}

fn id(number: usize) -> String {
    format!("device-{number}")
}

/// Connects them all; they stay until the set is dropped.
async fn gather(
    port: u16,
    devices: usize,
    secret: Option<&str>,
    clock: &SharedClock,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut connecting =
        stream::iter(0..devices).map(|number| join(port, number, secret, clock)).buffer_unordered(AT_ONCE);
    let mut fleet = JoinSet::new();
    while let Some(connected) = connecting.next().await {
        let (client, mut connection) = connected.context("a device cannot connect: does `ulimit -n` allow so many?")?;
        fleet.spawn(async move {
            // Without its client a connection ends.
            let _client = client;
            loop {
                connection.poll().await?;
            }
        });
    }
    Ok(fleet)
}

async fn join(
    port: u16,
    number: usize,
    secret: Option<&str>,
    clock: &SharedClock,
) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let id = id(number);
    let (client, mut connection) = connect(port, &id, secret);
    subscribe(&client, SITE, DeviceKind::Bin, &id).await?;
    let topic = |channel| format!("fenlei/v1/{SITE}/bin/{id}/{channel}");
    client.publish(topic("state"), QoS::AtLeastOnce, true, r#"{"online":true,"boot":1}"#).await?;
    let time = clock.now().to_rfc3339();
    let event = format!(r#"{{"boot":1,"seq":1,"time":"{time}","type":"heartbeat","celsius":21.5}}"#);
    client.publish(topic("event"), QoS::AtLeastOnce, false, event).await?;
    let mut acknowledged = 0;
    while acknowledged < 2 {
        if let Event::Incoming(Packet::PubAck(_)) = connection.poll().await? {
            acknowledged += 1;
        }
    }
    Ok((client, connection))
}

/// A device's connection to a broker on this machine; polling it makes it.
pub fn connect(port: u16, id: &str, secret: Option<&str>) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60)).set_connection_timeout(60);
    if let Some(secret) = secret {
        options.set_credentials(id, secret);
    }
    AsyncClient::new(options, 100)
}

/// Subscribes as devices do, once the connection is polled.
pub async fn subscribe(client: &AsyncClient, site: &str, kind: DeviceKind, id: &str) -> anyhow::Result<()> {
    let filter = |channel| Filter::new(format!("fenlei/v1/{site}/{kind}/{id}/{channel}"), QoS::AtLeastOnce);
    client.subscribe_many(["command", "config", "receipt"].map(filter)).await?;
    Ok(())
}
