//! The audit log: who read or changed what concerns single households, or what others rely on.

use rusqlite::Connection;

use super::StoreError;

pub fn note(connection: &Connection, at: i64, who: &str, action: &str, subject: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO audit (at, who, action, subject) VALUES (?1, ?2, ?3, ?4)")?
        .execute((at, who, action, subject))?;
    Ok(())
}
