//! Alarms: raised once for each kind and device, continued while their cause comes back, cleared when it stays away.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use crate::domain::alarms::{Cause, Kind, PATIENCE_MS, QUIET_MS, REOPENS_MS, SEEN_MS, SILENCE_MS};
use crate::domain::registry::Registry;

/// Notes what is known of a cause at `device` of `site` (their keys), as of `at`.
pub fn note(connection: &Connection, (site, device): (i64, i64), cause: Cause, at: i64) -> Result<(), StoreError> {
    match cause {
        Cause::Gone(kind) => {
            connection
                .prepare_cached(
                    "UPDATE alarm SET gone = ?3
                     WHERE kind = ?1 AND device = ?2 AND cleared IS NULL AND gone IS NULL AND last <= ?3",
                )?
                .execute((kind.as_str(), device, at))?;
        }
        Cause::Holds(kind) => {
            let mut newest = connection.prepare_cached(
                "SELECT id FROM alarm WHERE kind = ?1 AND device = ?2 AND (cleared IS NULL OR cleared > ?3 - ?4)
                 ORDER BY id DESC LIMIT 1",
            )?;
            let known: Option<i64> =
                newest.query_row((kind.as_str(), device, at, REOPENS_MS), |row| row.get(0)).optional()?;
            match known {
                // What comes again while it holds is no other cause; what comes back is.
                Some(id) => connection
                    .prepare_cached(
                        "UPDATE alarm SET count = count + (gone IS NOT NULL OR cleared IS NOT NULL), gone = NULL,
                             cleared = NULL, last = max(last, ?2) WHERE id = ?1",
                    )?
                    .execute((id, at))?,
                None => connection
                    .prepare_cached(
                        "INSERT INTO alarm (kind, site, device, raised, last, count) VALUES (?1, ?2, ?3, ?4, ?4, 1)",
                    )?
                    .execute((kind.as_str(), site, device, at))?,
            };
        }
    }
    Ok(())
}

/// What time alone decides: who has fallen silent, which gaps stay open, what came twice, and what is over.
pub fn look(connection: &Connection, registry: &Registry, now: i64) -> Result<(), StoreError> {
    let place = |id: &str| {
        let (device, site, _) = registry.place(id)?;
        Some((site.key, device.key))
    };
    for (kind, held) in [(Kind::Silent, silent(connection, now)?), (Kind::Gap, gaps(connection, now)?)] {
        let held: Vec<_> = held.iter().filter_map(|device| place(device)).collect();
        for (_, device) in open_of(connection, kind)? {
            if !held.iter().any(|(_, held)| *held == device) {
                note(connection, (0, device), Cause::Gone(kind), now)?;
            }
        }
        held.iter().try_for_each(|place| note(connection, *place, Cause::Holds(kind), now))?;
    }
    for (device, count) in new_conflicts(connection)? {
        let Some(place) = place(&device) else { continue };
        note(connection, place, Cause::Holds(Kind::Conflict), now)?;
        connection
            .prepare_cached("INSERT INTO alarm_conflicts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = ?2")?
            .execute((place.1, count))?;
    }
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_seen_once()) {
        connection
            .prepare_cached(
                "UPDATE alarm SET gone = last + ?2 WHERE kind = ?1 AND cleared IS NULL AND gone IS NULL AND last + ?2 <= ?3",
            )?
            .execute((kind.as_str(), SEEN_MS, now))?;
    }
    connection
        .prepare_cached("UPDATE alarm SET cleared = gone + ?1 WHERE cleared IS NULL AND gone + ?1 <= ?2")?
        .execute((QUIET_MS, now))?;
    Ok(())
}

/// Devices that are away longer than they may be: since their last will, or without a word for a day.
fn silent(connection: &Connection, now: i64) -> Result<Vec<String>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT d.id FROM device d JOIN device_state s ON s.device = d.key
         WHERE s.online = 0 AND s.since <= ?1
         UNION
         SELECT d.id FROM device d JOIN boot b ON b.device = d.id AND b.incarnation = d.incarnation
         GROUP BY d.id HAVING max(b.received) <= ?2",
    )?;
    let silent = select.query_map((now - PATIENCE_MS, now - SILENCE_MS), |row| row.get(0))?;
    Ok(silent.collect::<Result<_, _>>()?)
}

