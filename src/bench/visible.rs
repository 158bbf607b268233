//! From a device's publish until the API shows the event, while the embedded broker takes half of what it can.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use fenlei_wire::vocabulary::DeviceKind;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::connections::{SECRET, connect, subscribe};
use super::workload::{card, devices, register};
use crate::clock::SharedClock;
use crate::credentials;
use crate::domain::card::CardKey;
use crate::store::{Options, Store};

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Bins that publish at once, each event a publish of its own.
    pub bins: usize,
    /// Acknowledged events a second at most, and during the second half.
    pub rates: (f64, f64),
    /// Events that were looked for.
    pub probes: usize,
    pub median: Duration,
    pub p99: Duration,
}

const WARM_UP: Duration = Duration::from_secs(2);
const TOP: Duration = Duration::from_secs(8);
const HALF: Duration = Duration::from_secs(30);
/// How often a bin sends what is due.
const TICK: Duration = Duration::from_millis(10);
/// Who is looked for.
const PROBE: &str = "camera-0";

/// Bins publish as fast as they are acknowledged, then half as fast, while a camera's events are looked for one by one.
pub async fn run(folder: &Path, clock: &SharedClock) -> anyhow::Result<Report> {
    let store = Store::open(&Options::at(folder.join("bench.db")))?;
    register(&store, &CardKey::new([7; 32]), &credentials::hash(SECRET)?).await?;
    drop(store);
    let backend = Backend::start(folder, clock).await?;
    let bins: Vec<_> = devices().filter(|(_, kind, _)| *kind == DeviceKind::Bin).collect();
    let (acknowledged, mut bins_at_work) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    let (full, stop) = (CancellationToken::new(), CancellationToken::new());
    let (told, pace) = tokio::sync::watch::channel(None);
    for (number, (site, _, bin)) in bins.iter().enumerate() {
        let (client, connection) = connect(backend.mqtt.port(), bin, Some(SECRET));
        subscribe(&client, site, DeviceKind::Bin, bin).await?;
        bins_at_work.spawn(stop.clone().run_until_cancelled_owned(count(connection, Arc::clone(&acknowledged))));
        let topic = format!("fenlei/v1/{site}/bin/{bin}/event");
        let work = publish(client, topic, number as u64, clock.clone(), full.clone(), pace.clone());
        bins_at_work.spawn(stop.clone().run_until_cancelled_owned(work));
    }
    tokio::time::sleep(WARM_UP).await;
    let top = rate(&acknowledged, TOP).await;
    told.send_replace(Some(top / 2.0 / precise(bins.len())));
    full.cancel();
    // What is still queued from before must not be measured.
    tokio::time::sleep(WARM_UP).await;
    let (half, took) = tokio::join!(rate(&acknowledged, HALF), probe(&backend, clock));
    let mut took = took?;
    took.sort();
    stop.cancel();
    while let Some(ended) = bins_at_work.join_next().await {
        if let Some(ended) = ended? {
            ended?;
        }
    }
    let median = took.get(took.len() / 2).copied().context("no event was looked for")?;
    let p99 = took.get(took.len() * 99 / 100).copied().context("no event was looked for")?;
    Ok(Report { bins: bins.len(), rates: (top, half), probes: took.len(), median, p99 })
}

async fn rate(acknowledged: &AtomicU64, span: Duration) -> f64 {
    let (before, begun) = (acknowledged.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(span).await;
    let events = acknowledged.load(Ordering::Relaxed) - before;
    precise(usize::try_from(events).unwrap_or(usize::MAX)) / begun.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
fn precise(count: usize) -> f64 {
    count as f64
}

async fn count(mut connection: EventLoop, acknowledged: Arc<AtomicU64>) -> anyhow::Result<()> {
    loop {
        if let Event::Incoming(Packet::PubAck(_)) = connection.poll().await? {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Publishes deposits without a break until `full` ends, then as many a second as `pace` says.
async fn publish(
    client: AsyncClient,
    topic: String,
    bin: u64,
    clock: SharedClock,
    full: CancellationToken,
    pace: tokio::sync::watch::Receiver<Option<f64>>,
) -> anyhow::Result<()> {
    let mut seq = 0;
    let mut send = async || {
        seq += 1;
        let card = card(bin.wrapping_mul(131).wrapping_add(seq));
        let grams = 200 + seq % 4_000;
        let fields = format!(r#""type":"deposit","stream":"food","grams":{grams},"card":"{card}""#);
        client.publish(topic.as_str(), QoS::AtLeastOnce, false, event(seq, clock.now(), &fields)).await
    };
    while !full.is_cancelled() {
        send().await?;
    }
    let a_second = pace.borrow().unwrap_or(1.0);
    let (begun, mut sent, mut ticks) = (Instant::now(), 0.0, tokio::time::interval(TICK));
    loop {
        ticks.tick().await;
        while sent < begun.elapsed().as_secs_f64() * a_second {
            sent += 1.0;
            send().await?;
        }
    }
}

fn event(seq: u64, at: DateTime<Utc>, fields: &str) -> String {
    let time = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    format!(r#"{{"boot":1,"seq":{seq},"time":"{time}",{fields}}}"#)
}

/// Publishes an event, waits for its receipt, and asks the API for it: what is timed ends with the answer that has it.
async fn probe(backend: &Backend, clock: &SharedClock) -> anyhow::Result<Vec<Duration>> {
    let (client, mut connection) = connect(backend.mqtt.port(), PROBE, Some(SECRET));
    subscribe(&client, "site-0", DeviceKind::Camera, PROBE).await?;
    while !matches!(connection.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
    let (begun, mut took, mut seq) = (Instant::now(), Vec::new(), 0u64);
    while begun.elapsed() < HALF {
        seq += 1;
        let at = clock.now();
        let published = Instant::now();
        let payload = event(seq, at, r#""type":"heartbeat","celsius":21.5"#);
        client.publish(format!("fenlei/v1/site-0/camera/{PROBE}/event"), QoS::AtLeastOnce, false, payload).await?;
        while !receipted(&connection.poll().await?, seq) {}
        let (from, to) = (at.to_rfc3339_opts(SecondsFormat::Millis, true), at + TimeDelta::milliseconds(1));
        let to = to.to_rfc3339_opts(SecondsFormat::Millis, true);
        let shown = backend.client.get(&format!("/api/v1/events?device={PROBE}&from={from}&to={to}")).await?;
        took.push(published.elapsed());
        let shown: serde_json::Value = serde_json::from_slice(&shown.body)?;
        ensure!(shown["items"][0]["seq"] == seq, "a receipted event is not shown");
    }
    Ok(took)
}

fn receipted(event: &Event, seq: u64) -> bool {
    let Event::Incoming(Packet::Publish(publish)) = event else { return false };
    let receipt: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
    publish.topic.ends_with(b"/receipt") && receipt["through"].as_u64().is_some_and(|through| through >= seq)
}
