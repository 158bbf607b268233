//! Causes of alarms that no event tells of: who has fallen silent, which gaps stay open, whose clock is off, what came
//! twice, what came outside the hours; and what is over by now.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta};

use super::alarms::{clear, note, open_of};
use super::sql::Connection;
use super::{StoreError, clock_doubts, habits};
use crate::domain::alarms::{Cause, Kind, PATIENCE_MS, SEEN_MS, of_off_hours};
use crate::domain::registry::Registry;
use crate::domain::zone::local;

/// Where a device is: the keys of its site and its own.
type Place = (i64, i64);

/// Looks at all of it as of `now`. `listening`: since when devices can be heard; absent: they cannot.
pub fn look(connection: &Connection, registry: &Registry, listening: Option<i64>, now: i64) -> Result<(), StoreError> {
    let devices = registry.devices.values();
    let sites: HashMap<_, _> =
        devices.filter_map(|device| Some((device.key, registry.sites.get(&device.site)?.key))).collect();
    // What is kept of devices that are no longer registered is passed over.
    let places = |devices: Vec<i64>| -> Vec<Place> {
        devices.into_iter().filter_map(|device| Some((*sites.get(&device)?, device))).collect()
    };
    silence(connection, places, listening, now)?;
    held(connection, Kind::Gap, places(gaps(connection, now)?), now)?;
    clocks(connection, places, now)?;
    conflicts(connection, places, now)?;
    off_hours(connection, registry, now)?;
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_seen_once()) {
        connection
            .prepare_cached(
                "UPDATE alarm SET gone = last + ?2 WHERE kind = ?1 AND cleared IS NULL AND gone IS NULL AND last + ?2 <= ?3",
            )?
            .execute((kind.as_str(), SEEN_MS, now))?;
    }
    clear(connection, now)
}

/// The cause holds at these devices, and at no other.
fn held(connection: &Connection, kind: Kind, held: Vec<Place>, now: i64) -> Result<(), StoreError> {
    for (site, device) in open_of(connection, kind)? {
        if !held.contains(&(site, device)) {
            note(connection, (site, Some(device)), Cause::Gone(kind), now)?;
        }
    }
    held.into_iter().try_for_each(|(site, device)| note(connection, (site, Some(device)), Cause::Holds(kind), now))
}

/// Whoever could not be heard, because nobody listened, is not missed before they had their time to be; who was missed
/// already still is.
fn silence(
    connection: &Connection,
    places: impl Fn(Vec<i64>) -> Vec<Place>,
    listening: Option<i64>,
    now: i64,
) -> Result<(), StoreError> {
    let missed: Vec<_> = open_of(connection, Kind::Silent)?.into_iter().map(|(_, device)| device).collect();
    let mut silent = habits::silent(connection, PATIENCE_MS, now)?;
    silent.retain(|silent| {
        let heard_all_the_time = || listening.is_some_and(|since| since.max(silent.since) <= now - silent.patience);
        missed.contains(&silent.device) || heard_all_the_time()
    });
    held(connection, Kind::Silent, places(silent.iter().map(|silent| silent.device).collect()), now)
}

fn gaps(connection: &Connection, now: i64) -> Result<Vec<i64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT d.key FROM gap g JOIN boot b ON b.id = g.boot
         JOIN device d ON d.id = b.device AND d.incarnation = b.incarnation WHERE g.since <= ?1",
    )?;
    let devices = select.query_map([now - PATIENCE_MS], |row| row.get(0))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

fn clocks(connection: &Connection, places: impl Fn(Vec<i64>) -> Vec<Place>, now: i64) -> Result<(), StoreError> {
    let off = clock_doubts::off(connection)?;
    // One that was off and is right again before anybody looked was off all the same.
    for doubt in &off {
        for (site, device) in places(vec![doubt.device]) {
            if let Some(sane) = doubt.sane {
                note(connection, (site, Some(device)), Cause::Holds(Kind::Clock), doubt.at)?;
                note(connection, (site, Some(device)), Cause::Gone(Kind::Clock), sane)?;
            }
        }
    }
    let still = off.iter().filter(|doubt| doubt.sane.is_none()).map(|doubt| doubt.device).collect();
    held(connection, Kind::Clock, places(still), now)?;
    clock_doubts::forget(connection)
}

fn conflicts(connection: &Connection, places: impl Fn(Vec<i64>) -> Vec<Place>, now: i64) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT d.key, sum(b.conflicts) FROM boot b JOIN device d ON d.id = b.device
         LEFT JOIN alarm_conflicts c ON c.device = d.key
         WHERE b.conflicts > 0 GROUP BY d.key HAVING sum(b.conflicts) > coalesce(max(c.count), 0)",
    )?;
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, i64)>, _>>()?;
    for (device, count) in found {
        for (site, device) in places(vec![device]) {
            note(connection, (site, Some(device)), Cause::Holds(Kind::Conflict), now)?;
            connection
                .prepare_cached("INSERT INTO alarm_conflicts VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE SET count = excluded.count")?
                .execute((device, count))?;
        }
    }
    Ok(())
}

fn off_hours(connection: &Connection, registry: &Registry, now: i64) -> Result<(), StoreError> {
    let hour_ago = DateTime::from_timestamp_millis(now).unwrap_or_default() - TimeDelta::hours(1);
    let mut select = connection.prepare_cached(
        "SELECT coalesce(sum(off_hours), 0), coalesce(sum(in_window + makeup + off_hours), 0) FROM hour_count
         WHERE site = ?1 AND ((day = ?2 AND hour = ?3) OR (day = ?4 AND hour = ?5))",
    )?;
    for site in registry.sites.values() {
        let (this, before) = (local(site.zone, now), local(site.zone, hour_ago.timestamp_millis()));
        let hours = (site.key, this.day.0, this.minute / 60, before.day.0, before.minute / 60);
        let (off_hours, deposits) = select.query_row(hours, |row| Ok((row.get(0)?, row.get(1)?)))?;
        note(connection, (site.key, None), of_off_hours(off_hours, deposits), now)?;
    }
    Ok(())
}
