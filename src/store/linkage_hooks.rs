//! Webhooks that are told of revisions, how far each has come, and what came of telling them.
//!
//! A hook is no more than a place in the one list of revisions: it is told what lies behind it, in order. So nothing waits
//! anywhere that could be lost, and to be told again is to be put back.

use serde::Serialize;

use super::sql::{Connection, OptionalExtension, Row, params};
use super::{StoreError, linkage};
use crate::domain::notices::LONGEST_MS;

/// How long the secret before signs beside the new one, in milliseconds.
pub const OVERLAP_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a hook is tried that takes nothing, in milliseconds.
pub const TRIED_MS: i64 = 5 * 24 * 60 * 60 * 1000;
/// How long attempts are kept, in milliseconds.
const LOG_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Why nothing is sent to a hook any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LinkageWebhookDisabled)]
pub enum Disabled {
    /// It answered 410.
    Gone,
    /// It has taken nothing for five days.
    Failing,
}

impl Disabled {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Gone, Self::Failing].into_iter().find(|why| why.as_str() == text)
    }
}

/// A webhook. It has no `Debug`: its URL and its secrets are to be in no log.
#[derive(Clone)]
pub struct Hook {
    pub number: i64,
    pub id: String,
    /// Whose communities it is told of; absent: all.
    pub organization: Option<String>,
    pub url: String,
    pub secret: String,
    /// The secret before, and until when it signs too.
    pub former: Option<(String, i64)>,
    pub created: i64,
    /// The last revision that it took, or is not to be told of.
    pub position: i64,
    /// How often it failed since it last succeeded, and since when.
    pub attempts: u32,
    pub failing: Option<i64>,
    pub attempted: Option<i64>,
    /// `ok`, or what was wrong the last time.
    pub status: Option<String>,
    pub succeeded: Option<i64>,
    pub disabled: Option<Disabled>,
}

impl Hook {
    /// The secrets that sign at `now`, the present one first.
    pub fn secrets(&self, now: i64) -> Vec<&str> {
        let former = self.former.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret.as_str());
        std::iter::once(self.secret.as_str()).chain(former).collect()
    }
}

const SELECT: &str = "SELECT number, id, organization, url, secret, former, former_until, created, position, attempts,
         failing, attempted, status, succeeded, disabled
     FROM linkage_hook";

fn read(row: &Row<'_>) -> super::sql::Result<Result<Hook, StoreError>> {
    let former: Option<String> = row.get(5)?;
    let until: Option<i64> = row.get(6)?;
    let disabled: Option<String> = row.get(14)?;
    let Ok(disabled) = disabled.map(|why| Disabled::parse(&why).ok_or(())).transpose() else {
        return Ok(Err(StoreError::Corrupt("a webhook is disabled for an unknown reason")));
    };
    Ok(Ok(Hook {
        number: row.get(0)?,
        id: row.get(1)?,
        organization: row.get(2)?,
        url: row.get(3)?,
        secret: row.get(4)?,
        former: former.zip(until),
        created: row.get(7)?,
        position: row.get(8)?,
        attempts: row.get(9)?,
        failing: row.get(10)?,
        attempted: row.get(11)?,
        status: row.get(12)?,
        succeeded: row.get(13)?,
        disabled,
    }))
}

/// Stores a webhook that is told of what follows the revision `position`, and gives its id.
pub fn add(
    connection: &Connection,
    organization: Option<&str>,
    url: &str,
    secret: &str,
    position: i64,
    now: i64,
) -> Result<String, StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO linkage_hook (id, organization, url, secret, created, position, due, attempts)
         VALUES (lower(hex(randomblob(12))), ?1, ?2, ?3, ?4, ?5, ?4, 0) RETURNING id",
    )?;
    Ok(insert.query_row(params![organization, url, secret, now, position], |row| row.get(0))?)
}

pub fn get(connection: &Connection, id: &str) -> Result<Option<Hook>, StoreError> {
    connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], read).optional()?.transpose()
}

/// Webhooks by number; `organization`: only of this one.
pub fn list(
    connection: &Connection,
    organization: Option<&str>,
    after: i64,
    limit: usize,
) -> Result<Vec<Hook>, StoreError> {
    let sql = format!("{SELECT} WHERE number > ?1 AND (?2 IS NULL OR organization = ?2) ORDER BY number LIMIT ?3");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map((after, organization, i64::try_from(limit).unwrap_or(i64::MAX)), read)?;
    rows.map(|row| row?).collect()
}

