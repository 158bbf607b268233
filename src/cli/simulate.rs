//! `fenlei simulate`: the sample neighbourhood's devices against any broker.

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{answer, open_store, remark};
use crate::card_key;
use crate::clock::SharedClock;
use crate::config::{BrokerUrl, Config};
use crate::domain::zone::today;
use crate::serve::relay_to;
use crate::simulate::enrol::{enrol, read_credentials, write_credentials};
use crate::simulate::fleet::{Broker, Counts};
use crate::simulate::history::MAX_DAYS;
use crate::simulate::neighbourhood::{Neighbourhood, ZONE};
use crate::simulate::simulation::{Plan, Simulation};
use crate::store::rollups::Rollups;

/// How long what was accepted may take to be receipted once nothing more happens.
const DRAIN: Duration = Duration::from_secs(30);
/// How often the bar is drawn, and how often a line is written where there is no terminal.
const DRAWN_EVERY: Duration = Duration::from_millis(500);
const TOLD_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Register the sample neighbourhood in the configured store and write its devices' secrets to FILE; each time with
    /// new secrets.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["devices", "broker", "days", "live", "seed", "seconds"])]
    prepare: Option<PathBuf>,
    /// The devices to simulate, from a file that --prepare wrote.
    #[arg(long, value_name = "FILE", required_unless_present = "prepare")]
    devices: Option<PathBuf>,
    /// Where the devices connect to, as mqtt://HOST:PORT; by default to the broker of the settings.
    #[arg(long, value_name = "URL", value_parser = broker)]
    broker: Option<Broker>,
    /// Days of history, up to today.
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_DAYS)))]
    days: u32,
    /// Go on after the history: a deposit every few seconds.
    #[arg(long)]
    live: bool,
    /// What chance begins with: the same number makes the same history.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

fn broker(text: &str) -> Result<Broker, String> {
    let url = BrokerUrl::parse(text)?;
    if url.login.is_some() {
        return Err("mqtt://HOST:PORT without a login: each device has its own".to_owned());
    }
    Ok(Broker::from(&url))
}

pub async fn run(args: &Args, config: &Config, clock: &SharedClock) -> Result<()> {
    match (&args.prepare, &args.devices) {
        (Some(file), _) => prepare(file, config, clock),
        (None, Some(file)) => simulate(args, file, config, clock).await,
        (None, None) => Ok(()),
    }
}

fn prepare(file: &Path, config: &Config, clock: &SharedClock) -> Result<()> {
    let now = clock.now();
    let neighbourhood = Neighbourhood::sample(today(ZONE, now));
    let store = open_store(config)?;
    let transaction = store.transaction()?;
    let key = card_key::for_store(&transaction, &config.privacy.card_key_file)?;
    let mut rollups = Rollups::default();
    let credentials = enrol(&transaction, &mut rollups, &neighbourhood, &key, now)?;
    rollups.flush(&transaction)?;
    // Before the commit: secrets that nobody was told would lock the devices out.
    write_credentials(file, &credentials).with_context(|| format!("cannot write {}", file.display()))?;
    transaction.commit()?;
    answer(format_args!("{} devices registered; their secrets are in {}", credentials.len(), file.display()))
}

async fn simulate(args: &Args, file: &Path, config: &Config, clock: &SharedClock) -> Result<()> {
    let credentials = read_credentials(file).with_context(|| format!("cannot read {}", file.display()))?;
    let relay = match &config.mqtt.url {
        Some(url) if args.broker.is_none() => relay_to(url, config.mqtt.ca.as_deref()).await?,
        _ => None,
    };
    let broker = args.broker.clone().unwrap_or_else(|| match (&relay, &config.mqtt.url) {
        (Some(relay), _) => relay.address.into(),
        (None, Some(url)) => url.into(),
        (None, None) => config.mqtt.listen.into(),
    });
    let plan = Plan { days: args.days, live: args.live, seed: args.seed };
    let mut simulation = Simulation::start(&broker, &credentials, plan, clock)?;
    let devices = simulation.devices();
    remark(format_args!("{devices} devices, {} events of history, to {broker}", simulation.history()));
    let mut progress = Progress::new(&simulation);
    tokio::select! {
        () = simulation.finished() => {}
        () = progress.run() => {}
        () = super::demo::told_to_stop(args.seconds) => {}
    }
    simulation.close();
    if progress.now().waiting() > 0 {
        remark(format_args!("Waiting for receipts, at most {} s; Ctrl-C ends it at once.", DRAIN.as_secs()));
    }
    let drained = async {
        tokio::select! {
            () = simulation.finished() => {}
            () = progress.run() => {}
            () = super::demo::told_to_stop(None) => {}
        }
    };
    let _ = timeout(DRAIN, drained).await;
    let connected = progress.now().connected;
    let counts = simulation.stop().await;
    progress.end();
    let Counts { accepted, receipted, .. } = counts;
    let waiting = counts.waiting();
    answer(format_args!("{accepted} events accepted, {receipted} receipted, {waiting} waiting"))?;
    match (waiting, connected) {
        (0, _) => Ok(()),
        (_, 0) => bail!(
            "no device could connect: is there a broker at {broker}, and does it know the secrets in {}?",
            file.display()
        ),
        _ => bail!("not everything was receipted: does `fenlei serve` run, and on the broker {broker}?"),
    }
}

/// How far it is, as a bar on a terminal and as lines elsewhere.
struct Progress {
    counts: tokio::sync::watch::Receiver<Counts>,
    history: u64,
    devices: usize,
    begun: Instant,
    bar: Option<ProgressBar>,
    /// What was receipted when it was last shown, and when that was.
    told: u64,
    told_at: Instant,
}

impl Progress {
    fn new(simulation: &Simulation) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let template = "{bar:30} {human_pos} of {human_len} events receipted, {msg}";
            bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let (counts, history, devices) = (simulation.counts(), simulation.history(), simulation.devices());
        let begun = Instant::now();
        Self { counts, history, devices, begun, bar, told: 0, told_at: begun }
    }

    fn now(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Shows how far it is, for ever.
    async fn run(&mut self) {
        let mut ticks = interval(if self.bar.is_some() { DRAWN_EVERY } else { TOLD_EVERY });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.show();
        }
    }

    fn show(&mut self) {
        let Counts { accepted, receipted, connected } = self.now();
        let (expected, devices) = (accepted.max(self.history), self.devices);
        let rate = (receipted - self.told) as f64 / self.told_at.elapsed().as_secs_f64().max(0.001);
        (self.told, self.told_at) = (receipted, Instant::now());
        let rest = format!("{rate:.0}/s, {connected} of {devices} devices connected");
        match &self.bar {
            Some(bar) => {
                bar.set_length(expected);
                bar.set_position(receipted);
                bar.set_message(rest);
            }
            None => remark(format_args!("{receipted} of {expected} events receipted, {rest}")),
        }
    }

    fn end(self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        remark(format_args!(
            "{:.1} s, {:.0} events/s receipted",
            seconds,
            self.now().receipted as f64 / seconds.max(0.001)
        ));
    }
}
