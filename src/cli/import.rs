//! `fenlei import`: households from CSV, all of them or none, with every bad row named.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use rusqlite::TransactionBehavior;

use super::{answer, open_existing_store, remark};
use crate::card_key;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::roster::BadRow;
use crate::household_rows::from_csv;
use crate::store::roster::ImportError;
use crate::store::{audit, registry, roster};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Households and their cards: household,building,enrolled_from,enrolled_until,cards (cards split by `;`).
    /// A household that is there already becomes what its row says.
    Households {
        /// The community they live in.
        #[arg(long, value_name = "ID")]
        community: String,
        /// The CSV file, in UTF-8, with a header.
        file: PathBuf,
    },
}

pub fn run(args: &Args, config: &Config, clock: &dyn Clock) -> Result<()> {
    let Command::Households { community, file } = &args.command;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rows = from_csv(&bytes);
    let mut store = open_existing_store(config)?;
    let transaction = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(key) = registry::load(&transaction)?.communities.get(community).map(|community| community.key) else {
        bail!("there is no community {community}: create it first (PUT /api/v1/communities/{community})");
    };
    let card_key = card_key::for_store(&transaction, &config.privacy.card_key_file)?;
    let imported = match roster::import_read(&transaction, key, rows, &card_key) {
        Ok(imported) => imported,
        Err(ImportError::Rows(bad)) => refuse(file, &bad)?,
        Err(error @ ImportError::Store(_)) => return Err(error.into()),
    };
    audit::note(&transaction, clock.now().timestamp_millis(), "command line", "households.import", community)?;
    transaction.commit()?;
    answer(format_args!("{} households created, {} updated", imported.created, imported.updated))
}

/// Names every bad row.
fn refuse<T>(file: &Path, bad: &[BadRow]) -> Result<T> {
    for BadRow { row, error } in bad {
        remark(format_args!("{} row {row}: {error}", file.display()));
    }
    bail!("nothing was imported: mend what is named above ({}) and repeat", bad.len());
}
