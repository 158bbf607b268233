//! Requests that may come twice: a client that got no answer repeats its request under the same key, and gets the answer
//! to the first.

use super::StoreError;
use super::sql::{Connection, OptionalExtension};

/// How long a key is remembered, in milliseconds.
const REMEMBERED_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A keyed hash of what was asked.
pub type Fingerprint = [u8; 16];

/// A request's name: the token that sent it, and a keyed hash of the key that the client gave it.
pub type Name<'a> = (&'a str, Fingerprint);

/// What was asked under this name before, and the row of the ledger that came of it, if one did.
pub fn find(connection: &Connection, (token, key): Name<'_>) -> Result<Option<(Fingerprint, Option<i64>)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT fingerprint, row FROM idempotency WHERE token = ?1 AND key = ?2")?;
    Ok(select.query_row((token, key), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

pub fn remember(
    connection: &Connection,
    (token, key): Name<'_>,
    fingerprint: &Fingerprint,
    row: Option<i64>,
    now: i64,
) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        token,
        key,
        fingerprint,
        row,
        now,
    ))?;
    Ok(())
}

pub fn forget(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM idempotency WHERE stored < ?1")?.execute([now - REMEMBERED_MS])?;
    Ok(())
}