fn gaps(connection: &Connection, now: i64) -> Result<Vec<String>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT d.id FROM gap g JOIN boot b ON b.id = g.boot
         JOIN device d ON d.id = b.device AND d.incarnation = b.incarnation WHERE g.since <= ?1",
    )?;
    let devices = select.query_map([now - PATIENCE_MS], |row| row.get(0))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

fn new_conflicts(connection: &Connection) -> Result<Vec<(String, i64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT d.id, sum(b.conflicts) FROM boot b JOIN device d ON d.id = b.device
         LEFT JOIN alarm_conflicts c ON c.device = d.key
         GROUP BY d.id HAVING sum(b.conflicts) > coalesce(max(c.count), 0)",
    )?;
    let devices = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

fn open_of(connection: &Connection, kind: Kind) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT id, device FROM alarm WHERE kind = ?1 AND cleared IS NULL")?;
    let open = select.query_map([kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(open.collect::<Result<_, _>>()?)
}

/// An alarm as it stands.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub id: i64,
    pub kind: Kind,
    pub site: String,
    pub device: String,
    pub raised: i64,
    pub last: i64,
    pub count: i64,
    pub cleared: Option<i64>,
    pub acknowledged: Option<i64>,
    pub note: Option<String>,
}

const SELECT: &str = "SELECT a.id, a.kind, s.id, d.id, a.raised, a.last, a.count, a.cleared, a.acknowledged, a.note
     FROM alarm a JOIN device d ON d.key = a.device JOIN site s ON s.id = d.site";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, Alarm)> {
    let alarm = Alarm {
        id: row.get(0)?,
        kind: Kind::Full,
        site: row.get(2)?,
        device: row.get(3)?,
        raised: row.get(4)?,
        last: row.get(5)?,
        count: row.get(6)?,
        cleared: row.get(7)?,
        acknowledged: row.get(8)?,
        note: row.get(9)?,
    };
    Ok((row.get(1)?, alarm))
}

fn known((kind, alarm): (String, Alarm)) -> Result<Alarm, StoreError> {
    let kind = Kind::parse(&kind).ok_or(StoreError::Corrupt("an unknown kind of alarm"))?;
    Ok(Alarm { kind, ..alarm })
}

/// Which alarms are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only alarms raised before this one; absent: from the newest on.
    pub before: Option<i64>,
    pub open: Option<bool>,
    pub device: Option<String>,
    pub site: Option<String>,
    pub kind: Option<Kind>,
    pub limit: usize,
}

/// Alarms, the newest first.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Alarm>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE (?1 IS NULL OR a.id < ?1) AND (?2 IS NULL OR (a.cleared IS NULL) = ?2)
         AND (?3 IS NULL OR d.id = ?3) AND (?4 IS NULL OR s.id = ?4) AND (?5 IS NULL OR a.kind = ?5)
         ORDER BY a.id DESC LIMIT ?6"
    );
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let kind = filter.kind.map(Kind::as_str);
    let mut select = connection.prepare_cached(&sql)?;
    let alarms = select.query_map((filter.before, filter.open, &filter.device, &filter.site, kind, limit), read)?;
    alarms.map(|alarm| known(alarm?)).collect()
}

pub fn get(connection: &Connection, id: i64) -> Result<Option<Alarm>, StoreError> {
    let sql = format!("{SELECT} WHERE a.id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()?.map(known).transpose()
}

/// Notes that somebody has seen to it; the first who did stands.
pub fn acknowledge(connection: &Connection, id: i64, by: &str, note: Option<&str>, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE alarm SET acknowledged = ?2, by = ?3, note = ?4 WHERE id = ?1 AND acknowledged IS NULL",
        )?
        .execute((id, now, by, note))?;
    Ok(())
}

/// How many are open, by kind, for the metrics.
pub fn open(connection: &Connection) -> Result<Vec<(Kind, i64)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT kind, count(*) FROM alarm WHERE cleared IS NULL GROUP BY kind")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (kind, count) = row?;
        Ok((Kind::parse(&kind).ok_or(StoreError::Corrupt("an unknown kind of alarm"))?, count))
    })
    .collect()
}
