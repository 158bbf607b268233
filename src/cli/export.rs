//! `fenlei export`: how far the export to a time-series server is, and what that refused.

use anyhow::Result;
use clap::Subcommand;

use super::token::instant;
use super::{answer, open_existing_store};
use crate::config::Config;
use crate::store::export::{self, Progress, Refused};

/// How many refused events are listed.
const LISTED: u32 = 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Have the running backend write again what the server refused, as after a mend there. Nothing else is written twice.
    Again {
        /// Everything from the first event on, as into a new bucket. Points that are there already are replaced by themselves.
        #[arg(long)]
        all: bool,
    },
}

pub fn run(args: &Args, config: &Config) -> Result<()> {
    match args.command {
        None => show(config),
        Some(Command::Again { all }) => again(config, all),
    }
}

fn show(config: &Config) -> Result<()> {
    let store = open_existing_store(config)?;
    let Progress { position, last, waits_since, retimed, refused } = export::progress(&store)?;
    match &config.influx {
        Some(to) => answer(format_args!("to         {} organization {} bucket {}", to.url, to.org, to.bucket))?,
        None => answer("to         nowhere: `influx.url` is empty")?,
    }
    answer(format_args!("exported   {position} of {last} events"))?;
    match waits_since {
        Some(since) => answer(format_args!("waiting    {}, since {}", last - position, instant(since)))?,
        None => answer("waiting    0")?,
    }
    answer(format_args!("rewriting  {retimed} spans of deposits whose schedule changed"))?;
    answer(format_args!("refused    {refused}"))?;
    for Refused { event, reason, at } in export::refused(&store, LISTED)? {
        let name = format_args!("{} boot {} seq {}", event.device, event.event.boot, event.event.seq);
        answer(format_args!("  {} {name} {}: {reason}", instant(at), event.event.body.event_type()))?;
    }
    Ok(())
}

fn again(config: &Config, all: bool) -> Result<()> {
    let store = open_existing_store(config)?;
    let transaction = store.transaction()?;
    let said = if all {
        export::start_over(&transaction)?;
        "everything is exported again from the first event on".to_owned()
    } else {
        format!("{} refused events are tried again", export::try_refused_again(&transaction)?)
    };
    transaction.commit()?;
    answer(said)
}
