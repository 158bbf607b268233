//! How often devices are used to be heard.

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::decode::MAX_AHEAD_MS;
use crate::domain::habit::{self, Habit};

/// Learns from a heartbeat of `device` (its key) at `time`.
pub fn heard(connection: &Connection, device: i64, time: i64) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached("SELECT latest, pauses, pause FROM habit WHERE device = ?1")?;
    let known = select.query_row([device], |row| read(row, 0)).optional()?.flatten();
    let habit = known.map_or_else(|| Habit::begin(time), |habit| habit.heard(time));
    connection
        .prepare_cached(
            "INSERT INTO habit VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device) DO UPDATE SET latest = excluded.latest, pauses = excluded.pauses, pause = excluded.pause",
        )?
        .execute((device, habit.latest, habit.pauses, habit.pause))?;
    Ok(())
}

/// What was learnt of the device whose hardware was replaced says nothing of the new one.
pub fn forget(connection: &Connection, device: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM habit WHERE device = ?1")?.execute([device])?;
    Ok(())
}

fn read(row: &Row<'_>, first: usize) -> super::sql::Result<Option<Habit>> {
    let latest: Option<i64> = row.get(first)?;
    latest.map(|latest| Ok(Habit { latest, pauses: row.get(first + 1)?, pause: row.get(first + 2)? })).transpose()
}

/// A device that has been silent for longer than it may be.
#[derive(Clone, Debug)]
pub struct Silent {
    /// The device's key.
    pub device: i64,
    /// Since when.
    pub since: i64,
    /// How long it may be silent.
    pub patience: i64,
}

/// Since when a device is silent. An instant ahead of a clock that was set back says nothing: it counts as silent for ever,
/// and whoever misses it waits as long as if it had begun to listen when the clock was set.
fn known(since: i64, now: i64) -> i64 {
    if since > now + MAX_AHEAD_MS { 0 } else { since }
}

/// Devices that are away longer than they may be: `absence` since their last will, or without a word for longer than
/// their habit.
pub fn silent(connection: &Connection, absence: i64, now: i64) -> Result<Vec<Silent>, StoreError> {
    let mut away = connection
        .prepare_cached("SELECT device, since FROM device_state WHERE online = 0 AND (since <= ?1 OR since > ?2)")?;
    let away = away.query_map((now - absence, now + MAX_AHEAD_MS), |row| {
        Ok(Silent { device: row.get(0)?, since: known(row.get(1)?, now), patience: absence })
    })?;
    let mut silent = away.collect::<Result<Vec<_>, _>>()?;
    let mut heard = connection.prepare_cached(
        "SELECT d.key, max(b.received), h.latest, h.pauses, h.pause
         FROM device d JOIN boot b ON b.device = d.id AND b.incarnation = d.incarnation
         LEFT JOIN habit h ON h.device = d.key GROUP BY d.key, h.latest, h.pauses, h.pause",
    )?;
    let mut rows = heard.query([])?;
    while let Some(row) = rows.next()? {
        let (device, since): (i64, i64) = (row.get(0)?, known(row.get(1)?, now));
        let patience = habit::patience(read(&row, 2)?);
        if since <= now - patience {
            silent.push(Silent { device, since, patience });
        }
    }
    Ok(silent)
}
