//! `fenlei demo`: `serve` in a fresh folder with a sample neighbourhood, and the few lines that a newcomer needs.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Days, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::{Usage, answer, remark};
use crate::card_key;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::registry::Role;
use crate::domain::zone::today;
use crate::passwords;
use crate::serve::{self, Running};
use crate::simulate::by_hand;
use crate::simulate::enrol::{EnrolError, enrol};
use crate::simulate::fleet::{Broker, Credential, reachable};
use crate::simulate::neighbourhood::{BY_HAND, Neighbourhood, ZONE};
use crate::simulate::simulation::{Plan, Simulation};
use crate::store::{accounts, tokens};

/// The account of the demonstration.
const ACCOUNT: &str = "demo";

const PLAN: Plan = Plan { days: 28, live: true, seed: 1 };

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder for the demonstration, empty or not there yet; by default a new one among the temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Stop after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

pub async fn run(args: &Args, config: &Config, clock: &SharedClock) -> Result<()> {
    let folder = fresh_folder(args.dir.as_deref())?;
    let config = within(&folder, config)?;
    let running = serve::start(&config, clock.clone()).await?;
    let ended = demonstrate(args, &folder, &config, &running, clock).await;
    running.stop().await;
    ended
}

async fn demonstrate(
    args: &Args,
    folder: &Path,
    config: &Config,
    running: &Running,
    clock: &SharedClock,
) -> Result<()> {
    let now = clock.now();
    let neighbourhood = Neighbourhood::sample(today(ZONE, now));
    let (credentials, opened) = register(&neighbourhood, config, running, now).await?;
    let broker = match (running.mqtt, &config.mqtt.url) {
        (None, Some(url)) => running.relay.as_ref().map_or_else(|| url.into(), |relay| relay.address.into()),
        (address, _) => address.unwrap_or(config.mqtt.listen).into(),
    };
    let begun = Instant::now();
    let simulation = Simulation::start(&broker, &credentials, PLAN, clock)?;
    welcome(folder, running.http, &opened, &broker, &neighbourhood, &credentials, now)?;
    answer(format_args!("\nStoring four weeks of history, {} events …", simulation.history()))?;
    let mut stop = std::pin::pin!(told_to_stop(args.seconds));
    tokio::select! {
        () = simulation.history_stored() => {
            let (events, seconds) = (simulation.history(), begun.elapsed().as_secs_f64());
            let rate = events as f64 / seconds;
            answer(format_args!("History stored: {events} events in {seconds:.1} s, {rate:.0} events/s. Ctrl-C ends the demonstration."))?;
            stop.await;
        }
        () = &mut stop => {}
    }
    simulation.stop().await;
    Ok(())
}

/// Comes back after so many seconds, or when Ctrl-C or a service manager asks for the end.
pub(super) async fn told_to_stop(seconds: Option<u64>) {
    let over = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let asked = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            // Without a handler the signal ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        () = asked(SignalKind::interrupt()) => {}
        () = asked(SignalKind::terminate()) => {}
    }
}

fn fresh_folder(wanted: Option<&Path>) -> Result<PathBuf> {
    let Some(folder) = wanted else {
        let made = tempfile::Builder::new().prefix("fenlei-demo-").tempdir();
        return Ok(made.context("cannot make a folder among the temporary files: name one with --dir")?.keep());
    };
    let failed = || format!("cannot use the folder {}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    if fs::read_dir(folder).with_context(failed)?.next().is_some() {
        return Err(Usage(format!("{} is not empty: name a folder that is, or none", folder.display())).into());
    }
    Ok(folder.to_owned())
}

/// The settings with everything that is stored moved into the folder, and with ports that are free.
fn within(folder: &Path, config: &Config) -> Result<Config> {
    let default = Config::from_layers(None, [])?;
    let mut config = config.clone();
    config.store.url = folder.join("fenlei.db").into();
    config.privacy.card_key_file = folder.join("fenlei.card-key");
    config.http.listen = free(config.http.listen, default.http.listen, "HTTP");
    if config.mqtt.url.is_none() {
        config.mqtt.listen = free(config.mqtt.listen, default.mqtt.listen, "MQTT");
    }
    Ok(config)
}

/// An address that nobody chose gives way to whoever has it already.
fn free(address: SocketAddr, default: SocketAddr, what: &str) -> SocketAddr {
    let taken = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    if address != default || !TcpListener::bind(address).is_err_and(taken) {
        return address;
    }
    remark(format_args!("{what}: port {} is taken by another program, so a free one is used", address.port()));
    SocketAddr::new(address.ip(), 0)
}

