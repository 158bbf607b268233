//! From just before a device's publish until somebody who follows `/stream` reads the event, while the embedded broker
//! takes half of what it can; beside the same publishes' round trips to their PUBACKs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::SecondsFormat;
use fenlei_wire::vocabulary::Channel;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::backend::Backend;
use super::devices::{self, Device};
use super::workload::card;
use crate::clock::SharedClock;
use crate::store::{Options, Store};

/// Bins that publish at once: those of ten sites.
const DEVICES: usize = 40;
/// What is published as fast as it goes is measured for so long a part of the other measurement, and not at its begin.
const TOP_PART: u32 = 3;
/// How long what was published may take to be acknowledged and seen.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub devices: usize,
    /// Acknowledged events a second, at most and of those that were timed.
    pub top: f64,
    pub half: f64,
    /// Events that were timed.
    pub events: usize,
    /// From publish until they were read from the stream,
    pub visible: Spread,
    /// and until they were acknowledged.
    pub acknowledged: Spread,
}

/// How long most took, and how long all but one in a hundred.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: Duration,
    pub p99: Duration,
}

impl Spread {
    /// # Errors
    /// Where nothing was timed.
    pub fn of(mut times: Vec<Duration>) -> anyhow::Result<Self> {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let (median, p99) = at(50).zip(at(99)).context("no event was timed")?;
        Ok(Self { median, p99 })
    }
}

/// One of them, which numbers its events from 1.
struct Bin {
    device: Device,
    client: AsyncClient,
    clock: SharedClock,
    /// When each of its events was published, and how long its PUBACK took: these come in the same order.
    published: Mutex<Vec<Instant>>,
    acknowledged: Mutex<Vec<Duration>>,
}

/// Bins publish as fast as they are acknowledged, then for `span` half as fast; the stream is followed all the time.
pub async fn run(folder: &Path, span: Duration, clock: &SharedClock) -> anyhow::Result<Report> {
    let store = Store::open(&Options::at(folder.join("bench.db")))?;
    let devices = devices::register(&store, DEVICES).await?;
    drop(store);
    let backend = Backend::start(folder, clock).await?;
    let (mut bins, mut connections) = (Vec::new(), JoinSet::new());
    for device in devices {
        let (client, connection) = device.connect(backend.mqtt.port()).await?;
        let (published, acknowledged, clock) = (Mutex::default(), Mutex::default(), clock.clone());
        let bin = Arc::new(Bin { device, client, clock, published, acknowledged });
        connections.spawn(poll(connection, Arc::clone(&bin)));
        bins.push(bin);
    }
    tokio::select! {
        report = measure(&backend, &bins, span) => report,
        Some(ended) = connections.join_next() => {
            ended??;
            bail!("a device's connection ended")
        }
    }
}

async fn measure(backend: &Backend, bins: &[Arc<Bin>], span: Duration) -> anyhow::Result<Report> {
    // Half as fast as it goes while somebody follows: that costs something too.
    let stream = backend.client.open("/api/v1/stream").await?;
    let top = tokio::select! {
        top = top(bins, span / TOP_PART) => top?,
        ended = read_on(stream) => match ended? {},
    };
    let first: Vec<usize> = bins.iter().map(|bin| bin.published().len()).collect();
    // Whoever is answered follows from now on.
    let stream = backend.client.open("/api/v1/stream").await?;
    let every = Duration::from_secs_f64(precise(bins.len()) / (top / 2.0)).min(span);
    let each = u32::try_from(span.as_nanos() / every.as_nanos().max(1))?;
    let events = bins.len() * each as usize;
    let begun = Instant::now();
    let publishing = try_join_all(bins.iter().zip(0u32..).map(|(bin, number)| async move {
        // One after the other, not all at the same moment.
        let offset = every * number / u32::try_from(bins.len())?;
        for turn in 0..each {
            tokio::time::sleep_until((begun + offset + every * turn).into()).await;
            bin.publish().await?;
        }
        settle(bin).await?;
        anyhow::Ok(Instant::now())
    }));
    let watching = async {
        let watched = tokio::time::timeout(span + PATIENCE, watch(stream, bins, &first, events));
        watched.await.context("not every acknowledged event came by the stream")?
    };
    let (ended, visible) = tokio::try_join!(publishing, watching)?;
    let ended = ended.into_iter().max().context("nobody published")?;
    let timed = bins.iter().zip(&first);
    let acknowledged = timed.flat_map(|(bin, first)| bin.acknowledged().split_off(*first)).collect();
    Ok(Report {
        devices: bins.len(),
        top,
        half: precise(events) / (ended - begun).as_secs_f64(),
        events,
        visible: Spread::of(visible)?,
        acknowledged: Spread::of(acknowledged)?,
    })
}

