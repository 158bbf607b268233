//! Draining a Mosquitto queue with QoS 1, against `mosquitto_sub` draining the same one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::mosquitto::Mosquitto;
use super::workload::{Workload, prepare};
use crate::clock::SharedClock;
use crate::domain::card::CardKey;
use crate::ingest::Ingest;
use crate::mqtt::receipts::Receipts;
use crate::mqtt::{Publisher, external};

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub events: u64,
    pub fenlei: Duration,
    pub mosquitto_sub: Duration,
}

impl Report {
    /// Our rate as a share of `mosquitto_sub`'s.
    pub fn ratio(&self) -> f64 {
        self.mosquitto_sub.as_secs_f64() / self.fenlei.as_secs_f64()
    }
}

const FILTER: &str = "fenlei/v1/+/+/+/event";

/// Queues `events` publishes for both, then lets each drain its queue; `we_first` decides whose turn it is.
pub async fn run(folder: &Path, events: u64, we_first: bool, clock: SharedClock) -> anyhow::Result<Report> {
    let mosquitto = Mosquitto::start(folder, "allow_anonymous true\n")?;
    let port = mosquitto.port;
    for session in ["fenlei", "reference"] {
        mosquitto_sub(port, session, &["-E"])?;
    }
    publish(port, Workload::new(events, clock.now())).await?;
    let mut report = Report { events, fenlei: Duration::ZERO, mosquitto_sub: Duration::ZERO };
    for we in [we_first, !we_first] {
        if we {
            report.fenlei = drain(folder, port, events, &clock).await?;
        } else {
            let started = Instant::now();
            tokio::task::spawn_blocking(move || mosquitto_sub(port, "reference", &["-C", &events.to_string()]))
                .await??;
            report.mosquitto_sub = started.elapsed();
        }
    }
    Ok(report)
}

async fn drain(folder: &Path, port: u16, events: u64, clock: &SharedClock) -> anyhow::Result<Duration> {
    let key = CardKey::new([7; 32]);
    let store = prepare(folder, &key).await?;
    let options = external::Options {
        host: "127.0.0.1".into(),
        port,
        credentials: None,
        client_id: "fenlei".into(),
        share: None,
        alone: true,
    };
    let (stop, receipts) = (CancellationToken::new(), Receipts::default());
    let (outbox, waiting) = external::outbox();
    let (connected, _) = watch::channel(false);
    let sink =
        Arc::new(Ingest { store: store.clone(), clock: clock.clone(), card_key: key, receipts: receipts.clone() });
    let mut committed = store.committed();
    let started = Instant::now();
    let (connections, reached) = watch::channel(None);
    tokio::spawn(external::publish(options.clone(), waiting, connections, clock.clone(), stop.clone()));
    let receipting = tokio::spawn(receipts.run(Publisher::External(outbox, reached)));
    let receiving = tokio::spawn(external::start(options, sink, Default::default(), connected, &stop)?);
    // The workload's events are all good and new: each is a row of the ledger.
    let all = i64::try_from(events)?;
    tokio::time::timeout(Duration::from_secs(600), committed.wait_for(|rows| *rows >= all)).await??;
    let elapsed = started.elapsed();
    stop.cancel();
    receipting.abort();
    receiving.await?;
    Ok(elapsed)
}

async fn publish(port: u16, workload: Workload) -> anyhow::Result<()> {
    let mut options = MqttOptions::new("bench-publisher", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut connection) = AsyncClient::new(options, 1_000);
    let sending = tokio::spawn(async move {
        let mut sent = 0u64;
        for publish in workload {
            client.publish(publish.topic, QoS::AtLeastOnce, false, publish.payload).await?;
            sent += 1;
        }
        // Held until every publish is acknowledged: dropping it ends the connection.
        Ok::<_, anyhow::Error>((client, sent))
    });
    let (mut acknowledged, mut total, mut sending) = (0, None, Some(sending));
    let mut held = None;
    while total != Some(acknowledged) {
        if let Event::Incoming(Packet::PubAck(_)) = connection.poll().await? {
            acknowledged += 1;
        }
        if let Some(task) = sending.take_if(|task| task.is_finished()) {
            let (client, sent) = task.await??;
            held = Some(client);
            total = Some(sent);
        }
    }
    drop(held);
    Ok(())
}

fn mosquitto_sub(port: u16, session: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-V", "5", "-q", "1", "-c", "-x", "86400", "-t", FILTER, "-i", session])
        .args(["-p", &port.to_string()])
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .context("mosquitto_sub: install the package mosquitto-clients")?;
    anyhow::ensure!(status.success(), "mosquitto_sub ended with {status}");
    Ok(())
}