async fn register(
    neighbourhood: &Neighbourhood,
    config: &Config,
    running: &Running,
    now: DateTime<Utc>,
) -> Result<(Vec<Credential>, Opened)> {
    let (name, password) = (ACCOUNT, readable_password()?);
    let hash = passwords::hash(&password)?;
    let key = card_key::load_or_create(&config.privacy.card_key_file)?;
    let neighbourhood = neighbourhood.clone();
    let registered = running.store.write(move |session| {
        let credentials = enrol(session.connection, session.rollups, &neighbourhood, &key, now)?;
        let admin = BTreeSet::from([Role::Admin]);
        let now = now.timestamp_millis();
        accounts::add(session.connection, name, &hash, None, &admin, now)?;
        let token = tokens::add(session.connection, None, &admin, now)?;
        Ok::<_, EnrolError>((credentials, token))
    });
    let (credentials, token) = registered.await?;
    Ok((credentials, Opened { token, password }))
}

/// What lets a newcomer in.
struct Opened {
    token: String,
    /// Of [`ACCOUNT`].
    password: String,
}

/// Twelve characters that are not taken for one another.
fn readable_password() -> Result<String> {
    const CHARACTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = [0_u8; 12];
    getrandom::fill(&mut random).context("the operating system gives no random numbers")?;
    Ok(random.iter().map(|byte| char::from(CHARACTERS[usize::from(*byte) % CHARACTERS.len()])).collect())
}

/// Where to look, and what to try.
fn welcome(
    folder: &Path,
    http: SocketAddr,
    opened: &Opened,
    broker: &Broker,
    neighbourhood: &Neighbourhood,
    credentials: &[Credential],
    now: DateTime<Utc>,
) -> Result<()> {
    let http = format!("http://{}", reachable(http));
    let households: usize = neighbourhood.communities.iter().map(|community| community.households.len()).sum();
    let (communities, devices) = (neighbourhood.communities.len(), neighbourhood.simulated().count());
    answer(format_args!(
        "Fenlei runs in {} with a sample neighbourhood: {communities} communities, {households} households, {devices} simulated devices.",
        folder.display()
    ))?;
    answer(format_args!("  Sign in {http}/  as {ACCOUNT}, password {}", opened.password))?;
    for community in &neighbourhood.communities {
        answer(format_args!("  Board   {http}/board/{}", community.id))?;
    }
    answer(format_args!("  API     {http}/api/v1/openapi.json"))?;
    answer(format_args!("  Metrics {http}/metrics"))?;
    answer(format_args!("  MQTT    {broker}"))?;
    if let Some(community) = neighbourhood.communities.first() {
        let to = today(ZONE, now);
        let from = to - Days::new(u64::from(PLAN.days) - 1);
        let (id, name) = (community.id, community.name);
        answer(format_args!("\nHow many households of {name} take part:\n"))?;
        answer(format_args!(
            "curl -s -H 'Authorization: Bearer {}' '{http}/api/v1/communities/{id}/participation?from={from}&to={to}&period=range'",
            opened.token
        ))?;
    }
    let bin = credentials.iter().find(|credential| credential.device == BY_HAND);
    let site = bin.and_then(|bin| neighbourhood.site(&bin.site));
    let time = site.and_then(|site| by_hand::last_open(site, now));
    if let (Some(bin), Some(home), Some(time)) = (bin, neighbourhood.reserved(), time) {
        answer(
            "\nA deposit by hand, of a household that has not taken part yet; then ask again, and `participating` is one more:\n",
        )?;
        answer(by_hand::line(broker, bin, home, time))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        assert_eq!(fresh_folder(Some(&folder)).unwrap(), folder);
        assert_eq!(fresh_folder(Some(&folder)).unwrap(), folder, "an empty one will do");
        let error = fresh_folder(Some(parent.path())).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("is not empty"), "{error}");
    }

    #[test]
    fn a_default_port_gives_way_and_a_chosen_one_does_not() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(free(address, address, "HTTP").port(), 0);
        assert_eq!(free(address, "127.0.0.1:1".parse().unwrap(), "HTTP"), address);
        drop(taken);
        assert_eq!(free(address, address, "HTTP"), address);
    }
}
