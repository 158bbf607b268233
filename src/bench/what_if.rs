//! Other hours held against a year of a busy site, beside what a plain count of the same rows in SQL takes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use super::workload::prepare;
use crate::domain::card::CardKey;
use crate::domain::inbound::Inbound;
use crate::domain::period::Span;
use crate::domain::schedule::Schedule;
use crate::domain::timetable::Timetable;
use crate::store::{figures, replay};

/// Deposits a day: four bins of a room that 1,000 households use.
const A_DAY: u64 = 2_500;
const DAYS: u64 = 365;
/// Answers timed.
const TURNS: usize = 11;

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub deposits: u64,
    /// The median answer.
    pub what_if: Duration,
    /// The median of `SELECT timing, count(*) … GROUP BY timing` over the ledger.
    pub count: Duration,
}

/// Stores the year, asks, and checks that the hours in force give the shares that were.
pub async fn run(folder: &Path, now: DateTime<Utc>) -> anyhow::Result<Report> {
    let key = CardKey::new([7; 32]);
    let store = prepare(folder, &key).await?;
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let first = midnight.checked_sub_days(Days::new(DAYS)).context("a year before now")?;
    let mut seqs = [0u64; 4];
    for day in 0..DAYS {
        let opens = first + TimeDelta::days(i64::try_from(day)?);
        let deposits: Vec<_> = (0..A_DAY)
            .map(|number| {
                let bin = usize::try_from(number % 4).unwrap_or(0);
                seqs[bin] += 1;
                let time = opens + TimeDelta::milliseconds(i64::try_from(number * 86_400_000 / A_DAY).unwrap_or(0));
                let (seq, time) = (seqs[bin], time.to_rfc3339());
                let stream = if bin.is_multiple_of(2) { "food" } else { "residual" };
                let event = format!(
                    r#"{{"boot":1,"seq":{seq},"time":"{time}","type":"deposit","stream":"{stream}","grams":900}}"#
                );
                let received = (opens + TimeDelta::days(1)).timestamp_millis();
                Inbound::read(&format!("fenlei/v1/site-0/bin/bin-0-{bin}/event"), event.as_bytes(), received, &key)
            })
            .collect();
        store.submit_all(deposits).await?.await??;
    }
    let registry = store.registry();
    let site = registry.sites.get("site-0").context("the bench's own site")?.clone();
    let span = Span::new(first.date_naive(), now.date_naive())?;
    let (mut answers, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let asked = site.clone();
        let (took, counted) = store
            .read(move |connection| {
                let started = Instant::now();
                let timetable = Timetable::new(asked.zone, [&Schedule::default_hours()]);
                let proposed = replay::timings(connection, &asked, &timetable, span)?;
                let took = started.elapsed();
                let started = Instant::now();
                let mut count = connection.prepare("SELECT timing, count(*) FROM ledger GROUP BY timing")?;
                let rows = count.query_map([], |row| row.get::<_, i64>(1))?.collect::<Result<Vec<_>, _>>()?;
                let counted = started.elapsed();
                let equal = proposed == figures::hours(connection, &asked, span)?;
                Ok((took, (counted, equal && rows.iter().sum::<i64>() > 0)))
            })
            .await?;
        anyhow::ensure!(counted.1, "the hours in force do not give the shares that were");
        answers.push(took);
        counts.push(counted.0);
    }
    answers.sort();
    counts.sort();
    Ok(Report { deposits: DAYS * A_DAY, what_if: answers[TURNS / 2], count: counts[TURNS / 2] })
}
