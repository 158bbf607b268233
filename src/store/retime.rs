//! Re-timing: when a schedule is changed for days that have passed, their deposits are judged again.

use chrono::NaiveDate;

use super::rollups::{BLOCK_ROWS, Counted, Rollups};
use super::sql::Connection;
use super::{StoreError, export, ledger};
use crate::domain::registry::{Community, Site};
use crate::domain::roster::CardId;
use crate::domain::timetable::Timetable;
use crate::domain::zone::opens_at;

/// Days from `from` up to, not including, `before`.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    pub from: NaiveDate,
    pub before: Option<NaiveDate>,
}

/// Moves every deposit of `site` in `days` from where the site's present timetable has it to where `new` has it.
pub fn retime(
    connection: &Connection,
    rollups: &mut Rollups,
    community: &Community,
    site: &Site,
    new: &Timetable,
    days: Days,
) -> Result<u64, StoreError> {
    let mut moved = 0;
    let mut update = connection.prepare_cached("UPDATE ledger SET timing = ?2 WHERE id = ?1")?;
    for_each_deposit(connection, community, site, days, |deposit| {
        let (old, new) = (
            site.timetable.classify(deposit.time, deposit.counted.stream),
            new.classify(deposit.time, deposit.counted.stream),
        );
        if old != new {
            rollups.deposit(&deposit.counted, &old, -1);
            rollups.deposit(&deposit.counted, &new, 1);
            update.execute((deposit.row, new.timing.code()))?;
            moved += 1;
        }
        Ok(())
    })?;
    if moved > 0 {
        export::note_retimed(connection, site.key, instants(site, days))?;
    }
    Ok(moved)
}

/// The first instant of `days` at a site, and the first one after them.
fn instants(site: &Site, days: Days) -> (i64, i64) {
    let opens = |date| opens_at(site.timetable.zone(), date, 0).timestamp_millis();
    (opens(days.from), days.before.map_or(i64::MAX, opens))
}

/// A deposit in the ledger.
pub(super) struct Found {
    pub(super) row: i64,
    pub(super) time: i64,
    pub(super) counted: Counted,
}

/// Tells every deposit of `site` in `days`.
pub(super) fn for_each_deposit(
    connection: &Connection,
    community: &Community,
    site: &Site,
    days: Days,
    mut each: impl FnMut(Found) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (from, before) = instants(site, days);
    let mut blocks = connection.prepare_cached(
        "SELECT block FROM ledger_block WHERE site = ?1 AND first_time < ?3 AND last_time >= ?2 ORDER BY block",
    )?;
    let blocks = blocks.query_map((site.key, from, before), |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let mut deposits = connection.prepare_cached(
        "SELECT l.id, l.time, l.stream, l.grams, l.card, l.verdict, l.camera, l.volunteer
         FROM ledger l JOIN boot b ON b.id = l.boot JOIN device d ON d.id = b.device
         WHERE l.id >= ?1 AND l.id < ?2 AND d.site = ?3 AND l.timing IS NOT NULL AND l.time >= ?4 AND l.time < ?5",
    )?;
    for block in blocks {
        let bounds = (block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS, &site.id, from, before);
        let mut rows = deposits.query(bounds)?;
        while let Some(row) = rows.next()? {
            let card: Option<i64> = row.get(4)?;
            each(Found {
                row: row.get(0)?,
                time: row.get(1)?,
                counted: Counted {
                    community: community.key,
                    site: site.key,
                    stream: ledger::stream(row.get(2)?)?,
                    grams: row.get(3)?,
                    card: card.map(CardId),
                    verdict: ledger::standing(row.get(7)?, row.get(6)?, row.get(5)?)?,
                },
            })?;
        }
    }
    Ok(())
}
