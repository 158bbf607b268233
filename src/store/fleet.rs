//! The devices as they stand: online or not, how far their events have come, what is missing.

use std::collections::{HashMap, HashSet};

use super::StoreError;
use super::sql::{Connection, OptionalExtension};
use crate::domain::registry::Device;

/// What is known of a device beyond its registration.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub online: bool,
    /// Since when it is online or not; `None`: it never said.
    pub since: Option<i64>,
    pub boot: Option<u32>,
    pub firmware: Option<String>,
    pub config: Option<u32>,
    /// When something of it came last.
    pub received: Option<i64>,
    pub conflicts: i64,
    /// Gaps in the sequences of its present incarnation, newest boot first.
    pub gaps: Vec<Range>,
    /// How many events are missing in all.
    pub missing: i64,
    /// What it declared lost.
    pub lost: Vec<Range>,
    pub quarantined: i64,
    pub quarantine_overflow: i64,
}

/// Seqs of one boot, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Range {
    pub boot: u32,
    pub from: i64,
    pub to: i64,
}

/// Ranges listed for a device; the totals speak of all.
const MAX_RANGES: u32 = 100;

pub fn status(connection: &Connection, device: &Device) -> Result<Status, StoreError> {
    let mut status = Status::default();
    let mut select = connection
        .prepare_cached("SELECT online, since, boot, firmware, config FROM device_state WHERE device = ?1")?;
    let mut rows = select.query([device.key])?;
    if let Some(row) = rows.next()? {
        status.online = row.get(0)?;
        status.since = Some(row.get(1)?);
        status.boot = Some(row.get(2)?);
        status.firmware = row.get(3)?;
        status.config = row.get(4)?;
    }
    let mut select = connection.prepare_cached(
        "SELECT max(received), coalesce(sum(conflicts), 0), max(boot) FROM boot WHERE device = ?1 AND incarnation = ?2",
    )?;
    let (received, conflicts, boot): (Option<i64>, i64, Option<u32>) =
        select.query_row((&device.id, device.incarnation), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    status.received = received;
    status.conflicts = conflicts;
    status.boot = status.boot.max(boot);
    status.gaps = ranges(connection, device, "gap")?;
    status.lost = ranges(connection, device, "lost")?;
    let mut select = connection.prepare_cached(
        "SELECT coalesce(sum(g.last - g.first + 1), 0) FROM gap g JOIN boot b ON b.id = g.boot
         WHERE b.device = ?1 AND b.incarnation = ?2",
    )?;
    status.missing = select.query_row((&device.id, device.incarnation), |row| row.get(0))?;
    let mut select = connection.prepare_cached("SELECT coalesce(sum(count), 0) FROM quarantine WHERE device = ?1")?;
    status.quarantined = select.query_row([&device.id], |row| row.get(0))?;
    let mut select = connection.prepare_cached("SELECT count FROM quarantine_overflow WHERE device = ?1")?;
    status.quarantine_overflow = select.query_row([&device.id], |row| row.get(0)).optional()?.unwrap_or(0);
    Ok(status)
}

fn ranges(connection: &Connection, device: &Device, table: &str) -> Result<Vec<Range>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT b.boot, r.first, r.last FROM {table} r JOIN boot b ON b.id = r.boot
         WHERE b.device = ?1 AND b.incarnation = ?2 ORDER BY b.boot DESC, r.first LIMIT {MAX_RANGES}"
    ))?;
    let ranges = select.query_map((&device.id, device.incarnation), |row| {
        Ok(Range { boot: row.get(0)?, from: row.get(1)?, to: row.get(2)? })
    })?;
    Ok(ranges.collect::<Result<_, _>>()?)
}

/// The devices (their keys) that are online.
pub fn present(connection: &Connection) -> Result<HashSet<i64>, StoreError> {
    let mut select = connection.prepare_cached("SELECT device FROM device_state WHERE online = 1")?;
    let present = select.query_map([], |row| row.get(0))?;
    Ok(present.collect::<Result<_, _>>()?)
}

/// The devices, by id and incarnation, of which events are missing.
pub fn incomplete(connection: &Connection) -> Result<HashSet<(String, u32)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT DISTINCT b.device, b.incarnation FROM gap g JOIN boot b ON b.id = g.boot")?;
    let incomplete = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(incomplete.collect::<Result<_, _>>()?)
}

/// How many devices of each kind are online, for the metrics.
pub fn online(connection: &Connection) -> Result<HashMap<String, i64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT d.kind, count(*) FROM device_state s JOIN device d ON d.key = s.device WHERE s.online = 1 GROUP BY d.kind",
    )?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
