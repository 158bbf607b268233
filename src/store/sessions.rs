//! Who is signed in: a session is a token that ends, held by a browser for an account.

use super::StoreError;
use super::sql::{Connection, OptionalExtension};
use super::tokens::{Caller, digest, random, roles_of};

/// How long somebody stays signed in, in milliseconds: a volunteer's round of a week.
pub const LASTS_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Begins a session; the text is for the browser alone.
pub fn begin(connection: &Connection, account: i64, now: i64) -> Result<String, StoreError> {
    let text = random()?;
    let insert = "INSERT INTO session (hash, account, begun, expires) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(insert)?.execute((digest(&text), account, now, now + LASTS_MS))?;
    connection.prepare_cached("DELETE FROM session WHERE expires <= ?1")?.execute([now])?;
    Ok(text)
}

/// Who a session stands for, unless it is unknown or over, or its account may sign in no longer.
pub fn caller(connection: &Connection, text: &str, now: i64) -> Result<Option<Caller>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT a.name, a.organization, a.roles FROM session s JOIN account a ON a.id = s.account
         WHERE s.hash = ?1 AND s.expires > ?2 AND a.disabled IS NULL",
    )?;
    let caller = select.query_row((digest(text), now), |row| {
        let (name, roles): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(Caller { who: format!("account:{name}"), organization: row.get(1)?, roles: roles_of(&roles) })
    });
    Ok(caller.optional()?)
}

/// When the sessions of an account that last at this instant were begun, the newest first.
pub fn begun(connection: &Connection, account: &str, now: i64) -> Result<Vec<i64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT s.begun FROM session s JOIN account a ON a.id = s.account WHERE a.name = ?1 AND s.expires > ?2
         ORDER BY s.begun DESC",
    )?;
    let begun = select.query_map((account, now), |row| row.get(0))?;
    Ok(begun.collect::<Result<_, _>>()?)
}

pub fn end(connection: &Connection, text: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM session WHERE hash = ?1")?.execute([digest(text)])?;
    Ok(())
}
