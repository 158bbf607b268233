//! `fenlei bench`: what this machine does, each figure beside its reference in the same run.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::answer;
use crate::bench::{broker, pages, pipeline, what_if};
use crate::clock::SharedClock;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events through the pipeline without MQTT.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
    /// Events in one transaction.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    batch: u16,
    /// Events drained from Mosquitto, which must be installed together with mosquitto_sub; 0 leaves this out.
    #[arg(long, default_value_t = 100_000)]
    mosquitto: u64,
    /// Leave out the year of a site against which other hours are held.
    #[arg(long)]
    no_what_if: bool,
    /// Leave out the pages with 50 communities and a year of history.
    #[arg(long)]
    no_pages: bool,
}

/// Runs of the broker's part: each side goes first as often as the other.
const BROKER_RUNS: usize = 4;

pub async fn run(args: &Args, clock: &SharedClock) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("fenlei-bench-").tempdir().context("no folder for the bench")?;
    measure_pipeline(args, folder.path(), clock).await?;
    if args.mosquitto > 0 {
        measure_broker(args.mosquitto, clock).await?;
    }
    if !args.no_what_if {
        measure_what_if(clock).await?;
    }
    if !args.no_pages {
        measure_pages(clock).await?;
    }
    Ok(())
}

async fn measure_pipeline(args: &Args, folder: &Path, clock: &SharedClock) -> Result<()> {
    let report = pipeline::run(folder, args.events, args.batch.into(), clock.now()).await?;
    answer(format_args!("pipeline without MQTT, {} events in batches of {}", report.events, report.batch))?;
    answer(format_args!("  stored                   {:>12.0} events/s", rate(report.events, report.pipeline)))?;
    answer(format_args!("  raw append + fdatasync   {:>12.0} events/s", rate(report.events, report.log)))?;
    answer(format_args!("  ratio                    {:>12.3}", report.ratio()))?;
    answer(format_args!("  stored bytes an event    {:>12.1}", report.bytes_an_event()))?;
    let (early, late) = report.resident;
    answer(format_args!(
        "  resident memory          {:>12.1} MiB after a tenth, {:.1} MiB at the end",
        mib(early),
        mib(late)
    ))
}

async fn measure_broker(events: u64, clock: &SharedClock) -> Result<()> {
    answer(format_args!("through Mosquitto with QoS 1, {events} events"))?;
    let mut ratios = Vec::new();
    for turn in 0..BROKER_RUNS {
        let folder = tempfile::Builder::new().prefix("fenlei-bench-").tempdir().context("no folder for the bench")?;
        let report = broker::run(folder.path(), events, turn % 2 == 0, clock.clone()).await?;
        answer(format_args!(
            "  stored {:>9.0} events/s   mosquitto_sub {:>9.0} events/s   ratio {:.3}",
            rate(events, report.fenlei),
            rate(events, report.mosquitto_sub),
            report.ratio()
        ))?;
        ratios.push(report.ratio());
    }
    ratios.sort_by(f64::total_cmp);
    answer(format_args!("  median ratio {:.3}", ratios[BROKER_RUNS / 2 - 1].midpoint(ratios[BROKER_RUNS / 2])))
}

async fn measure_what_if(clock: &SharedClock) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("fenlei-bench-").tempdir().context("no folder for the bench")?;
    let report = what_if::run(folder.path(), clock.now()).await?;
    answer(format_args!("what if, over a year of a site with {} deposits", report.deposits))?;
    answer(format_args!("  answered in              {:>12.0} ms", millis(report.what_if)))?;
    answer(format_args!("  a plain count in SQL     {:>12.0} ms", millis(report.count)))
}

async fn measure_pages(clock: &SharedClock) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("fenlei-bench-").tempdir().context("no folder for the bench")?;
    answer("pages with 50 communities and a year of history, the median of 21 answers")?;
    for page in pages::run(folder.path(), clock.clone()).await? {
        answer(format_args!("  {:<30} {:>8.2} ms {:>9} bytes", page.path, millis(page.median), page.bytes))?;
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
fn rate(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory stay far below 2^53")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
