//! The audit log: who read or changed what concerns single households, or what others rely on.

use super::StoreError;
use super::sql::Connection;

pub fn note(connection: &Connection, at: i64, who: &str, action: &str, subject: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO audit (at, who, action, subject) VALUES (?1, ?2, ?3, ?4)")?
        .execute((at, who, action, subject))?;
    Ok(())
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    pub at: i64,
    pub who: String,
    pub action: String,
    pub subject: String,
}

/// Which lines are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only of these; `None`: of everybody.
    pub by: Option<Vec<String>>,
    /// Only of whoever is called so.
    pub who: Option<String>,
    /// Only of actions that begin so.
    pub action: Option<String>,
    /// Only before this line; `None`: from the newest.
    pub before: Option<i64>,
}

/// The newest lines first, at most `limit`.
pub fn list(connection: &Connection, wanted: &Wanted, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, at, who, action, subject FROM audit
         WHERE id < coalesce(?1, 9223372036854775807)
           AND (?2 IS NULL OR who IN (SELECT value FROM json_each(?2)))
           AND (?3 IS NULL OR who = ?3)
           AND (?4 IS NULL OR substr(action, 1, length(?4)) = ?4)
         ORDER BY id DESC LIMIT ?5",
    )?;
    let by = wanted.by.as_ref().map(|by| serde_json::json!(by).to_string());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let entries = select.query_map((wanted.before, by, &wanted.who, &wanted.action, limit), |row| {
        Ok(Entry { id: row.get(0)?, at: row.get(1)?, who: row.get(2)?, action: row.get(3)?, subject: row.get(4)? })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}
