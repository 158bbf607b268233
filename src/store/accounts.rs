//! People's accounts, and the attempts to sign in that failed.

use std::collections::BTreeSet;

use super::StoreError;
use super::sql::{Connection, OptionalExtension};
use super::tokens::{roles_of, stored_roles};
use crate::domain::account::{Failures, LOCKED_MS};
use crate::domain::registry::Role;

/// An account as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: i64,
    pub name: String,
    /// `None`: it sees all organizations.
    pub organization: Option<String>,
    pub roles: BTreeSet<Role>,
    pub created: i64,
    /// Since when it opens nothing.
    pub disabled: Option<i64>,
}

/// `false`: the name is taken.
pub fn add(
    connection: &Connection,
    name: &str,
    password: &str,
    organization: Option<&str>,
    roles: &BTreeSet<Role>,
    now: i64,
) -> Result<bool, StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO account (name, password, organization, roles, created) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO NOTHING",
    )?;
    Ok(insert.execute((name, password, organization, stored_roles(roles), now))? > 0)
}

pub fn list(connection: &Connection) -> Result<Vec<Account>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT id, name, organization, roles, created, disabled FROM account ORDER BY name")?;
    let accounts = select.query_map([], |row| {
        let roles: String = row.get(3)?;
        Ok(Account {
            id: row.get(0)?,
            name: row.get(1)?,
            organization: row.get(2)?,
            roles: roles_of(&roles),
            created: row.get(4)?,
            disabled: row.get(5)?,
        })
    })?;
    Ok(accounts.collect::<Result<_, _>>()?)
}

/// The account that may sign in under a name, and the hash of its password.
pub fn find(connection: &Connection, name: &str) -> Result<Option<(i64, String)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT id, password FROM account WHERE name = ?1 AND disabled IS NULL")?;
    Ok(select.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Gives an account a new password, whose hash this is, and signs it out everywhere. `false`: there is none of the name.
pub fn set_password(connection: &Connection, name: &str, password: &str) -> Result<bool, StoreError> {
    let mut update = connection.prepare_cached("UPDATE account SET password = ?2 WHERE name = ?1")?;
    let found = update.execute((name, password))? > 0;
    end_sessions(connection, name)?;
    Ok(found)
}

/// Lets an account sign in again, or no longer, and signs it out everywhere. `false`: there is none of the name.
pub fn set_disabled(connection: &Connection, name: &str, disabled: Option<i64>) -> Result<bool, StoreError> {
    let mut update = connection.prepare_cached("UPDATE account SET disabled = ?2 WHERE name = ?1")?;
    let found = update.execute((name, disabled))? > 0;
    end_sessions(connection, name)?;
    Ok(found)
}

/// Signs an account out everywhere.
pub fn end_sessions(connection: &Connection, name: &str) -> Result<(), StoreError> {
    let delete = "DELETE FROM session WHERE account = (SELECT id FROM account WHERE name = ?1)";
    connection.prepare_cached(delete)?.execute([name])?;
    Ok(())
}

/// What failed under a name, known by its keyed hash.
pub fn failures(connection: &Connection, name: &[u8; 16]) -> Result<Failures, StoreError> {
    let mut select = connection.prepare_cached("SELECT count, last FROM sign_in_failure WHERE name = ?1")?;
    let found = select.query_row([name], |row| Ok(Failures { count: row.get(0)?, last: row.get(1)? })).optional()?;
    Ok(found.unwrap_or_default())
}

/// Notes that one more attempt failed, and forgets those that lock nothing any more.
pub fn failed(connection: &Connection, name: &[u8; 16], now: i64) -> Result<(), StoreError> {
    let failures = failures(connection, name)?.another(now);
    connection
        .prepare_cached(
            "INSERT INTO sign_in_failure VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET count = excluded.count, last = excluded.last",
        )?
        .execute((name, failures.count, failures.last))?;
    connection.prepare_cached("DELETE FROM sign_in_failure WHERE last < ?1")?.execute([now - LOCKED_MS])?;
    Ok(())
}

/// Forgets the failures of a name: somebody knew the password.
pub fn succeeded(connection: &Connection, name: &[u8; 16]) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM sign_in_failure WHERE name = ?1")?.execute([name])?;
    Ok(())
}
