//! Alarms: raised once for each kind and device, or site, continued while their cause comes back, cleared when it stays
//! away, and settled when it can come back no more. Whoever raises and settles says so in the same transaction.

use std::collections::HashMap;

use super::sql::{Connection, OptionalExtension, Row};
use super::{StoreError, alarm_notices};
use crate::domain::alarms::{AlarmView, Cause, Kind, QUIET_MS, REOPENS_MS, State};
use crate::domain::decode::MAX_AHEAD_MS;
use crate::domain::zone::rfc3339;

/// Notes what is known of a cause at a device of `site`, or at the site as a whole (their keys), as of `at`.
pub fn note(
    connection: &Connection,
    (site, device): (i64, Option<i64>),
    cause: Cause,
    at: i64,
) -> Result<(), StoreError> {
    match cause {
        Cause::Gone(kind) => {
            connection
                .prepare_cached(
                    "UPDATE alarm SET gone = ?4 WHERE kind = ?1 AND site = ?2 AND device IS NOT DISTINCT FROM ?3
                     AND cleared IS NULL AND gone IS NULL AND last <= ?4",
                )?
                .execute((kind.as_str(), site, device, at))?;
            connection
                .prepare_cached(
                    "INSERT INTO alarm_gone VALUES (?1, ?2, coalesce(?3, 0), ?4)
                     ON CONFLICT (kind, site, device) DO UPDATE SET at = max(alarm_gone.at, excluded.at)",
                )?
                .execute((kind.as_str(), site, device, at))?;
        }
        Cause::Holds(kind) => {
            let mut newest = connection.prepare_cached(
                "SELECT id FROM alarm WHERE kind = ?1 AND site = ?2 AND device IS NOT DISTINCT FROM ?3
                 AND (cleared IS NULL OR (settled IS NULL AND cleared > ?4 - ?5)) ORDER BY id DESC LIMIT 1",
            )?;
            let known: Option<i64> =
                newest.query_row((kind.as_str(), site, device, at, REOPENS_MS), |row| row.get(0)).optional()?;
            match known {
                // What comes again while it holds is no other cause; what comes back is.
                Some(id) => {
                    connection
                        .prepare_cached(
                            "UPDATE alarm SET count = count + CASE WHEN gone IS NULL AND cleared IS NULL THEN 0 ELSE 1 END, gone = NULL,
                                 cleared = NULL, last = max(last, ?2) WHERE id = ?1",
                        )?
                        .execute((id, at))?;
                }
                None => raise(connection, (site, device), kind, at)?,
            }
            // Words that come in disorder: this one was overtaken by the one that ended it.
            connection
                .prepare_cached(
                    "UPDATE alarm SET gone = w.at FROM alarm_gone w
                     WHERE alarm.kind = ?1 AND alarm.site = ?2 AND alarm.device IS NOT DISTINCT FROM ?3 AND cleared IS NULL AND gone IS NULL
                       AND w.kind = ?1 AND w.site = ?2 AND w.device = coalesce(?3, 0) AND alarm.last < w.at",
                )?
                .execute((kind.as_str(), site, device))?;
        }
    }
    Ok(())
}

fn raise(connection: &Connection, (site, device): (i64, Option<i64>), kind: Kind, at: i64) -> Result<(), StoreError> {
    // The one before is over for good by now: that is told first.
    settle(connection, at)?;
    let id = connection
        .prepare_cached(
            "INSERT INTO alarm (kind, site, device, raised, last, count) VALUES (?1, ?2, ?3, ?4, ?4, 1) RETURNING id",
        )?
        .query_row((kind.as_str(), site, device, at), |row| row.get(0))?;
    let alarm = get(connection, id)?.ok_or(StoreError::Corrupt("an alarm vanished"))?;
    alarm_notices::raised(connection, &alarm, site)
}

/// Ends what has been gone for long enough by `now`.
pub fn clear(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE alarm SET cleared = gone + ?1 WHERE cleared IS NULL AND gone + ?1 <= ?2")?
        .execute((QUIET_MS, now))?;
    settle(connection, now)
}

