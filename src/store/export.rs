//! How far the ledger is exported as time series, what must be written again, and what the server refused.
//!
//! Rows are exported in commit order from a position. What changes in a row later finds its own way: a verdict comes with
//! a judgement, which is a row of its own behind the position and brings its deposit along; a schedule that times past
//! days anew leaves a note of them. So a transaction that stores events has nothing to write for the export.

use fenlei_wire::vocabulary::EventType;

use super::events::{self, Filter, Listed};
use super::sql::{Connection, OptionalExtension};
use super::{StoreError, followers, ledger};

/// What the position is kept under.
const NAME: &str = "influx";

/// Events to be written at once.
#[derive(Debug)]
pub struct Batch {
    pub events: Vec<Listed>,
    /// The rows of those among them that the server refused before.
    refused_before: Vec<i64>,
    part: Part,
    full: bool,
}

impl Batch {
    /// Whether more waits behind it.
    pub fn is_full(&self) -> bool {
        self.full
    }
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The rows after the position, up to another, and the deposits that they judge.
    New { after: i64, through: i64 },
    /// Some of a note's deposits; `last`: they are the last of it.
    Retimed { note: i64, through: i64, last: bool },
    /// What somebody asked for.
    Again,
}

/// What is to be written next, with up to `limit` rows of the ledger, as far as it can be followed; `None`: nothing waits.
pub fn next(connection: &Connection, committed: i64, limit: usize) -> Result<Option<Batch>, StoreError> {
    let after = followers::position(connection, NAME)?;
    let found = match new(connection, (after, committed), limit)? {
        None => match retimed(connection, after, limit)? {
            None => again(connection, limit)?,
            found => found,
        },
        found => found,
    };
    let Some((events, part, full)) = found else { return Ok(None) };
    let refused_before = refused_before(connection, &events)?;
    Ok(Some(Batch { events, refused_before, part, full }))
}

type Found = Option<(Vec<Listed>, Part, bool)>;

fn new(connection: &Connection, (after, committed): (i64, i64), limit: usize) -> Result<Found, StoreError> {
    let filter = Filter { after, through: Some(committed), limit, ..Filter::default() };
    let mut found = events::list(connection, &filter)?;
    let Some(through) = found.last().map(|last| last.id) else { return Ok(None) };
    let full = found.len() == limit;
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT deposit FROM judged WHERE judgement > ?1 AND judgement <= ?2 AND deposit <= ?1 ORDER BY deposit",
    )?;
    let deposits = select.query_map((after, through), |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for deposit in deposits {
        found.extend(events::at(connection, deposit)?);
    }
    Ok(Some((found, Part::New { after, through }, full)))
}

fn retimed(connection: &Connection, position: i64, limit: usize) -> Result<Found, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT number, site, first_time, before_time, done FROM export_retimed ORDER BY number LIMIT 1",
    )?;
    let note = select
        .query_row([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
        })
        .optional()?;
    let Some((note, site, from, to, after)) = note else { return Ok(None) };
    let filter = Filter {
        after,
        // What lies behind the position is exported as it is by then.
        through: Some(position),
        sites: Some(vec![site]),
        types: vec![EventType::Deposit],
        from: Some(from),
        to: Some(to),
        limit,
        ..Filter::default()
    };
    let found = events::list(connection, &filter)?;
    let last = found.len() < limit;
    let through = found.last().map_or(after, |last| last.id);
    // More may wait: another note.
    Ok(Some((found, Part::Retimed { note, through, last }, true)))
}

fn again(connection: &Connection, limit: usize) -> Result<Found, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT event FROM export_dead WHERE again = 1 ORDER BY event LIMIT ?1")?;
    let rows = select.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
    let rows = rows.collect::<Result<Vec<i64>, _>>()?;
    let mut found = Vec::with_capacity(rows.len());
    for refused in &rows {
        found.extend(events::at(connection, *refused)?);
    }
    Ok((!rows.is_empty()).then_some((found, Part::Again, rows.len() == limit)))
}

