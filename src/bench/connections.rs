//! Many devices connected at once: what each costs the backend in memory, beside what it costs Mosquitto.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fenlei_wire::vocabulary::Channel;
use futures::StreamExt;
use futures::stream;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::task::JoinSet;

use super::backend::{Backend, resident};
use super::devices::{self, Device};
use super::mosquitto::Mosquitto;
use crate::clock::SharedClock;
use crate::serve::files;
use crate::store::{Options, Store};

/// Devices that connect at the same moment.
pub const AT_ONCE: usize = 16;
/// Open files beside connections.
const OTHERS: u64 = 100;
/// Memory has settled when it was as it is, to one in a thousand, for so many looks; and is taken as it is at last.
const LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(60);
/// What a device may do at Mosquitto, as it may here.
const RULES: &str = "pattern write fenlei/v1/+/+/%u/event\npattern write fenlei/v1/+/+/%u/state\n\
                     pattern read fenlei/v1/+/+/%u/command\npattern read fenlei/v1/+/+/%u/config\n\
                     pattern read fenlei/v1/+/+/%u/receipt\n";

/// What one run found of one of the two.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Until all of them were logged in and subscribed, and had their state and an event acknowledged.
    pub connected_in: Duration,
    /// Resident memory that each added, in bytes.
    pub bytes_a_device: f64,
}

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub devices: usize,
    pub fenlei: Cost,
    pub mosquitto: Cost,
    /// What checking the secret of one of them takes.
    pub check: Duration,
}

/// Connects so many devices, each with its own secret, its three subscriptions, its will, its state and an event.
pub async fn run(folder: &Path, count: usize, clock: &SharedClock) -> anyhow::Result<Report> {
    let allowed = files::raise();
    ensure!(
        allowed >= count as u64 + OTHERS,
        "the system allows {allowed} open files, too few for {count} connections: raise `ulimit -Hn`, or lower `--devices`"
    );
    let store = Store::open(&Options::at(folder.join("bench.db")))?;
    let devices = devices::register(&store, count).await?;
    drop(store);
    let check = check(&devices)?;
    let backend = Backend::start(folder, clock).await?;
    let fenlei = cost(backend.process(), backend.mqtt.port(), &devices, clock).await?;
    backend.stop()?;
    std::fs::write(folder.join("passwd"), devices::passwords(&devices))?;
    std::fs::write(folder.join("acl"), RULES)?;
    let (passwords, rules) = (folder.join("passwd"), folder.join("acl"));
    let access =
        format!("allow_anonymous false\npassword_file {}\nacl_file {}\n", passwords.display(), rules.display());
    let mosquitto = Mosquitto::start(folder, &access)?;
    let mosquitto = cost(mosquitto.process(), mosquitto.port, &devices, clock).await?;
    Ok(Report { devices: count, fenlei, mosquitto, check })
}

/// The mean of ten.
fn check(devices: &[Device]) -> anyhow::Result<Duration> {
    let (device, begun) = (devices.first().context("no device is to connect")?, Instant::now());
    for _ in 0..10 {
        ensure!(device.logs_in(), "a secret does not fit");
    }
    Ok(begun.elapsed() / 10)
}

async fn cost(process: u32, port: u16, devices: &[Device], clock: &SharedClock) -> anyhow::Result<Cost> {
    let before = settled(process).await?;
    let begun = Instant::now();
    let mut fleet = gather(port, devices, clock).await?;
    let connected_in = begun.elapsed();
    let after = settled(process).await?;
    if let Some(ended) = fleet.try_join_next() {
        ended??;
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay far below 2^53")]
    let bytes_a_device = after.saturating_sub(before) as f64 / devices.len() as f64;
    Ok(Cost { connected_in, bytes_a_device })
}

/// Resident memory in bytes, once what was under way is over.
async fn settled(process: u32) -> anyhow::Result<u64> {
    let (begun, mut last, mut unchanged) = (Instant::now(), resident(process)?, 0);
    while unchanged < LOOKS && begun.elapsed() < SETTLE {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = resident(process)?;
        unchanged = if now.abs_diff(last) <= last / 1_000 { unchanged + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// Connects them all; they stay until the set is dropped.
async fn gather(port: u16, devices: &[Device], clock: &SharedClock) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut connecting = stream::iter(devices).map(|device| join(device, port, clock)).buffer_unordered(AT_ONCE);
    let mut fleet = JoinSet::new();
    while let Some(connected) = connecting.next().await {
        let (client, mut connection) = connected?;
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

async fn join(device: &Device, port: u16, clock: &SharedClock) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let (client, mut connection) = device.connect(port).await?;
    client.publish(device.topic(Channel::State), QoS::AtLeastOnce, true, r#"{"online":true,"boot":1}"#).await?;
    let time = clock.now().to_rfc3339();
    let event = format!(r#"{{"boot":1,"seq":1,"time":"{time}","type":"heartbeat","celsius":21.5}}"#);
    client.publish(device.topic(Channel::Event), QoS::AtLeastOnce, false, event).await?;
    let mut acknowledged = 0;
    while acknowledged < 2 {
        let polled = connection.poll().await.with_context(|| format!("{} cannot publish", device.id))?;
        acknowledged += u32::from(matches!(polled, Event::Incoming(Packet::PubAck(_))));
    }
    Ok((client, connection))
}
