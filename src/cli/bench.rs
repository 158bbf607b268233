//! `fenlei bench`: what this machine does, each figure beside its reference in the same run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Usage, answer, remark};
use crate::bench::pipeline::Pipeline;
use crate::bench::report::{self, PIPELINE_GOAL, Row};
use crate::bench::{broker, connections, growth, ingestors, pages, plot, visible, what_if};
use crate::clock::SharedClock;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events stored one after the other by the part `growth`.
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1_000_000..))]
    events: u64,
    /// Events drained from Mosquitto in each round of the part `mosquitto`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
    queued: u64,
    /// Seconds during which the part `visible` publishes at half the rate that it found to be the top.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Devices connected at once by the part `connections`; each is an open file of the bench and one of the backend.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    devices: u16,
    /// The parts to measure, separated by commas; all of them by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// A PostgreSQL server for the part `ingestors`: postgres://user@host:port, whose user may make databases. Without it
    /// that part is left out.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Write the plot of the part `growth` to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write table and plot into this README, in place of what the last run wrote there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "plot"])]
    readme: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Part {
    /// A store from its first event on, and what the API takes on it.
    Growth,
    /// The pipeline with transactions of other sizes.
    Batches,
    /// From a device's publish until a follower of the stream reads the event, on the embedded broker.
    Visible,
    /// Memory of devices connected at once to the embedded broker; needs Debian's mosquitto.
    Connections,
    /// Mosquitto's queue drained; needs Debian's mosquitto and mosquitto-clients.
    Mosquitto,
    /// Several ingestors on one PostgreSQL database; needs `--postgres`.
    Ingestors,
    /// Other hours held against a year of a site.
    WhatIf,
    /// The pages, with 50 communities and a year of history.
    Pages,
}

const PARTS: [Part; 8] = [
    Part::Growth,
    Part::Batches,
    Part::Visible,
    Part::Connections,
    Part::Mosquitto,
    Part::Ingestors,
    Part::WhatIf,
    Part::Pages,
];
/// Rounds of the part `mosquitto`: each side goes first as often as the other.
const ROUNDS: usize = 4;
/// Transactions of so many events, and how many are stored that way: small ones wait for the disk each time.
const BATCHES: [(usize, u64); 4] = [(1, 2_000), (10, 20_000), (100, 200_000), (5_000, 1_000_000)];
/// Between these lines stands what the last run wrote into the README.
const BEGIN: &str = "<!-- fenlei bench: begin -->";
const END: &str = "<!-- fenlei bench: end -->";
/// The plot in the README, beside which it lies.
const PLOT: &str = "tests/performance/rates.svg";

pub async fn run(args: &Args, clock: &SharedClock) -> Result<()> {
    let readme = args.readme.as_deref().map(Readme::open).transpose()?;
    let parts: BTreeSet<Part> = if args.only.is_empty() { PARTS.into() } else { args.only.iter().copied().collect() };
    if args.plot.is_some() && !parts.contains(&Part::Growth) {
        bail!(Usage("`--plot` draws what the part `growth` measures: name it in `--only`".to_owned()));
    }
    if args.only.contains(&Part::Ingestors) && args.postgres.is_none() {
        bail!(Usage("the part `ingestors` needs a server: name it in `--postgres`".to_owned()));
    }
    let (mut rows, mut drawing) = (Vec::new(), String::new());
    for part in parts {
        remark(format_args!("measuring {part:?} …"));
        let folder = tempfile::Builder::new().prefix("fenlei-bench-").tempdir().context("no folder for the bench")?;
        let measured = measure(part, args, &folder, clock, &mut drawing).await?;
        rows.extend(measured);
    }
    let table = report::table(&rows);
    answer(&table)?;
    if let Some(file) = &args.plot {
        fs::write(file, &drawing).with_context(|| format!("`--plot` {}", file.display()))?;
    }
    if let Some(readme) = readme {
        readme.write(&table, &drawing, &clock.now().format("%Y-%m-%d").to_string())?;
    }
    Ok(())
}

async fn measure(
    part: Part,
    args: &Args,
    folder: &TempDir,
    clock: &SharedClock,
    drawing: &mut String,
) -> Result<Vec<Row>> {
    let folder = folder.path();
    Ok(match part {
        Part::Growth => {
            let report = growth::run(folder, args.events, clock).await?;
            *drawing = plot::rates(&report, PIPELINE_GOAL)?;
            report::of_growth(&report)
        }
        Part::Batches => {
            let mut batches = Vec::new();
            for (batch, events) in BATCHES {
                let folder = folder.join(batch.to_string());
                fs::create_dir(&folder)?;
                let mut pipeline = Pipeline::begin(&folder, events, clock.now()).await?;
                batches.push((batch, pipeline.advance(events, batch).await?));
            }
            report::of_batches(&batches)
        }
        Part::Visible => {
            let span = Duration::from_secs(args.seconds.into());
            report::of_visible(&visible::run(folder, span, clock).await?)
        }
        Part::Connections => report::of_connections(&connections::run(folder, args.devices.into(), clock).await?),
        Part::Mosquitto => {
            let mut reports = Vec::new();
            for round in 0..ROUNDS {
                let folder = folder.join(round.to_string());
                fs::create_dir(&folder)?;
                reports.push(broker::run(&folder, args.queued, round % 2 == 0, clock.clone()).await?);
            }
            report::of_broker(&reports)
        }
        Part::Ingestors => match &args.postgres {
            Some(server) => report::of_ingestors(&ingestors::run(server, clock.now()).await?),
            None => Vec::new(),
        },
        Part::WhatIf => report::of_what_if(&what_if::run(folder, clock.now()).await?),
        Part::Pages => report::of_pages(&pages::run(folder, clock.clone()).await?),
    })
}

/// A README with a place for the figures.
struct Readme {
    file: PathBuf,
    before: String,
    after: String,
}

impl Readme {
    /// Before anything is measured: minutes later would be late to say that it has no such place.
    fn open(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("`--readme` {}", file.display()))?;
        let place = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let Some((before, after)) = place else {
            bail!(Usage(format!("`--readme` {}: it needs the lines {BEGIN} and {END}", file.display())));
        };
        Ok(Self { file: file.to_owned(), before: before.to_owned(), after: after.to_owned() })
    }

    fn write(&self, table: &str, drawing: &str, day: &str) -> Result<()> {
        let machine = machine();
        let Self { before, after, .. } = self;
        let text = format!(
            "{before}{BEGIN}\nMeasured on {day}, {machine}:\n\n{table}\n![Events a second over millions of events stored]({PLOT})\n{END}{after}"
        );
        let plot = self.file.with_file_name(PLOT);
        if let Some(folder) = plot.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&plot, drawing).with_context(|| plot.display().to_string())?;
        fs::write(&self.file, text).with_context(|| self.file.display().to_string())
    }
}

/// What was measured on, as far as the system tells.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib: u64 = text.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok()?;
        Some(format!(" and {} GiB of memory", (kib >> 20) + 1))
    });
    let system = fs::read_to_string("/etc/os-release").ok().and_then(|text| {
        let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(format!(", {}", name.trim_matches('"')))
    });
    format!("{cores} cores{}{}", memory.unwrap_or_default(), system.unwrap_or_default())
}