/// Events a second, acknowledged in `span` after as long a time to get going. Comes back when nothing is under way.
async fn top(bins: &[Arc<Bin>], span: Duration) -> anyhow::Result<f64> {
    let until = Instant::now() + 2 * span;
    let publishing = try_join_all(bins.iter().map(|bin| async move {
        while Instant::now() < until {
            bin.publish().await?;
        }
        settle(bin).await
    }));
    let acknowledged = || bins.iter().map(|bin| bin.acknowledged().len()).sum::<usize>();
    let counting = async {
        tokio::time::sleep(span).await;
        let (before, begun) = (acknowledged(), Instant::now());
        tokio::time::sleep(span).await;
        let (events, took) = (acknowledged() - before, begun.elapsed());
        ensure!(events > 0, "nothing was acknowledged within {} s", took.as_secs());
        Ok(precise(events) / took.as_secs_f64())
    };
    tokio::try_join!(publishing, counting).map(|(_, rate)| rate)
}

/// Waits until everything that a bin published is acknowledged.
fn settle(bin: &Bin) -> impl Future<Output = anyhow::Result<()>> {
    let settled = async {
        while bin.acknowledged().len() < bin.published().len() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    async { tokio::time::timeout(PATIENCE, settled).await.context("not every publish was acknowledged") }
}

impl Bin {
    async fn publish(&self) -> anyhow::Result<()> {
        let time = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let seq = self.published().len() as u64 + 1;
        let (card, grams) = (card(seq), 200 + seq % 4_000);
        let event = format!(
            r#"{{"boot":1,"seq":{seq},"time":"{time}","type":"deposit","stream":"food","grams":{grams},"card":"{card}"}}"#
        );
        self.published().push(Instant::now());
        Ok(self.client.publish(self.device.topic(Channel::Event), QoS::AtLeastOnce, false, event).await?)
    }

    fn published(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bin's connection, for ever.
async fn poll(mut connection: EventLoop, bin: Arc<Bin>) -> anyhow::Result<()> {
    loop {
        if let Event::Incoming(Packet::PubAck(_)) = connection.poll().await? {
            let mut acknowledged = bin.acknowledged();
            let published = bin.published().get(acknowledged.len()).copied();
            acknowledged.push(published.context("something else was acknowledged")?.elapsed());
        }
    }
}

/// What is read of an item of the stream.
#[derive(Deserialize)]
struct Item {
    device: String,
    seq: usize,
}

/// Reads so many events off the stream; gives how long after its publish each was read. Each bin's are those after its
/// `first` ones.
async fn watch(
    mut stream: Incoming,
    bins: &[Arc<Bin>],
    first: &[usize],
    events: usize,
) -> anyhow::Result<Vec<Duration>> {
    let bins: HashMap<_, _> =
        bins.iter().zip(first).map(|(bin, first)| (bin.device.id.as_str(), (bin, *first))).collect();
    let (mut read, mut times) = (Vec::new(), Vec::with_capacity(events));
    while times.len() < events {
        let frame = stream.frame().await.context("the stream ended")??;
        let Ok(bytes) = frame.into_data() else { continue };
        let now = Instant::now();
        read.extend_from_slice(&bytes);
        let whole = read.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in read[..whole].split(|byte| *byte == b'\n') {
            let Some(item) = line.strip_prefix(b"data: ") else { continue };
            let item: Item = serde_json::from_slice(item)?;
            let (bin, first) = bins.get(item.device.as_str()).context("somebody else's event came by the stream")?;
            ensure!(item.seq > *first, "an event from before the stream was followed came by it");
            let published = bin.published().get(item.seq - 1).copied();
            times.push(now - published.context("an event that was not published came by the stream")?);
        }
        read.drain(..whole);
    }
    Ok(times)
}

/// Follows for as long as it is waited for.
async fn read_on(mut stream: Incoming) -> anyhow::Result<Infallible> {
    while let Some(frame) = stream.frame().await {
        frame?;
    }
    bail!("the stream ended")
}

#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
fn precise(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_one_in_a_hundred_took_at_most_that_long() {
        let millis = Duration::from_millis;
        let spread = Spread::of((1..=200).rev().map(millis).collect()).unwrap();
        assert_eq!(spread, Spread { median: millis(100), p99: millis(198) });
        assert_eq!(Spread::of(vec![millis(7)]).unwrap(), Spread { median: millis(7), p99: millis(7) });
        assert!(Spread::of(Vec::new()).is_err());
    }
}
