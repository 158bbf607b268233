//! What the API takes for the questions that are asked most, beside the plain counts in SQL that would answer them.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use super::backend::Backend;
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

/// A store that is served, and the last of the 30 days that it is asked about.
pub struct Asked<'a> {
    pub backend: &'a Backend,
    pub folder: &'a Path,
    pub last: DateTime<Utc>,
}

impl Asked<'_> {
    fn days(&self) -> (NaiveDate, NaiveDate) {
        let last = self.last.date_naive();
        (last - Days::new(29), last)
    }
}

/// Asks both stores each question in turn.
pub async fn ask(both: [Asked<'_>; 2]) -> anyhow::Result<[Answers; 2]> {
    let month = medians(&both, |first, last| {
        format!("/api/v1/communities/{COMMUNITY}/participation?from={first}&to={last}&period=range")
    });
    let hours = medians(&both, |first, last| format!("/api/v1/sites/site-0/hours?from={first}&to={last}"));
    let events = medians(&both, |first, _| {
        let day = first + Days::new(14);
        format!("/api/v1/events?site=site-0&from={day}T00:00:00Z&to={day}T23:00:00Z&limit=100")
    });
    let (month, hours, events) = (month.await?, hours.await?, events.await?);
    let [early, late] = &both;
    let answers = |place: usize, asked: &Asked<'_>| -> anyhow::Result<Answers> {
        let count = count(asked)?;
        Ok(Answers { month: month[place], hours: hours[place], events: events[place], count })
    };
    Ok([answers(0, early)?, answers(1, late)?])
}

async fn medians(
    both: &[Asked<'_>; 2],
    path: impl Fn(NaiveDate, NaiveDate) -> String,
) -> anyhow::Result<[Duration; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (asked, took) in both.iter().zip(&mut took) {
            let (first, last) = asked.days();
            took.push(asked.backend.client.get(&path(first, last)).await?.took);
        }
    }
    Ok(took.map(|mut took| {
        took.sort();
        took[TURNS / 2]
    }))
}

fn count(asked: &Asked<'_>) -> anyhow::Result<Duration> {
    let (first, last) = asked.days();
    let connection = connection::open_reader(asked.folder.join("bench.db"))?;
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
