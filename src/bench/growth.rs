//! One store from its first event on: whether it gets slower, larger or later as it grows.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::backend::{self, Backend};
use super::pipeline::{Pipeline, Stretch, stored_bytes};
use super::questions::{self, Answers, Asked};
use super::workload::EVENTS_A_DAY;
use crate::clock::SharedClock;

/// Events between two looks: what the first answers were asked of, and what the plot has a point for.
pub const STRETCH: u64 = 1_000_000;
/// Events in one transaction.
pub const BATCH: usize = 1_000;

/// What one run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// A million events each; the last may be shorter.
    pub stretches: Vec<Stretch>,
    /// Resident memory of the process after each stretch, in bytes.
    pub resident: Vec<u64>,
    /// What the store has grown by, in bytes.
    pub stored: u64,
    /// After the first stretch, and after the last.
    pub answers: (Answers, Answers),
    /// From starting `fenlei serve` on all of it until `/readyz` answered 200.
    pub cold_start: Duration,
}

impl Report {
    pub fn events(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.events).sum()
    }

    /// All of it together.
    pub fn whole(&self) -> Stretch {
        self.stretches.iter().fold(Stretch::default(), |sum, next| Stretch {
            events: sum.events + next.events,
            pipeline: sum.pipeline + next.pipeline,
            log: sum.log + next.log,
        })
    }

    /// The last stretch's rate as a share of the first's.
    pub fn flatness(&self) -> f64 {
        match (self.stretches.first(), self.stretches.last()) {
            (Some(first), Some(last)) => last.rate() / first.rate(),
            _ => f64::NAN,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
    pub fn bytes_an_event(&self) -> f64 {
        self.stored as f64 / self.events() as f64
    }
}

/// Fills a store under `folder` with `events` events. What it was after the first stretch is kept, so that both are asked
/// in turn: a machine that has worked for minutes need not be as quick as it was.
pub async fn run(folder: &Path, events: u64, clock: &SharedClock) -> anyhow::Result<Report> {
    let until = clock.now();
    let mut pipeline = Pipeline::begin(folder, events, until).await?;
    let before = stored_bytes(folder)?;
    let early = folder.join("early");
    let (mut stretches, mut resident, mut done) = (Vec::new(), Vec::new(), 0);
    while done < events {
        let stretch = pipeline.advance(STRETCH.min(events - done), BATCH).await?;
        done += stretch.events;
        stretches.push(stretch);
        resident.push(backend::resident(std::process::id())?);
        if stretches.len() == 1 {
            stored_bytes(folder)?;
            std::fs::create_dir(&early)?;
            std::fs::copy(folder.join("bench.db"), early.join("bench.db"))?;
        }
    }
    drop(pipeline);
    let stored = stored_bytes(folder)?.saturating_sub(before);
    let late = Backend::start(folder, clock).await?;
    let cold_start = late.ready_after;
    let first = Backend::start(&early, clock).await?;
    let asked = |backend, folder, done| Asked { backend, folder, last: last_day(done, events, until) };
    let answers =
        questions::ask([asked(&first, &early, STRETCH.min(events)), asked(&late, folder, done)]).await?.into();
    late.stop()?;
    first.stop()?;
    Ok(Report { stretches, resident, stored, answers, cold_start })
}

/// The last whole day of the workload of which `done` events of `events` are stored.
fn last_day(done: u64, events: u64, until: DateTime<Utc>) -> DateTime<Utc> {
    let left = (events - done).div_ceil(EVENTS_A_DAY);
    until - TimeDelta::days(i64::try_from(left).unwrap_or(i64::MAX / 2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_day_lies_within_what_is_stored() {
        let until = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ends = |done| (until - last_day(done, 20 * STRETCH, until)).num_days();
        assert_eq!(ends(20 * STRETCH), 1);
        // 19 million events, 25,000 a day, are to come.
        assert_eq!(ends(STRETCH), 761);
    }
}
