//! How far each job that follows the ledger has read it: kept with what the job wrote, in one transaction, so that each
//! event has its effect once.

use super::StoreError;
use super::sql::{Connection, OptionalExtension};

/// The last row of the ledger that the job has seen; 0 before its first.
pub fn position(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT row FROM follower WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
}

pub fn advance(connection: &Connection, name: &str, row: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO follower VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET row = excluded.row")?
        .execute((name, row))?;
    Ok(())
}
