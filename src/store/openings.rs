//! Openings: spans in which staff hold a site open against its hours, each with its reason and an end.

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row};

/// An opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub id: i64,
    /// The key of its site.
    pub site: i64,
    pub reason: String,
    pub start: i64,
    pub until: i64,
    /// The token that opened it.
    pub by: String,
}

impl Opening {
    /// What its commands are planned under.
    pub fn occasion(&self) -> String {
        format!("opening/{}", self.id)
    }
}

const SELECT: &str = "SELECT id, site, reason, start, until, by FROM opening";

fn read(row: &Row<'_>) -> super::sql::Result<Opening> {
    Ok(Opening {
        id: row.get(0)?,
        site: row.get(1)?,
        reason: row.get(2)?,
        start: row.get(3)?,
        until: row.get(4)?,
        by: row.get(5)?,
    })
}

/// Opens a site; one that is open already is held by the new opening alone.
pub fn open(
    connection: &Connection,
    site: i64,
    reason: &str,
    (start, until): (i64, i64),
    by: &str,
) -> Result<Opening, StoreError> {
    connection
        .prepare_cached("UPDATE opening SET until = ?2 WHERE site = ?1 AND until > ?2")?
        .execute((site, start))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO opening (site, reason, start, until, by) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
    )?;
    let id = insert.query_row((site, reason, start, until, by), |row| row.get(0))?;
    Ok(Opening { id, site, reason: reason.to_owned(), start, until, by: by.to_owned() })
}

/// Ends an opening now; one that is over stays as it was.
pub fn end(connection: &Connection, id: i64, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE opening SET until = ?2 WHERE id = ?1 AND until > ?2")?.execute((id, now))?;
    Ok(())
}

pub fn get(connection: &Connection, site: i64, id: i64) -> Result<Option<Opening>, StoreError> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE site = ?1 AND id = ?2"))?;
    Ok(select.query_row((site, id), read).optional()?)
}

/// The openings of a site, the newest first, from the one before `before` on.
pub fn list(connection: &Connection, site: i64, before: Option<i64>, limit: usize) -> Result<Vec<Opening>, StoreError> {
    let mut select = connection
        .prepare_cached(&format!("{SELECT} WHERE site = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(select.query_map((site, before, limit), read)?.collect::<Result<_, _>>()?)
}

/// The openings of all sites that ended after `instant`, or have not.
pub fn since(connection: &Connection, instant: i64) -> Result<Vec<Opening>, StoreError> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE until > ?1 ORDER BY id"))?;
    Ok(select.query_map([instant], read)?.collect::<Result<_, _>>()?)
}
