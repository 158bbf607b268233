//! Webhooks that are told of alarms, and what came of telling them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row, params};
use crate::domain::alarms::Severity;
use crate::domain::notices::{Format, LONGEST_MS, Quiet};

/// A webhook as it was asked for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Often a secret by itself: it is shown to nobody.
    pub url: String,
    pub format: Format,
    /// The least.
    pub severity: Severity,
    pub community: Option<String>,
    pub site: Option<String>,
    pub quiet: Option<Quiet>,
    pub secret: Option<String>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("format", &self.format).finish_non_exhaustive()
    }
}

/// What came of telling it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Notices that are not delivered yet.
    pub waiting: i64,
    /// Notices that were given up.
    pub given_up: i64,
    /// How often it failed since it last succeeded.
    pub attempts: u32,
    pub attempted: Option<i64>,
    /// `ok`, or what was wrong the last time.
    pub status: Option<String>,
    pub succeeded: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Hook {
    pub number: i64,
    pub id: String,
    /// Whose communities it is told of; absent: all.
    pub organization: Option<String>,
    pub asked: Asked,
    pub created: i64,
    pub delivery: Delivery,
}

const SELECT: &str = "SELECT h.number, h.id, h.organization, h.document, h.created, h.attempts, h.attempted, h.status,
         h.succeeded, (SELECT count(*) FROM alarm_notice n WHERE n.hook = h.number AND n.done IS NULL),
         (SELECT count(*) FROM alarm_notice n WHERE n.hook = h.number AND n.given_up)
     FROM alarm_hook h";

fn read(row: &Row<'_>) -> super::sql::Result<Result<Hook, StoreError>> {
    let document: String = row.get(3)?;
    let Ok(asked) = serde_json::from_str(&document) else {
        return Ok(Err(StoreError::Corrupt("a webhook is unreadable")));
    };
    let delivery = Delivery {
        attempts: row.get(5)?,
        attempted: row.get(6)?,
        status: row.get(7)?,
        succeeded: row.get(8)?,
        waiting: row.get(9)?,
        given_up: row.get(10)?,
    };
    let (number, id, organization, created) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?);
    Ok(Ok(Hook { number, id, organization, asked, created, delivery }))
}

/// Stores a webhook and gives its id.
pub fn add(connection: &Connection, organization: Option<&str>, asked: &Asked, now: i64) -> Result<String, StoreError> {
    let document = serde_json::to_string(asked).map_err(|_| StoreError::Corrupt("a webhook cannot be written"))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO alarm_hook (id, organization, document, severity, community, site, created, due, attempts)
         VALUES (lower(hex(randomblob(12))), ?1, ?2, ?3, ?4, ?5, ?6, ?6, 0) RETURNING id",
    )?;
    let id = insert
        .query_row(params![organization, document, asked.severity.rank(), asked.community, asked.site, now], |row| {
            row.get(0)
        })?;
    Ok(id)
}

pub fn get(connection: &Connection, id: &str) -> Result<Option<Hook>, StoreError> {
    let sql = format!("{SELECT} WHERE h.id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()?.transpose()
}

/// Webhooks by number; `organization`: only of this one.
pub fn list(
    connection: &Connection,
    organization: Option<&str>,
    after: i64,
    limit: usize,
) -> Result<Vec<Hook>, StoreError> {
    let sql =
        format!("{SELECT} WHERE h.number > ?1 AND (?2 IS NULL OR h.organization = ?2) ORDER BY h.number LIMIT ?3");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map((after, organization, i64::try_from(limit).unwrap_or(i64::MAX)), read)?;
    rows.map(|row| row?).collect()
}

/// Those with something to deliver at `now`, the one that has waited longest first. Who is due later than anybody waits is
/// due by a clock that was set back since.
pub fn due(connection: &Connection, now: i64) -> Result<Vec<Hook>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE (h.due <= ?1 OR h.due > ?1 + {LONGEST_MS})
         AND EXISTS (SELECT 1 FROM alarm_notice n WHERE n.hook = h.number AND n.done IS NULL) ORDER BY h.due"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map([now], read)?;
    rows.map(|row| row?).collect()
}

/// Deletes a webhook with all that it was still to be told.
pub fn delete(connection: &Connection, number: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM alarm_hook WHERE number = ?1")?.execute([number])?;
    Ok(())
}
