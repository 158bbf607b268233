//! What each device last measured of itself, kept beside the ledger so that nobody looks through it for that.

use std::collections::{BTreeMap, HashMap};

use super::StoreError;
use super::events::Listed;
use super::sql::Connection;
use crate::domain::event::Body;
use crate::domain::registry::Registry;

/// A measurement: its value, and when it was made (Unix milliseconds).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vital {
    pub value: f64,
    pub at: i64,
}

/// By name: `millivolts`, `celsius`, `rssi`, or `fill/` and a stream (percent).
pub type Vitals = BTreeMap<String, Vital>;

/// Takes in what events measured; of each name the latest by its time stands.
pub fn hear(connection: &Connection, registry: &Registry, found: &[Listed]) -> Result<(), StoreError> {
    let mut latest: BTreeMap<(i64, String), Vital> = BTreeMap::new();
    for listed in found {
        let Some(device) = registry.devices.get(&listed.device) else { continue };
        for (name, value) in measured(&listed.event.body) {
            let (vital, at) = (Vital { value, at: listed.event.time }, listed.event.time);
            let known = latest.entry((device.key, name)).or_insert(vital);
            if at >= known.at {
                *known = vital;
            }
        }
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO device_vital VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device, name) DO UPDATE SET value = excluded.value, at = excluded.at
         WHERE excluded.at >= device_vital.at",
    )?;
    for ((device, name), vital) in latest {
        upsert.execute((device, name, vital.value, vital.at))?;
    }
    Ok(())
}

fn measured(body: &Body) -> Vec<(String, f64)> {
    let named = |name: &str, value: Option<f64>| value.map(|value| (name.to_owned(), value));
    match body {
        Body::Heartbeat(beat) => {
            let measured =
                [named("celsius", beat.celsius), named("millivolts", beat.millivolts), named("rssi", beat.rssi)];
            measured.into_iter().flatten().collect()
        }
        Body::Fill(fill) => {
            let level = Some((format!("fill/{}", fill.stream), fill.percent));
            level.into_iter().chain(named("celsius", fill.celsius)).collect()
        }
        Body::Emptied(emptied) => vec![(format!("fill/{}", emptied.stream), 0.0)],
        _ => Vec::new(),
    }
}

/// Of one device (its key).
pub fn of(connection: &Connection, device: i64) -> Result<Vitals, StoreError> {
    let mut select = connection.prepare_cached("SELECT name, value, at FROM device_vital WHERE device = ?1")?;
    let vitals = select.query_map([device], |row| Ok((row.get(0)?, Vital { value: row.get(1)?, at: row.get(2)? })))?;
    Ok(vitals.collect::<Result<_, _>>()?)
}

/// Of all devices, by their keys.
pub fn all(connection: &Connection) -> Result<HashMap<i64, Vitals>, StoreError> {
    let mut select = connection.prepare_cached("SELECT device, name, value, at FROM device_vital")?;
    let mut rows = select.query([])?;
    let mut all: HashMap<i64, Vitals> = HashMap::new();
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().insert(row.get(1)?, Vital { value: row.get(2)?, at: row.get(3)? });
    }
    Ok(all)
}
