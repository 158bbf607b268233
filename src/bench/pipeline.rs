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
use crate::store::Store;
use crate::store::queue::PendingAll;

/// Batches that the log and the pipeline take in turn: so many that what the store does beside its transactions is done
/// during its own turns.
const TURN: usize = 100;
/// An event is received this long after it happened, in milliseconds.
const UNDER_WAY: i64 = 1_000;

/// What so many events took, batch by batch in turn with the raw log, so that both met the same disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stretch {
    pub events: u64,
    pub pipeline: Duration,
    pub log: Duration,
}

impl Stretch {
    /// Events a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.pipeline.as_secs_f64()
    }

    /// The raw log's events a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
    pub fn log_rate(&self) -> f64 {
        self.events as f64 / self.log.as_secs_f64()
    }

    /// The pipeline's rate as a share of the raw log's.
    pub fn ratio(&self) -> f64 {
        self.log.as_secs_f64() / self.pipeline.as_secs_f64()
    }
}

/// A store that is being filled.
pub struct Pipeline {
    store: Store,
    key: CardKey,
    log: File,
    workload: Workload,
}

impl Pipeline {
    /// A new store under `folder`, and the neighbourhood's next `events` events.
    pub async fn begin(folder: &Path, events: u64, until: DateTime<Utc>) -> anyhow::Result<Self> {
        let key = CardKey::new([7; 32]);
        let store = prepare(folder, &key).await?;
        Ok(Self { store, key, log: log(folder)?, workload: Workload::new(events, until) })
    }

    /// Stores the next `events` events in transactions of `batch`.
    pub async fn advance(&mut self, events: u64, batch: usize) -> anyhow::Result<Stretch> {
        let mut stretch = Stretch::default();
        while stretch.events < events {
            // Neither pays for making up the events.
            let batches: Vec<Vec<Publish>> = (0..TURN)
                .map(|_| self.workload.by_ref().take(batch).collect())
                .filter(|batch: &Vec<_>| !batch.is_empty())
                .collect();
            if batches.is_empty() {
                break;
            }
            stretch.events += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
            let bytes: Vec<Vec<u8>> = batches.iter().map(|batch| lines(batch)).collect();
            let started = Instant::now();
            for bytes in &bytes {
                self.log.write_all(bytes)?;
                self.log.sync_data()?;
            }
            stretch.log += started.elapsed();
            let started = Instant::now();
            self.store_all(&batches).await?;
            stretch.pipeline += started.elapsed();
        }
        // What was logged has been measured: the disk is for the store.
        self.log.set_len(0)?;
        Ok(stretch)
    }

    /// As behind a broker: while one batch is written the next is read.
    async fn store_all(&self, batches: &[Vec<Publish>]) -> anyhow::Result<()> {
        let mut under_way = VecDeque::new();
        for batch in batches {
            let read = |publish: &Publish| {
                let received = publish.time + UNDER_WAY;
                Inbound::read(&publish.topic, publish.payload.as_bytes(), received, &self.key)
            };
            under_way.push_back(self.store.submit_all(batch.iter().map(read).collect()).await?);
            if under_way.len() > 2 {
                finish(under_way.pop_front()).await?;
            }
        }
        for pending in under_way {
            finish(Some(pending)).await?;
        }
        Ok(())
    }
}

fn log(folder: &Path) -> std::io::Result<File> {
    File::options().create(true).append(true).open(folder.join("raw.log"))
}

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

/// The size of the store under `folder` once its log is folded in, all of it.
pub fn stored_bytes(folder: &Path) -> anyhow::Result<u64> {
    let path = folder.join("bench.db");
    let connection = rusqlite::Connection::open(&path)?;
    // Whoever else is about to do the same comes first.
    while connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))? {
        std::thread::yield_now();
    }
    Ok(path.metadata()?.len())
}
