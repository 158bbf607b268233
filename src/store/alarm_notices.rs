//! What is to be told of alarms: written with the change that it tells of, so that a restart forgets nothing, and kept
//! until it was delivered or given up.

use super::StoreError;
use super::alarms::Alarm;
use super::sql::{Connection, params};
use crate::domain::alarms::Severity;
use crate::domain::notices::{Change, TRIED_MS};

/// How long what was delivered is kept, in milliseconds.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// A notice that waits.
#[derive(Clone, Debug)]
pub struct Notice {
    pub number: i64,
    /// What the receiver knows it by.
    pub id: String,
    pub change: Change,
    /// The key of the site.
    pub site: i64,
    /// JSON: the alarm as it was then.
    pub document: String,
}

fn document(alarm: &Alarm) -> Result<String, StoreError> {
    serde_json::to_string(&alarm.view()).map_err(|_| StoreError::Corrupt("an alarm cannot be written"))
}

/// Tells everybody who is to know that an alarm was raised at `site` (its key).
pub fn raised(connection: &Connection, alarm: &Alarm, site: i64) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO alarm_notice (id, hook, alarm, event, severity, site, document)
         SELECT lower(hex(randomblob(16))), h.number, ?1, ?2, ?3, ?4, ?5
         FROM alarm_hook h, site s JOIN community c ON c.id = s.community
         WHERE s.key = ?4 AND h.severity <= ?3
             AND (h.site IS NULL OR h.site = s.id) AND (h.community IS NULL OR h.community = c.id)
             AND (h.organization IS NULL OR h.organization = c.committee
                  OR EXISTS (SELECT 1 FROM project p WHERE p.community = c.id AND p.organization = h.organization))",
    )?;
    let severity = alarm.kind.severity().rank();
    insert.execute((alarm.id, Change::Raised.as_str(), severity, site, document(alarm)?))?;
    Ok(())
}

/// Tells whoever was told that an alarm was raised that it is over.
pub fn cleared(connection: &Connection, alarm: &Alarm) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO alarm_notice (id, hook, alarm, event, severity, site, document)
         SELECT lower(hex(randomblob(16))), hook, alarm, ?2, severity, site, ?4
         FROM alarm_notice WHERE alarm = ?1 AND event = ?3",
    )?;
    insert.execute((alarm.id, Change::Cleared.as_str(), Change::Raised.as_str(), document(alarm)?))?;
    Ok(())
}

/// The first `limit` notices that wait for a hook, in their order. Where it is quiet (the keys of these sites), only those
/// that are critical.
pub fn waiting(connection: &Connection, hook: i64, quiet: &[i64], limit: usize) -> Result<Vec<Notice>, StoreError> {
    let quiet = serde_json::Value::from(quiet).to_string();
    let mut select = connection.prepare_cached(
        "SELECT number, id, event, site, document FROM alarm_notice
         WHERE hook = ?1 AND done IS NULL AND (severity >= ?2 OR site NOT IN (SELECT CAST(value AS bigint) FROM json_each(?3)))
         ORDER BY number LIMIT ?4",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map((hook, Severity::Critical.rank(), quiet, limit), |row| {
        let event: String = row.get(2)?;
        let (number, id, site, document) = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        Ok(Change::parse(&event).map(|change| Notice { number, id, change, site, document }))
    })?;
    rows.map(|row| row?.ok_or(StoreError::Corrupt("a notice tells of an unknown change"))).collect()
}

/// Notes that these were delivered, and that the hook is not to be told more before `due`.
pub fn delivered(connection: &Connection, hook: i64, notices: &[i64], due: i64, now: i64) -> Result<(), StoreError> {
    for notice in notices {
        connection.prepare_cached("UPDATE alarm_notice SET done = ?2 WHERE number = ?1")?.execute((notice, now))?;
    }
    connection
        .prepare_cached(
            "UPDATE alarm_hook SET due = ?2, attempts = 0, attempted = ?3, status = 'ok', succeeded = ?3
             WHERE number = ?1",
        )?
        .execute((hook, due, now))?;
    // Whoever is reached again has as much time as ever for what is left.
    connection
        .prepare_cached("UPDATE alarm_notice SET failing = NULL WHERE hook = ?1 AND done IS NULL")?
        .execute([hook])?;
    Ok(())
}

/// Notes that the hook could not be told, and why; what it has waited for too long is given up. How many these are.
pub fn failed(connection: &Connection, hook: i64, status: &str, due: i64, now: i64) -> Result<usize, StoreError> {
    connection
        .prepare_cached(
            "UPDATE alarm_hook SET due = ?2, attempts = attempts + 1, attempted = ?3, status = ?4 WHERE number = ?1",
        )?
        .execute((hook, due, now, status))?;
    connection
        .prepare_cached("UPDATE alarm_notice SET failing = ?2 WHERE hook = ?1 AND done IS NULL AND failing IS NULL")?
        .execute((hook, now))?;
    let given_up = connection
        .prepare_cached(
            "UPDATE alarm_notice SET done = ?2, given_up = 1 WHERE hook = ?1 AND done IS NULL AND failing + ?3 <= ?2",
        )?
        .execute(params![hook, now, TRIED_MS])?;
    Ok(given_up)
}

/// How many wait.
pub fn count(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT count(*) FROM alarm_notice WHERE done IS NULL")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// Forgets what is done with, once nothing more can be told of its alarm.
pub fn forget(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM alarm_notice WHERE done < ?1
             AND NOT EXISTS (SELECT 1 FROM alarm a WHERE a.id = alarm_notice.alarm AND a.settled IS NULL)",
        )?
        .execute([now - KEPT_MS])?;
    Ok(())
}
