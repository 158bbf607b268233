//! What each device was last told to keep to, and under which version.

use super::StoreError;
use super::sql::{Connection, OptionalExtension};

/// What is retained for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its key.
    pub device: i64,
    pub topic: String,
    pub version: u32,
    /// JSON, with its version.
    pub document: String,
}

pub fn all(connection: &Connection) -> Result<Vec<Told>, StoreError> {
    let mut select = connection.prepare_cached("SELECT device, topic, version, document FROM device_config")?;
    let told = select.query_map([], |row| {
        Ok(Told { device: row.get(0)?, topic: row.get(1)?, version: row.get(2)?, document: row.get(3)? })
    })?;
    Ok(told.collect::<Result<_, _>>()?)
}

/// The version that a device was last told; `None`: nothing yet.
pub fn version(connection: &Connection, device: i64) -> Result<Option<u32>, StoreError> {
    let mut select = connection.prepare_cached("SELECT version FROM device_config WHERE device = ?1")?;
    Ok(select.query_row([device], |row| row.get(0)).optional()?)
}

/// The revision of the registry of which all configs have been made.
pub fn revision(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE name = 'configs'")?;
    let revision: Option<String> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(revision.and_then(|revision| revision.parse().ok()).unwrap_or(0))
}

pub fn set_revision(connection: &Connection, revision: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO meta VALUES ('configs', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute([revision.to_string()])?;
    Ok(())
}

pub fn put(connection: &Connection, told: &Told, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO device_config VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device) DO UPDATE SET topic = excluded.topic, version = excluded.version,
                 document = excluded.document, stored = excluded.stored",
        )?
        .execute((told.device, &told.topic, told.version, &told.document, now))?;
    Ok(())
}

pub fn remove(connection: &Connection, device: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM device_config WHERE device = ?1")?.execute([device])?;
    Ok(())
}
