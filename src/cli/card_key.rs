//! `fenlei card-key`: the life of the key under which cards are hashed.

use anyhow::{Context, Result};
use clap::Subcommand;

use super::{answer, must_exist};
use crate::card_key;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{self, audit, scrub};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a secret to the key, as after a leak or by custom once a year. When `fenlei serve` starts next it hashes all
    /// cards once more under it: every card is recognized as before and no figure changes. Keep a new copy of the file; the
    /// former one opens backups from before, and so does the new one.
    Rotate,
    /// Make a new key where the old one is lost and no copy is left. No card is recognized any more until the rosters are
    /// imported again with their cards; what was counted before stays with its household. Deposits by cards of no
    /// household stay without one for ever.
    Replace,
}

pub fn run(args: &Args, config: &Config, clock: &dyn Clock) -> Result<()> {
    let path = &config.privacy.card_key_file;
    match args.command {
        Command::Rotate => {
            card_key::rotate(path)?;
            answer(format_args!(
                "{}: a secret was added; it counts once `fenlei serve` has started again. Keep a new copy of the file.",
                path.display()
            ))
        }
        Command::Replace => {
            must_exist(&config.store.url)?;
            let (store, _alone) = store::open_alone(&config.store.url).context("stop `fenlei serve` first")?;
            let transaction = store.transaction()?;
            let cards = card_key::replace(&transaction, path)?;
            audit::note(&transaction, clock.now().timestamp_millis(), "command line", "card_key.replace", "")?;
            transaction.commit()?;
            scrub::scrub(&store)?;
            answer(format_args!(
                "{}: a new key; {cards} cards are forgotten: import the rosters again with their cards",
                path.display()
            ))
        }
    }
}
