//! `fenlei restore`: a backup put in the place of a store that is gone, after all of it was checked.
//!
//! What is checked is a copy beside that place: a backup that is broken, foreign or of a newer program changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use rusqlite::OpenFlags;
use rusqlite::backup::Progress;

use super::{answer, recount, remark};
use crate::card_key;
use crate::config::Config;
use crate::domain::zone::rfc3339;
use crate::draft::Draft;
use crate::store::sql::Connection;
use crate::store::{self, StoreError};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that `fenlei backup` wrote. It is only read.
    file: PathBuf,
}

pub fn run(args: &Args, config: &Config) -> Result<()> {
    let file = &args.file;
    let Some(place) = config.store.url.file() else {
        bail!(
            "the store is on a PostgreSQL server, whose own tools put a copy back: pg_restore --dbname=DATABASE FILE"
        );
    };
    // Of a store that was moved away by halves, the write-ahead log would be taken for the restored one's.
    for left in ["", "-wal", "-journal"] {
        let mut left_behind = place.as_os_str().to_owned();
        left_behind.push(left);
        if Path::new(&left_behind).symlink_metadata().is_ok() {
            return Err(taken(Path::new(&left_behind)));
        }
    }
    let _alone = store::alone(place).context("stop `fenlei serve` first")?;
    let failed = || format!("cannot write the store {} (`store.url`)", place.display());
    let draft = Draft::beside(place).with_context(failed)?;
    copy(file, draft.path())?;
    let copy = store::open_beside(draft.path()).with_context(|| file.display().to_string())?;
    check(&copy, file)?;
    let last: i64 = copy.query_row("SELECT coalesce(max(received), 0) FROM boot", [], |row| row.get(0))?;
    let key = card_key::check(&copy, &config.privacy.card_key_file);
    drop(copy);
    draft.place_new().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(place),
        _ => anyhow!(error).context(failed()),
    })?;
    answer(format_args!("{}: restored as of {}", place.display(), rfc3339(last)))?;
    remark(
        "Tokens, passwords and erasures are as they were then: what was revoked or erased since, revoke or erase again.",
    );
    if let Err(error) = key {
        remark(format_args!("Before `fenlei serve` starts: {error}."));
    }
    Ok(())
}

fn taken(place: &Path) -> anyhow::Error {
    anyhow!(
        "{} is there: a store is never overwritten. Stop `fenlei serve` and move the store away, with its -wal and -shm",
        place.display()
    )
}

/// Copies what SQLite finds in the file, a write-ahead log beside it included.
fn copy(file: &Path, place: &Path) -> Result<()> {
    if !file.is_file() {
        bail!("there is no file {}", file.display());
    }
    let backup = rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = backup.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let version = version.ok().filter(|version| *version > 0);
    if version.is_none() {
        bail!("{} is no backup of a store: name a file that `fenlei backup` wrote", file.display());
    }
    let copied = backup.backup("main", place, None::<fn(Progress)>);
    copied.with_context(|| format!("cannot copy {} beside {}", file.display(), place.display()))
}

/// The copy is whole, and its rollups are what its ledger says.
fn check(copy: &Connection, file: &Path) -> Result<()> {
    let unchanged = "the backup was not put in place";
    let found: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(StoreError::from)?;
    if found != "ok" {
        bail!("{} is damaged ({found}): {unchanged}", file.display());
    }
    let report = store::recount::recount(copy).with_context(|| format!("{}: {unchanged}", file.display()))?;
    recount::tell(&report).context(unchanged)
}