/// Those that revisions wait for at `now`, the one that has waited longest first. Who is due later than anybody waits is due
/// by a clock that was set back since.
pub fn due(connection: &Connection, now: i64) -> Result<Vec<Hook>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE disabled IS NULL AND (due <= ?1 OR due > ?1 + {LONGEST_MS}) AND position < ?2 ORDER BY due"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map((now, linkage::last(connection)?), read)?;
    rows.map(|row| row?).collect()
}

/// Deletes a webhook with its log.
pub fn delete(connection: &Connection, number: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM linkage_hook WHERE number = ?1")?.execute([number])?;
    Ok(())
}

/// Gives a hook a new secret; the one it had signs too for a while.
pub fn rotate(connection: &Connection, number: i64, secret: &str, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE linkage_hook SET former = secret, former_until = ?3, secret = ?2 WHERE number = ?1")?
        .execute((number, secret, now + OVERLAP_MS))?;
    Ok(())
}

/// Has a hook told again what follows the revision `position`, at once and even if it was disabled.
pub fn replay(connection: &Connection, number: i64, position: i64, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE linkage_hook SET position = ?2, due = ?3, attempts = 0, failing = NULL, disabled = NULL
             WHERE number = ?1",
        )?
        .execute((number, position, now))?;
    Ok(())
}

/// Notes that a hook took `revision`. `false`: it was put elsewhere meanwhile, and is to be read again.
pub fn taken(connection: &Connection, hook: &Hook, revision: i64, now: i64) -> Result<bool, StoreError> {
    let moved = connection
        .prepare_cached(
            "UPDATE linkage_hook SET position = ?3, attempts = 0, failing = NULL, attempted = ?4, succeeded = ?4,
                 status = 'ok', due = ?4 WHERE number = ?1 AND position = ?2",
        )?
        .execute((hook.number, hook.position, revision, now))?;
    if moved > 0 {
        log(connection, hook, revision, "ok", true, now)?;
    }
    Ok(moved > 0)
}

/// Notes that a hook is not to be told of anything up to `revision`.
pub fn skip(connection: &Connection, hook: &Hook, revision: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE linkage_hook SET position = ?3 WHERE number = ?1 AND position = ?2")?
        .execute((hook.number, hook.position, revision))?;
    Ok(())
}

/// Notes that a hook did not take `revision`, and why. `disabled`: nothing is sent to it any more, before it is asked for;
/// otherwise it is tried again from `due` on.
pub fn failed(
    connection: &Connection,
    hook: &Hook,
    revision: i64,
    status: &str,
    due: i64,
    disabled: Option<Disabled>,
    now: i64,
) -> Result<(), StoreError> {
    let noted = connection
        .prepare_cached(
            "UPDATE linkage_hook SET due = ?3, attempts = attempts + 1, failing = coalesce(failing, ?4), attempted = ?4,
                 status = ?5, disabled = ?6 WHERE number = ?1 AND position = ?2",
        )?
        .execute((hook.number, hook.position, due, now, status, disabled.map(Disabled::as_str)))?;
    if noted > 0 {
        log(connection, hook, revision, status, false, now)?;
    }
    Ok(())
}

fn log(
    connection: &Connection,
    hook: &Hook,
    revision: i64,
    status: &str,
    taken: bool,
    now: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO linkage_delivery (hook, revision, at, status, taken) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((hook.number, revision, now, status, taken))?;
    Ok(())
}

/// An attempt to tell a hook of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub number: i64,
    pub revision: i64,
    pub at: i64,
    pub status: String,
    pub taken: bool,
}

/// The first `limit` attempts before the one numbered `before`, the latest first.
pub fn deliveries(connection: &Connection, hook: i64, before: i64, limit: usize) -> Result<Vec<Delivery>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT number, revision, at, status, taken FROM linkage_delivery WHERE hook = ?1 AND number < ?2
         ORDER BY number DESC LIMIT ?3",
    )?;
    let rows = select.query_map((hook, before, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
        let (number, revision, at) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Delivery { number, revision, at, status: row.get(3)?, taken: row.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets attempts of long ago.
pub fn forget(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM linkage_delivery WHERE at < ?1")?.execute([now - LOG_KEPT_MS])?;
    Ok(())
}
