//! The recount: everything that is kept beside the ledger for speed, counted once more from the ledger alone and held
//! against what is there.
//!
//! It shares no code with what writes the rollups: [`crate::domain::recount`] counts by the definitions, and this folder
//! reads the tables by itself. It goes through the ledger in its order once, for marks and places, and once more by spans
//! of days, so that memory stays bounded however long the ledger is. All of it is read in one transaction: beside a
//! running backend it sees one moment.

mod days;
mod order;
mod read;

use std::fmt;

use super::StoreError;
use super::sql::Connection;
use read::Facts;

/// Differences of one part that are named; the others are only counted.
const NAMED: usize = 20;

/// What a recount found.
#[derive(Clone, Debug)]
pub struct Report {
    pub parts: Vec<Part>,
}

/// One kind of what is kept beside the ledger.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: &'static str,
    /// How many rows or entries were compared.
    pub compared: u64,
    pub differences: u64,
    /// The first of them, in words.
    pub named: Vec<String>,
}

impl Part {
    fn new(name: &'static str) -> Self {
        Self { name, compared: 0, differences: 0, named: Vec::new() }
    }

    fn differs(&mut self, what: impl FnOnce() -> String) {
        self.differences += 1;
        if self.named.len() < NAMED {
            self.named.push(what());
        }
    }

    /// Compares one thing.
    fn compare(&mut self, equal: bool, what: impl FnOnce() -> String) {
        self.compared += 1;
        if !equal {
            self.differs(what);
        }
    }
}

impl Report {
    pub fn differences(&self) -> u64 {
        self.parts.iter().map(|part| part.differences).sum()
    }

    /// The differences that are named, each with the part that it is in.
    pub fn named(&self) -> impl Iterator<Item = String> {
        self.parts.iter().flat_map(|part| {
            let more = part.differences - part.named.len() as u64;
            let more = (more > 0).then(|| format!("{}: and {more} more", part.name));
            part.named.iter().map(move |what| format!("{}: {what}", part.name)).chain(more)
        })
    }
}

/// A table of the parts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<18}{:>14}{:>14}", "counted again", "compared", "differences")?;
        for Part { name, compared, differences, .. } in &self.parts {
            write!(f, "\n{name:<18}{compared:>14}{differences:>14}")?;
        }
        Ok(())
    }
}

/// Counts everything again, within the transaction that the connection is in, or one of its own.
pub fn recount(connection: &Connection) -> Result<Report, StoreError> {
    if !connection.is_autocommit() {
        return count(connection);
    }
    connection.begin_reading()?;
    let report = count(connection);
    connection.abandon();
    report
}

fn count(connection: &Connection) -> Result<Report, StoreError> {
    let facts = Facts::read(connection)?;
    let (mut parts, ledger) = order::recount(connection, &facts)?;
    parts.extend(days::recount(connection, &facts, &ledger)?);
    Ok(Report { parts })
}
