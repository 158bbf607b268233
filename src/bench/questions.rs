//! What the API takes for the questions that are asked most, beside the plain counts in SQL that would answer them.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use super::backend::Backend;
use super::client::Client;
use super::workload::COMMUNITY;
use crate::store::connection;

/// Answers timed.
const TURNS: usize = 41;

/// What one store answered.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// The participation of a month.
    pub month: Duration,
    /// The hours of a site in that month.
    pub hours: Duration,
    /// The first hundred events of a day in the middle of it.
    pub events: Duration,
    /// `SELECT count(DISTINCT card) …` over the ledger's rows of the month.
    pub count: Duration,
}

/// Asks about the 30 days that end with `last`.
pub async fn ask(backend: &Backend, folder: &Path, last: DateTime<Utc>) -> anyhow::Result<Answers> {
    let last = last.date_naive();
    let first = last - Days::new(29);
    let client = &backend.client;
    let day = first + Days::new(14);
    let month = format!("/api/v1/communities/{COMMUNITY}/participation?from={first}&to={last}&period=range");
    let hours = format!("/api/v1/sites/site-0/hours?from={first}&to={last}");
    let events = format!("/api/v1/events?site=site-0&from={day}T00:00:00Z&to={day}T23:00:00Z&limit=100");
    Ok(Answers {
        month: median(client, &month).await?,
        hours: median(client, &hours).await?,
        events: median(client, &events).await?,
        count: count(folder, first, last)?,
    })
}

async fn median(client: &Client, path: &str) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for _ in 0..TURNS {
        took.push(client.get(path).await?.took);
    }
    took.sort();
    Ok(took[TURNS / 2])
}

fn count(folder: &Path, first: NaiveDate, last: NaiveDate) -> anyhow::Result<Duration> {
    let connection = connection::open_reader(folder.join("bench.db"))?;
    let day =
        |day: NaiveDate| (day.and_time(chrono::NaiveTime::MIN).and_utc() - TimeDelta::hours(8)).timestamp_millis();
    let begun = Instant::now();
    let cards: i64 = connection.query_row(
        "SELECT count(DISTINCT card) FROM ledger WHERE time >= ?1 AND time < ?2 AND timing IN (1, 2)",
        (day(first), day(last + Days::new(1))),
        |row| row.get(0),
    )?;
    anyhow::ensure!(cards > 0, "nobody took part in the bench's own month");
    Ok(begun.elapsed())
}
