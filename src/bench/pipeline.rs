//! The pipeline without MQTT, against a log that only appends the same bytes, topic and payload, and flushes them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::workload::{Publish, Workload, prepare};
use crate::domain::card::CardKey;
use crate::domain::inbound::Inbound;
use crate::store::writer::PendingAll;

/// What one run found.
#[derive(Clone, Debug)]
pub struct Report {
    pub events: u64,
    pub batch: usize,
    pub pipeline: Duration,
    pub log: Duration,
    pub stored_bytes: u64,
    /// Resident memory after the first tenth of the events, and at the end.
    pub resident: (u64, u64),
}

impl Report {
    /// The pipeline's rate as a share of the raw log's.
    pub fn ratio(&self) -> f64 {
        self.log.as_secs_f64() / self.pipeline.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
    pub fn bytes_an_event(&self) -> f64 {
        self.stored_bytes as f64 / self.events as f64
    }
}

/// Stores `events` events in batches and times it, batch by batch in turn with the raw log, so that both
/// meet the same disk.
pub async fn run(folder: &Path, events: u64, batch: usize, now: DateTime<Utc>) -> anyhow::Result<Report> {
    let key = CardKey::new([7; 32]);
    let store = prepare(folder, &key).await?;
    let before = stored_bytes(folder)?;
    let mut log = File::create(folder.join("raw.log"))?;
    let mut workload = Workload::new(events, now);
    let (mut pipeline, mut raw, mut done) = (Duration::ZERO, Duration::ZERO, 0);
    let mut early = 0;
    loop {
        // A turn of both: each meets the same disk, and neither pays for making up the events.
        let batches: Vec<Vec<Publish>> = (0..TURN)
            .map(|_| workload.by_ref().take(batch).collect())
            .filter(|batch: &Vec<_>| !batch.is_empty())
            .collect();
        if batches.is_empty() {
            break;
        }
        done += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        let bytes: Vec<Vec<u8>> = batches.iter().map(|batch| lines(batch)).collect();
        let started = Instant::now();
        for bytes in &bytes {
            log.write_all(bytes)?;
            log.sync_data()?;
        }
        raw += started.elapsed();

        // As behind a broker: while one batch is written the next is read.
        let started = Instant::now();
        let mut under_way = VecDeque::new();
        for batch in &batches {
            let received = now.timestamp_millis();
            let read = |publish: &Publish| Inbound::read(&publish.topic, publish.payload.as_bytes(), received, &key);
            under_way.push_back(store.submit_all(batch.iter().map(read).collect()).await?);
            if under_way.len() > 2 {
                finish(under_way.pop_front()).await?;
            }
        }
        for pending in under_way {
            finish(Some(pending)).await?;
        }
        pipeline += started.elapsed();
        if early == 0 && done * 10 >= events {
            early = resident();
        }
    }
    drop(store);
    let stored_bytes = stored_bytes(folder)? - before;
    Ok(Report { events, batch, pipeline, log: raw, stored_bytes, resident: (early, resident()) })
}

/// Batches that the log and the pipeline take in turn.
const TURN: usize = 20;

fn lines(batch: &[Publish]) -> Vec<u8> {
    let line = |publish: &Publish| format!("{} {}\n", publish.topic, publish.payload);
    batch.iter().map(line).collect::<String>().into_bytes()
}

async fn finish(pending: Option<PendingAll>) -> anyhow::Result<()> {
    if let Some(pending) = pending {
        let answers = pending.await??;
        anyhow::ensure!(answers.iter().all(|answer| !answer.receipts.is_empty()), "a publish was not receipted");
    }
    Ok(())
}

/// The size of the store once its log is folded in.
fn stored_bytes(folder: &Path) -> anyhow::Result<u64> {
    let path = folder.join("bench.db");
    let connection = rusqlite::Connection::open(&path)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(path.metadata()?.len())
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0) * 1024
}
