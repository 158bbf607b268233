//! Bearer tokens: 256 random bits, of which the store keeps a digest.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::StoreError;
use super::sql::{Connection, OptionalExtension};
use crate::domain::registry::Role;

/// Who asks, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As the audit log names it: a token's id, never the token, or `account:` and a name.
    pub who: String,
    /// `None`: all organizations.
    pub organization: Option<String>,
    pub roles: BTreeSet<Role>,
}

/// A token as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    pub organization: Option<String>,
    pub roles: String,
    pub created: i64,
    pub revoked: Option<i64>,
}

/// Makes a token; the text is told once and never again.
pub fn add(
    connection: &Connection,
    organization: Option<&str>,
    roles: &BTreeSet<Role>,
    now: i64,
) -> Result<String, StoreError> {
    let text = format!("fenlei_{}", random()?);
    let hash = digest(&text);
    let id: String = hash[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    connection.prepare_cached("INSERT INTO token VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?.execute((
        id,
        hash,
        organization,
        stored_roles(roles),
        now,
    ))?;
    Ok(text)
}

/// The caller that a token stands for, unless it is unknown or revoked.
pub fn caller(connection: &Connection, text: &str) -> Result<Option<Caller>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT id, organization, roles FROM token WHERE hash = ?1 AND revoked IS NULL")?;
    let caller = select.query_row([digest(text)], |row| {
        let roles: String = row.get(2)?;
        Ok(Caller { who: row.get(0)?, organization: row.get(1)?, roles: roles_of(&roles) })
    });
    Ok(caller.optional()?)
}

pub fn list(connection: &Connection) -> Result<Vec<Listed>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT id, organization, roles, created, revoked FROM token ORDER BY created, id")?;
    let tokens = select.query_map([], |row| {
        Ok(Listed {
            id: row.get(0)?,
            organization: row.get(1)?,
            roles: row.get(2)?,
            created: row.get(3)?,
            revoked: row.get(4)?,
        })
    })?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// `false`: there is no such token, or it is revoked already.
pub fn revoke(connection: &Connection, id: &str, now: i64) -> Result<bool, StoreError> {
    let mut update = connection.prepare_cached("UPDATE token SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL")?;
    Ok(update.execute((id, now))? > 0)
}

/// 256 random bits, as a token or a session is made of.
pub(super) fn random() -> Result<String, StoreError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// What the store keeps of random bits: there is nothing to guess, so nothing to slow down.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

pub(super) fn stored_roles(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}

pub(super) fn roles_of(stored: &str) -> BTreeSet<Role> {
    stored.split_whitespace().filter_map(Role::parse).collect()
}
