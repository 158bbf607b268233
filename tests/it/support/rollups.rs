//! A count of the ledger's own rows, which the rollups must equal.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Timelike};
use chrono_tz::Tz;
use fenlei::domain::statistics::Place;
use fenlei::domain::zone::Day;
use fenlei::store::card_counts;
use fenlei::store::sql::Connection;

/// Fails where a rollup says something else than the ledger; `zones` by site.
pub(crate) fn equal_the_ledger(
    connection: &Connection,
    zones: &BTreeMap<String, Tz>,
) -> fenlei::store::sql::Result<()> {
    let (kept, counted) = (kept(connection)?, counted(connection, zones)?);
    assert_eq!(kept.1, counted.1, "hour_count against the ledger");
    assert_eq!(kept.0, counted.0, "card_count against the ledger");
    Ok(())
}

type CardRow = (i64, i64, i64, i64, i64);
type HourRow = (i64, i64, i64, i64);
type Rollups = (BTreeMap<CardRow, [i64; 2]>, BTreeMap<HourRow, [i64; 7]>);

fn kept(connection: &Connection) -> fenlei::store::sql::Result<Rollups> {
    let (mut cards, mut hours) = Rollups::default();
    let communities = connection
        .prepare("SELECT key FROM community")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    for community in communities {
        for (site, count) in card_counts::read(connection, community, Day(i32::MIN), Day(i32::MAX)).unwrap() {
            let place = match count.place {
                Place::Window(_) => 1,
                Place::Makeup => 2,
                Place::OffHours => 3,
                Place::AlsoIn(_) => continue,
            };
            let counts = cards.entry((community, site, i64::from(count.day.0), place, count.card.0)).or_default();
            *counts =
                [counts[0] + i64::try_from(count.deposits).unwrap(), counts[1] + i64::try_from(count.correct).unwrap()];
        }
    }
    let mut select = connection.prepare(
        "SELECT site, day, hour, stream, in_window, makeup, off_hours, correct, incorrect, unjudged, grams
         FROM hour_count WHERE in_window + makeup + off_hours <> 0 OR grams <> 0 OR correct + incorrect + unjudged <> 0",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let mut counts = [0; 7];
        for (column, count) in counts.iter_mut().enumerate() {
            *count = row.get(4 + column)?;
        }
        hours.insert((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?), counts);
    }
    Ok((cards, hours))
}

fn counted(connection: &Connection, zones: &BTreeMap<String, Tz>) -> fenlei::store::sql::Result<Rollups> {
    let (mut cards, mut hours) = Rollups::default();
    let mut select = connection.prepare(
        "SELECT c.key, s.key, s.id, l.time, l.stream, l.grams, l.card, l.timing,
                coalesce(l.volunteer, l.camera, l.verdict)
         FROM ledger l JOIN boot b ON b.id = l.boot JOIN device d ON d.id = b.device JOIN site s ON s.id = d.site
         JOIN community c ON c.id = s.community WHERE l.type = 1",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (community, site, id): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let wall = DateTime::from_timestamp_millis(row.get(3)?).unwrap().with_timezone(&zones[&id]).naive_local();
        let day = (wall.date() - NaiveDate::default()).num_days();
        let (stream, grams, card): (i64, i64, Option<i64>) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let (timing, verdict): (u16, Option<u16>) = (row.get(7)?, row.get(8)?);
        if let Some(card) = card {
            let counts = cards.entry((community, site, day, i64::from(timing), card)).or_default();
            counts[0] += 1;
            counts[1] += i64::from(verdict == Some(1));
        }
        let counts = hours.entry((site, day, i64::from(wall.hour()), stream)).or_default();
        counts[usize::from(timing) - 1] += 1;
        counts[usize::from(verdict.unwrap_or(3)) + 2] += 1;
        counts[6] += grams;
    }
    Ok((cards, hours))
}
