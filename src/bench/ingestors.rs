//! Several ingestors on one PostgreSQL database, as several backends are: what comes is dealt out among them without regard
//! to the device it comes from, as shared subscriptions deal it out.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;

use super::workload::{Publish, Workload, register};
use crate::domain::card::CardKey;
use crate::domain::inbound::Inbound;
use crate::store::sql::Connection;
use crate::store::{Options, Store, StoreUrl};

/// Stored by each number of ingestors.
const EVENTS: u64 = 200_000;
/// Dealt out at a time.
const HAND: usize = 100;
/// An event is received this long after it happened, in milliseconds.
const UNDER_WAY: i64 = 1_000;

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub ingestors: usize,
    pub events: u64,
    pub took: Duration,
}

/// Stores the same events with one, two and four ingestors, each time in a database of its own. `server` is
/// `postgres://user@host:port` without a database, and its user may make some.
pub async fn run(server: &str, now: DateTime<Utc>) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for ingestors in [1, 2, 4] {
        let name = format!("fenlei_bench_{}_{ingestors}", std::process::id());
        let maintenance = Connection::connect(&database(server, "postgres")?)?;
        maintenance.execute_batch(&format!("CREATE DATABASE {name}"))?;
        let report = ingest(&format!("{server}/{name}"), ingestors, now).await;
        maintenance.execute_batch(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
        reports.push(report?);
    }
    Ok(reports)
}

fn database(server: &str, name: &str) -> anyhow::Result<crate::store::sql::Server> {
    match StoreUrl::parse(&format!("{server}/{name}")) {
        Ok(StoreUrl::Postgres(server)) => Ok(*server),
        Ok(StoreUrl::Sqlite(_)) => anyhow::bail!("`--postgres` must be postgres://user@host:port"),
        Err(error) => anyhow::bail!("`--postgres` {error}"),
    }
}

async fn ingest(url: &str, ingestors: usize, now: DateTime<Utc>) -> anyhow::Result<Report> {
    let url = StoreUrl::parse(url).map_err(anyhow::Error::msg)?;
    let open = || Store::open(&Options { shared: true, ..Options::at(url.clone()) });
    let stores = (0..ingestors).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    let (key, first) = (CardKey::new([7; 32]), stores.first());
    let first = first.ok_or_else(|| anyhow::anyhow!("no ingestor"))?;
    register(first, &key).await?;
    let mut hands: Vec<Vec<Publish>> = vec![Vec::new(); ingestors];
    for (number, publish) in Workload::new(EVENTS, now).enumerate() {
        hands[number / HAND % ingestors].push(publish);
    }
    let started = Instant::now();
    let mut working = JoinSet::new();
    for (store, hand) in stores.iter().zip(hands) {
        working.spawn(take_in(store.clone(), key.clone(), hand));
    }
    while let Some(worked) = working.join_next().await {
        worked??;
    }
    let took = started.elapsed();
    let stored = first.read(crate::store::ledger::last_row).await?;
    anyhow::ensure!(stored.unsigned_abs() >= EVENTS, "the ledger holds {stored} events of {EVENTS}");
    Ok(Report { ingestors, events: EVENTS, took })
}

async fn take_in(store: Store, key: CardKey, hand: Vec<Publish>) -> anyhow::Result<()> {
    let mut pending = Vec::with_capacity(hand.len());
    for publish in hand {
        let received = publish.time + UNDER_WAY;
        let inbound = Inbound::read(&publish.topic, publish.payload.as_bytes(), received, &key);
        pending.push(store.submit(inbound).await?);
    }
    for stored in pending {
        let committed = stored.await??;
        anyhow::ensure!(!committed.receipts.is_empty(), "a publish was not receipted");
    }
    Ok(())
}
