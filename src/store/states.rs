//! What devices say of themselves, and the spans in which they were online.

use std::collections::HashMap;

use super::StoreError;
use super::sql::{Connection, OptionalExtension};
use crate::domain::inbound::StateMessage;
use crate::domain::registry::Device;

/// Takes a state in. One of an older boot is a will or a retained message come late: it changes nothing. Nor does a will
/// where no birth is known: it is that of hardware replaced since, whose boots may be the higher ones.
pub fn record(connection: &Connection, device: &Device, state: &StateMessage, received: i64) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached("SELECT online, boot FROM device_state WHERE device = ?1")?;
    let known: Option<(bool, u32)> = select.query_row([device.key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let was_online = known.is_some_and(|(online, _)| online);
    if known.map_or(!state.online, |(_, boot)| state.boot < boot) {
        return Ok(());
    }
    let same_session = known == Some((state.online, state.boot));
    if was_online && !same_session {
        close(connection, device.key, received)?;
    }
    if state.online && !same_session {
        let mut open = connection.prepare_cached(
            "INSERT INTO online VALUES (?1, ?2, NULL) ON CONFLICT (device, since) DO UPDATE SET until = NULL",
        )?;
        open.execute((device.key, received))?;
    }
    // A will says nothing of firmware and config: what the birth said stays.
    connection
        .prepare_cached(
            "INSERT INTO device_state VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (device) DO UPDATE SET online = excluded.online, boot = excluded.boot,
                 firmware = coalesce(excluded.firmware, device_state.firmware),
                 config = coalesce(excluded.config, device_state.config),
                 since = CASE WHEN device_state.online = excluded.online AND device_state.boot = excluded.boot
                     THEN device_state.since ELSE excluded.since END",
        )?
        .execute((device.key, state.online, state.boot, &state.firmware, state.config, received))?;
    Ok(())
}

/// A device with new hardware: what the old one said of itself no longer holds.
pub fn forget(connection: &Connection, device: i64, now: i64) -> Result<(), StoreError> {
    close(connection, device, now)?;
    connection.prepare_cached("DELETE FROM device_state WHERE device = ?1")?.execute([device])?;
    Ok(())
}

fn close(connection: &Connection, device: i64, at: i64) -> Result<(), StoreError> {
    let mut close =
        connection.prepare_cached("UPDATE online SET until = max(since, ?2) WHERE device = ?1 AND until IS NULL")?;
    close.execute((device, at))?;
    Ok(())
}

/// Which devices said that they are online or not, and since when, by their keys.
pub fn all(connection: &Connection) -> Result<HashMap<i64, (bool, i64)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT device, online, since FROM device_state")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that the backend runs: how long its last word about who is online can be trusted.
pub fn alive(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO meta VALUES ('alive', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute([now.to_string()])?;
    Ok(())
}

/// After another backend has taken care of the states: what it knew holds, unless that was too long ago.
pub fn resume(connection: &Connection, now: i64, trusted_ms: i64) -> Result<(), StoreError> {
    let last = last_alive(connection)?;
    if last.is_some_and(|last| now - last <= trusted_ms) {
        return alive(connection, now);
    }
    begin(connection, now).map(drop)
}

fn last_alive(connection: &Connection) -> Result<Option<i64>, StoreError> {
    let noted: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'alive'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(noted.and_then(|noted| noted.parse().ok()))
}

/// After a start: nobody is known to be online, and who was may be counted up to when we last looked. How far the clock is
/// behind what it was then, in milliseconds.
pub fn begin(connection: &Connection, now: i64) -> Result<i64, StoreError> {
    let noted = last_alive(connection)?.unwrap_or(now);
    let last = noted.min(now);
    connection.prepare_cached("UPDATE online SET until = max(since, ?1) WHERE until IS NULL")?.execute([last])?;
    connection.prepare_cached("UPDATE device_state SET online = 0, since = ?1 WHERE online = 1")?.execute([last])?;
    self::alive(connection, now)?;
    Ok(noted - last)
}
