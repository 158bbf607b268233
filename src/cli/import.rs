//! `fenlei import`: households and visits from CSV or Excel, all of them or none, with every bad row named.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::{answer, open_existing_store, remark};
use crate::card_key;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::rows::BadRow;
use crate::domain::zone::today;
use crate::rows::{households, visits};
use crate::sheets::is_workbook;
use crate::store::roster::ImportError;
use crate::store::{self, audit, registry, roster};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Households and their cards: household,building,enrolled_from,enrolled_until,cards (cards split by `;`).
    /// A household that is there already becomes what its row says.
    Households(Source),
    /// Visits and surveys: household,date,kind,outcome,claimed,tested (the answers are true, false or empty).
    /// A later record of a household, date and kind replaces the former.
    Visits(Source),
}

#[derive(Debug, clap::Args)]
struct Source {
    /// The community they belong to.
    #[arg(long, value_name = "ID")]
    community: String,
    /// A CSV file in UTF-8 with a header, or an Excel workbook (.xlsx) whose first sheet has the same columns.
    file: PathBuf,
}

pub fn run(args: &Args, config: &Config, clock: &dyn Clock) -> Result<()> {
    let (Command::Households(source) | Command::Visits(source)) = &args.command;
    let Source { community: id, file } = source;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let in_excel = is_workbook(&bytes);
    let store = open_existing_store(config)?;
    let transaction = store.transaction()?;
    let registry = registry::load(&transaction)?;
    let Some(community) = registry.communities.get(id) else {
        bail!("there is no community {id}: create it first (PUT /api/v1/communities/{id})");
    };
    let (imported, action) = match &args.command {
        Command::Households(_) => {
            let card_key = card_key::for_store(&transaction, &config.privacy.card_key_file)?;
            let rows = if in_excel { households::from_xlsx(&bytes) } else { households::from_csv(&bytes) };
            let imported = roster::import_read(&transaction, community.key, rows, &card_key);
            let said =
                |done: roster::Imported| format!("{} households created, {} updated", done.created, done.updated);
            (imported.map(said), "households.import")
        }
        Command::Visits(_) => {
            let rows = if in_excel { visits::from_xlsx(&bytes) } else { visits::from_csv(&bytes) };
            let today = today(community.zone, clock.now());
            let recorded = store::visits::record(&transaction, community.key, rows, today);
            (recorded.map(|recorded| format!("{recorded} visits recorded")), "visits.record")
        }
    };
    let said = match imported {
        Ok(said) => said,
        Err(ImportError::Rows(bad)) => refuse(file, &bad)?,
        Err(error @ ImportError::Store(_)) => return Err(error.into()),
    };
    audit::note(&transaction, clock.now().timestamp_millis(), "command line", action, id)?;
    transaction.commit()?;
    answer(format_args!("{said}"))
}

/// Names every bad row.
fn refuse<T>(file: &Path, bad: &[BadRow]) -> Result<T> {
    for BadRow { row, error } in bad {
        remark(format_args!("{} row {row}: {error}", file.display()));
    }
    bail!("nothing was imported: mend what is named above ({}) and repeat", bad.len());
}
