//! `fenlei backup`: the store as it was at one moment, in one file, taken beside a running backend.
//!
//! The card key lies outside the store, so no backup ever holds it: keep a copy of it somewhere else.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::{answer, must_exist};
use crate::config::Config;
use crate::draft::Draft;
use rusqlite::{Connection, OpenFlags};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the copy goes; a file that is there already is never overwritten.
    file: PathBuf,
}

pub fn run(args: &Args, config: &Config) -> Result<()> {
    let file = &args.file;
    must_exist(&config.store.url)?;
    let Some(store) = config.store.url.file() else {
        bail!(
            "the store is on a PostgreSQL server, whose own tools copy it: pg_dump --format=custom --file=FILE DATABASE"
        );
    };
    let taken = || anyhow!("{} is there already: choose another name, or remove it first", file.display());
    if file.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let failed = || format!("cannot write the backup {}", file.display());
    let draft = Draft::beside(file).with_context(failed)?;
    let path = draft.path().to_str().context("the path of a backup must be UTF-8: choose another folder")?;
    let reader = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    reader.busy_timeout(Duration::from_secs(30))?;
    // One read transaction of SQLite's: writers go on meanwhile, and nothing of theirs comes in.
    reader.execute("VACUUM INTO ?1", [path]).with_context(failed)?;
    let bytes = File::open(draft.path()).and_then(|file| file.metadata()).with_context(failed)?.len();
    draft.place_new().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(),
        _ => anyhow!(error).context(failed()),
    })?;
    answer(format_args!("{}: {bytes} bytes; the card key is not in it", file.display()))
}
