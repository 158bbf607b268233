//! Devices whose clock is in doubt, written in the transaction of the events that say so. A good clock costs nothing here:
//! it has no row.

use std::collections::{BTreeSet, HashMap};

use super::StoreError;
use super::sql::Connection;
use crate::domain::clock_doubt::{Doubt, Stamp};

/// The doubts that no sane event has ended.
#[derive(Debug, Default)]
pub struct ClockDoubts {
    /// By the device's key; absent until they are read.
    doubts: Option<HashMap<i64, Doubt>>,
    touched: BTreeSet<i64>,
}

impl ClockDoubts {
    /// Takes in how an event of `device` was stamped.
    pub fn hear(
        &mut self,
        connection: &Connection,
        device: i64,
        stamp: Stamp,
        received: i64,
    ) -> Result<(), StoreError> {
        let doubts = match &mut self.doubts {
            Some(doubts) => doubts,
            absent => absent.insert(in_doubt(connection)?),
        };
        if stamp.is_doubtful() || doubts.contains_key(&device) {
            doubts.entry(device).or_default().hear(stamp, received);
            self.touched.insert(device);
        }
        Ok(())
    }

    /// Writes what changed since the last flush.
    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(doubts) = &mut self.doubts else { return Ok(()) };
        let upsert = "INSERT INTO clock_doubt VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (device) DO UPDATE SET off = excluded.off, unsynced = excluded.unsynced,
                 behind = excluded.behind, beats = excluded.beats, sane = excluded.sane";
        let touched = std::mem::take(&mut self.touched);
        let written = touched.into_iter().filter_map(|device| {
            let doubt = *doubts.get(&device)?;
            if doubt.sane.is_some() {
                doubts.remove(&device);
            }
            Some((device, doubt.off, doubt.unsynced, doubt.behind, doubt.beats, doubt.sane))
        });
        connection.execute_each(upsert, written)?;
        Ok(())
    }
}

fn in_doubt(connection: &Connection) -> Result<HashMap<i64, Doubt>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT device, off, unsynced, behind, beats FROM clock_doubt WHERE sane IS NULL")?;
    let rows = select.query_map([], |row| {
        let doubt =
            Doubt { off: row.get(1)?, unsynced: row.get(2)?, behind: row.get(3)?, beats: row.get(4)?, sane: None };
        Ok((row.get(0)?, doubt))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A clock that was found to be off.
#[derive(Clone, Copy, Debug)]
pub struct Off {
    /// The device's key.
    pub device: i64,
    /// When that was seen last.
    pub at: i64,
    /// When a sane event ended it.
    pub sane: Option<i64>,
}

pub fn off(connection: &Connection) -> Result<Vec<Off>, StoreError> {
    let mut select = connection.prepare_cached("SELECT device, off, sane FROM clock_doubt WHERE off IS NOT NULL")?;
    let rows = select.query_map([], |row| Ok(Off { device: row.get(0)?, at: row.get(1)?, sane: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets doubts that are over. To be called once [`off`] was seen to.
pub fn forget(connection: &Connection) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM clock_doubt WHERE sane IS NOT NULL")?.execute([])?;
    Ok(())
}