fn refused_before(connection: &Connection, events: &[Listed]) -> Result<Vec<i64>, StoreError> {
    if refused_count(connection)? == 0 {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare_cached("SELECT event FROM export_dead WHERE event = ?1")?;
    let mut refused = Vec::new();
    for event in events {
        refused.extend(select.query_row([event.id], |row| row.get::<_, i64>(0)).optional()?);
    }
    Ok(refused)
}

/// Notes that a batch was written, but for the rows that the server refused, with what it said.
pub fn settle(connection: &Connection, batch: &Batch, refused: &[(i64, String)], now: i64) -> Result<(), StoreError> {
    let mut delete = connection.prepare_cached("DELETE FROM export_dead WHERE event = ?1")?;
    for row in &batch.refused_before {
        delete.execute([row])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO export_dead (event, reason, at, again) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT (event) DO UPDATE SET reason = excluded.reason, at = excluded.at, again = 0",
    )?;
    for (row, reason) in refused {
        insert.execute((row, reason, now))?;
    }
    match batch.part {
        Part::New { after, through } => move_position(connection, after, through),
        Part::Retimed { note, last: true, .. } => {
            connection.prepare_cached("DELETE FROM export_retimed WHERE number = ?1")?.execute([note])?;
            Ok(())
        }
        Part::Retimed { note, through, last: false } => {
            let mut update = connection.prepare_cached("UPDATE export_retimed SET done = ?2 WHERE number = ?1")?;
            update.execute((note, through))?;
            Ok(())
        }
        Part::Again => Ok(()),
    }
}

/// Only from where the batch began: meanwhile somebody may have asked for everything from the start.
fn move_position(connection: &Connection, after: i64, through: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO follower (name, row) VALUES (?1, 0) ON CONFLICT (name) DO NOTHING")?
        .execute([NAME])?;
    connection
        .prepare_cached("UPDATE follower SET row = ?3 WHERE name = ?1 AND row = ?2")?
        .execute((NAME, after, through))?;
    Ok(())
}

/// Notes that deposits of a site (its key) with times in a half-open span were timed anew. Where nothing was exported yet
/// there is nothing to be written again.
pub fn note_retimed(connection: &Connection, site: i64, (first, before): (i64, i64)) -> Result<(), StoreError> {
    if followers::position(connection, NAME)? > 0 {
        connection
            .prepare_cached("INSERT INTO export_retimed (site, first_time, before_time, done) VALUES (?1, ?2, ?3, 0)")?
            .execute((site, first, before))?;
    }
    Ok(())
}

/// Has what was refused tried once more; how many events that is.
pub fn try_refused_again(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.execute("UPDATE export_dead SET again = 1", [])?)
}

/// Has everything exported again from the first event on.
pub fn start_over(connection: &Connection) -> Result<(), StoreError> {
    // Each row is written as it is by then, and refused or not by then.
    connection.execute("DELETE FROM export_retimed", [])?;
    connection.execute("DELETE FROM export_dead", [])?;
    followers::advance(connection, NAME, 0)
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last row of the ledger that is exported,
    pub position: i64,
    /// and the last one that there is.
    pub last: i64,
    /// When the first event that waits was received.
    pub waits_since: Option<i64>,
    /// Spans of deposits that are to be written again.
    pub retimed: i64,
    /// Events that the server refused.
    pub refused: i64,
}

pub fn progress(connection: &Connection) -> Result<Progress, StoreError> {
    let position = followers::position(connection, NAME)?;
    let waiting = events::list(connection, &Filter { after: position, limit: 1, ..Filter::default() })?;
    let mut spans = connection.prepare_cached("SELECT count(*) FROM export_retimed")?;
    Ok(Progress {
        position,
        last: ledger::last_row(connection)?,
        waits_since: waiting.first().map(|event| event.received),
        retimed: spans.query_row([], |row| row.get(0))?,
        refused: refused_count(connection)?,
    })
}

fn refused_count(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT count(*) FROM export_dead")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// An event that the server refused.
#[derive(Clone, Debug)]
pub struct Refused {
    pub event: Listed,
    pub reason: String,
    pub at: i64,
}

/// The `limit` events that were refused last, the latest first.
pub fn refused(connection: &Connection, limit: u32) -> Result<Vec<Refused>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT event, reason, at FROM export_dead ORDER BY at DESC, event DESC LIMIT ?1")?;
    let rows = select.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut refused = Vec::new();
    for (id, reason, at) in rows.collect::<Result<Vec<(i64, String, i64)>, _>>()? {
        refused.extend(events::at(connection, id)?.map(|event| Refused { event, reason, at }));
    }
    Ok(refused)
}