/// What has been cleared for so long that it would be another alarm is told to be over.
fn settle(connection: &Connection, now: i64) -> Result<(), StoreError> {
    let mut settle = connection.prepare_cached(
        "UPDATE alarm SET settled = ?2 WHERE settled IS NULL AND cleared + ?1 <= ?2 AND cleared IS NOT NULL
         RETURNING id",
    )?;
    let settled = settle.query_map((REOPENS_MS, now), |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for id in settled {
        if let Some(alarm) = get(connection, id)? {
            alarm_notices::cleared(connection, &alarm)?;
        }
    }
    Ok(())
}

/// Takes back what lies ahead of a clock that was set back: no cause would be gone, and none would hold, until it got there.
pub fn set_right(connection: &Connection, now: i64) -> Result<(), StoreError> {
    for sql in [
        "UPDATE alarm SET raised = min(raised, ?1), last = ?1 WHERE cleared IS NULL AND last > ?1 + ?2",
        "UPDATE alarm SET gone = ?1 WHERE cleared IS NULL AND gone > ?1 + ?2",
        "UPDATE alarm SET cleared = ?1 WHERE settled IS NULL AND cleared > ?1 + ?2",
        "UPDATE alarm_gone SET at = ?1 WHERE at > ?1 + ?2",
    ] {
        connection.prepare_cached(sql)?.execute((now, MAX_AHEAD_MS))?;
    }
    Ok(())
}

/// The keys of the devices at which an alarm of this kind is open, each with its site's.
pub fn open_of(connection: &Connection, kind: Kind) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT site, device FROM alarm WHERE kind = ?1 AND cleared IS NULL AND device IS NOT NULL")?;
    let open = select.query_map([kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(open.collect::<Result<_, _>>()?)
}

/// Each device that is silent, and since when.
pub fn silent_since(connection: &Connection) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT device, raised FROM alarm WHERE kind = ?1 AND cleared IS NULL AND device IS NOT NULL ORDER BY device",
    )?;
    let silent = select.query_map([Kind::Silent.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(silent.collect::<Result<_, _>>()?)
}

/// An alarm as it stands.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub id: i64,
    pub kind: Kind,
    pub site: String,
    /// Absent: it is of the site as a whole.
    pub device: Option<String>,
    pub raised: i64,
    pub last: i64,
    pub count: i64,
    pub cleared: Option<i64>,
    pub acknowledged: Option<i64>,
    pub note: Option<String>,
}

impl Alarm {
    /// As the API shows it and webhooks are told.
    pub fn view(&self) -> AlarmView {
        AlarmView {
            id: self.id.to_string(),
            kind: self.kind,
            severity: self.kind.severity(),
            site: self.site.clone(),
            device: self.device.clone(),
            state: if self.cleared.is_some() { State::Cleared } else { State::Open },
            raised: rfc3339(self.raised),
            last: rfc3339(self.last),
            count: self.count,
            cleared: self.cleared.map(rfc3339),
            acknowledged: self.acknowledged.map(rfc3339),
            note: self.note.clone(),
        }
    }
}

const SELECT: &str = "SELECT a.id, a.kind, s.id, d.id, a.raised, a.last, a.count, a.cleared, a.acknowledged, a.note
     FROM alarm a JOIN site s ON s.key = a.site LEFT JOIN device d ON d.key = a.device";

fn read(row: &Row<'_>) -> super::sql::Result<(String, Alarm)> {
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
        "{SELECT} WHERE (?1 IS NULL OR a.id < ?1) AND (?2 IS NULL OR CASE WHEN a.cleared IS NULL THEN 1 ELSE 0 END = ?2)
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

/// How many are open, by the key of their site.
pub fn open_by_site(connection: &Connection) -> Result<HashMap<i64, u64>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT site, count(*) FROM alarm WHERE cleared IS NULL GROUP BY site")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
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

/// How many are open at each site (its key), by kind.
pub fn open_at(connection: &Connection) -> Result<Vec<(i64, Kind, u64)>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT site, kind, count(*) FROM alarm WHERE cleared IS NULL GROUP BY site, kind")?;
    counted(select.query([])?)
}

/// How many were raised at each site (its key) from one instant up to another, by kind.
pub fn raised(connection: &Connection, from: i64, to: i64) -> Result<Vec<(i64, Kind, u64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT site, kind, count(*) FROM alarm WHERE raised >= ?1 AND raised < ?2 GROUP BY site, kind",
    )?;
    counted(select.query((from, to))?)
}

fn counted(mut rows: super::sql::Rows<'_>) -> Result<Vec<(i64, Kind, u64)>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let kind = Kind::parse(row.get_ref(1)?.as_str().unwrap_or_default());
        let kind = kind.ok_or(StoreError::Corrupt("an unknown kind of alarm"))?;
        found.push((row.get(0)?, kind, row.get::<_, i64>(2)?.unsigned_abs()));
    }
    Ok(found)
}

/// Forgets the alarms of a device that is deleted: its key may be given to another.
pub fn forget(connection: &Connection, device: &str) -> Result<(), StoreError> {
    for table in ["alarm", "alarm_gone", "alarm_conflicts", "clock_doubt", "habit", "device_vital"] {
        let forget = format!("DELETE FROM {table} WHERE device = (SELECT key FROM device WHERE id = ?1)");
        connection.execute(&forget, [device])?;
    }
    Ok(())
}
