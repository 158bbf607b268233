//! The command line: a file a command. A command that needs no answer from it leaves standard output empty.
//!
//! A command that works on the store may run beside `fenlei serve`: it waits for its turn to write and
//! takes it for one transaction. Exit codes: 0 done, 64 a mistake in the command line or the settings, 1
//! anything else. Errors go to standard error and say what to do.

pub mod account;
pub mod backup;
pub mod bench;
pub mod card_key;
pub mod check_config;
pub mod demo;
pub mod device;
pub mod export;
pub mod import;
pub mod migrate_store;
pub mod recount;
pub mod restore;
pub mod serve;
pub mod simulate;
pub mod token;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Mistakes};
use crate::store::sql::Connection;
use crate::store::{self, StoreUrl};

/// As `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;

/// Fenlei (分类): an IoT backend for smart waste-sorting sites.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "Settings: config/default.toml documents every one; --config FILE goes before the defaults, \
    the variables FENLEI__SECTION__KEY of the environment before both; FENLEI__SECTION__KEY_FILE names a file with the value.")]
struct Cli {
    /// The file with this installation's settings.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything: broker, store, API.
    Serve(serve::Args),
    /// Run everything in a fresh folder, with a sample neighbourhood and simulated devices.
    Demo(demo::Args),
    /// Drive simulated devices against any broker.
    Simulate(simulate::Args),
    /// Measure this machine, each figure beside its reference in the same run.
    Bench(bench::Args),
    /// Name every mistake in a settings file and in the environment.
    CheckConfig(check_config::Args),
    /// Make, list and revoke the bearer tokens of the API.
    Token(token::Args),
    /// People who sign in to the pages.
    Account(account::Args),
    /// Bring in what other systems know, from CSV or Excel.
    Import(import::Args),
    /// Write a consistent copy of the store to a file, also while it is being written to.
    Backup(backup::Args),
    /// Move the store from its SQLite file to a PostgreSQL database; the backend must be stopped.
    MigrateStore(migrate_store::Args),
    /// Put a backup in the place of a store that is gone, after it was checked and counted again.
    Restore(restore::Args),
    /// Count everything again from the ledger, also while it is being written to, and name what differs.
    Recount(recount::Args),
    /// How far the export to a time-series server is, and what that refused.
    Export(export::Args),
    /// What an external broker must know of the devices.
    Device(device::Args),
    /// Rotate the key under which cards are hashed, or replace one that is lost.
    CardKey(card_key::Args),
}

/// A command line that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs the command of this process.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", describe(&error));
            if error.is::<Mistakes>() || error.is::<Usage>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let clock = SystemClock;
    let shared: SharedClock = Arc::new(clock);
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve(args) => serve::run(args, &config()?, shared).await,
        Command::Demo(args) => {
            let config = config()?;
            log_to_stderr(&config);
            demo::run(&args, &config, &shared).await
        }
        Command::Simulate(args) => simulate::run(&args, &config()?, &shared).await,
        Command::Bench(args) => bench::run(&args, &shared).await,
        Command::CheckConfig(args) => check_config::run(&args, cli.config.as_deref()),
        Command::Account(args) => account::run(&args, &config()?, &clock),
        Command::Token(args) => token::run(&args, &config()?, &clock),
        Command::Import(args) => import::run(&args, &config()?, &clock),
        Command::Backup(args) => backup::run(&args, &config()?),
        Command::MigrateStore(args) => migrate_store::run(&args, &config()?),
        Command::Restore(args) => restore::run(&args, &config()?),
        Command::Recount(args) => recount::run(&args, &config()?),
        Command::Export(args) => export::run(&args, &config()?),
        Command::Device(args) => device::run(&args, &config()?),
        Command::CardKey(args) => card_key::run(&args, &config()?, &clock),
    }
}

/// The log of a command that runs until it is stopped.
fn log_to_stderr(config: &Config) {
    let filter = EnvFilter::new(&config.log.filter);
    // A second subscriber in one process is no reason not to run.
    let colours = io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).try_init();
}

/// Mistakes of a file stand by themselves, a line each; everything else is one sentence of ours.
fn describe(error: &anyhow::Error) -> String {
    if error.is::<Mistakes>() { error.to_string() } else { format!("fenlei: {error:#}") }
}

/// What was asked for, a line on standard output.
fn answer(line: impl Display) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("standard output takes nothing")
}

/// What happened, a line on standard error: it is in nobody's way.
fn remark(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The store, made if it is not there: a token is needed before the first `fenlei serve`.
fn open_store(config: &Config) -> Result<Connection> {
    let url = &config.store.url;
    store::open_beside(url).with_context(|| format!("cannot open the store {url} (`store.url`)"))
}

/// The store, where a new one could only be a mistake.
fn open_existing_store(config: &Config) -> Result<Connection> {
    must_exist(&config.store.url)?;
    open_store(config)
}

fn must_exist(store: &StoreUrl) -> Result<()> {
    if store.file().is_some_and(|file| !file.is_file()) {
        bail!("there is no store {store}: correct `store.url`, or run `fenlei serve` first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn verify_cli() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_option_says_what_it_is() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
