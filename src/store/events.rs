//! Reading the ledger in commit order, by what people ask for.

use fenlei_wire::vocabulary::{EventType, Timing, Verdict};

use super::StoreError;
use super::ledger::{EVENT_COLUMNS, read_event, standing, timing};
use super::rollups::BLOCK_ROWS;
use super::sql::{Connection, ToSql};
use crate::domain::event::Event;
use crate::domain::registry::VOLUNTEERS;

/// An event with its place.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: i64,
    pub site: String,
    pub community: String,
    pub device: String,
    /// Of the device's hardware.
    pub incarnation: u32,
    pub received: i64,
    pub event: Event,
    /// Of a deposit.
    pub timing: Option<Timing>,
    /// Of a deposit: the one that stands.
    pub verdict: Option<Verdict>,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only rows after this one.
    pub after: i64,
    /// Only rows up to this one, where given.
    pub through: Option<i64>,
    /// Only events of these sites (their keys), where given.
    pub sites: Option<Vec<i64>>,
    pub device: Option<String>,
    /// Only events of these types; none: of all.
    pub types: Vec<EventType>,
    /// Half-open instants on `time`.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub limit: usize,
}

/// The first `limit` events that match, in commit order.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Listed>, StoreError> {
    let mut found = Vec::new();
    let mut after = filter.after;
    while found.len() < filter.limit {
        // Blocks that cannot hold a match are stepped over without reading their rows.
        let Some(block) = next_block(connection, filter, after)? else { break };
        let first = block * BLOCK_ROWS;
        read_block(connection, filter, (after.max(first - 1), first + BLOCK_ROWS), Order::OldestFirst, &mut found)?;
        after = first + BLOCK_ROWS - 1;
        if filter.through.is_some_and(|through| after >= through) {
            break;
        }
    }
    Ok(found)
}

/// The event in a row.
pub fn at(connection: &Connection, id: i64) -> Result<Option<Listed>, StoreError> {
    let (filter, mut found) = (Filter { limit: 1, ..Filter::default() }, Vec::new());
    read_block(connection, &filter, (id - 1, id + 1), Order::OldestFirst, &mut found)?;
    Ok(found.pop())
}

/// The last `limit` events of a site (its key), the newest first.
pub fn latest(connection: &Connection, site: i64, limit: usize) -> Result<Vec<Listed>, StoreError> {
    let mut blocks = connection.prepare_cached("SELECT max(block) FROM ledger_block WHERE site = ?1 AND block < ?2")?;
    let filter = Filter { sites: Some(vec![site]), limit, ..Filter::default() };
    let (mut found, mut before) = (Vec::new(), i64::MAX);
    while found.len() < limit {
        let Some(block) = blocks.query_row((site, before), |row| row.get::<_, Option<i64>>(0))? else { break };
        let first = block * BLOCK_ROWS;
        read_block(connection, &filter, (first - 1, first + BLOCK_ROWS), Order::NewestFirst, &mut found)?;
        before = block;
    }
    Ok(found)
}

fn next_block(connection: &Connection, filter: &Filter, after: i64) -> Result<Option<i64>, StoreError> {
    let first = (after + 1) / BLOCK_ROWS;
    let (from, to) = (filter.from.unwrap_or(i64::MIN), filter.to.unwrap_or(i64::MAX));
    match &filter.sites {
        None => {
            let mut select = connection.prepare_cached(
                "SELECT min(block) FROM ledger_block WHERE block >= ?1 AND last_time >= ?2 AND first_time < ?3",
            )?;
            Ok(select.query_row((first, from, to), |row| row.get(0))?)
        }
        Some(sites) => {
            let mut select = connection.prepare_cached(
                "SELECT block FROM ledger_block
                 WHERE site = ?1 AND block >= ?2 AND last_time >= ?3 AND first_time < ?4 ORDER BY block LIMIT 1",
            )?;
            let mut earliest = None;
            for site in sites {
                let mut rows = select.query((*site, first, from, to))?;
                if let Some(row) = rows.next()? {
                    let block: i64 = row.get(0)?;
                    earliest = Some(earliest.map_or(block, |earliest: i64| earliest.min(block)));
                }
            }
            Ok(earliest)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

fn read_block(
    connection: &Connection,
    filter: &Filter,
    (after, before): (i64, i64),
    order: Order,
    found: &mut Vec<Listed>,
) -> Result<(), StoreError> {
    let mut sql = format!(
        "SELECT {EVENT_COLUMNS}, l.id, s.id, s.community, b.device, l.time + l.lag, l.timing, l.camera, l.volunteer,
                d.kind, b.incarnation
         FROM ledger l JOIN boot b ON b.id = l.boot JOIN device d ON d.id = b.device JOIN site s ON s.id = d.site
         LEFT JOIN card c ON c.id = l.card
         WHERE l.id > ? AND l.id < ?"
    );
    if !filter.types.is_empty() {
        let codes: Vec<_> = filter.types.iter().map(|one| one.code().to_string()).collect();
        sql.push_str(&format!(" AND l.type IN ({})", codes.join(", ")));
    }
    if let Some(sites) = &filter.sites {
        let keys: Vec<_> = sites.iter().map(i64::to_string).collect();
        sql.push_str(&format!(" AND s.key IN ({})", keys.join(", ")));
    }
    let mut values: Vec<&dyn ToSql> = vec![&after, &before];
    let mut require = |condition: &str, value| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(through) = &filter.through {
        require(" AND l.id <= ?", through as &dyn ToSql);
    }
    if let Some(device) = &filter.device {
        let column = if device == VOLUNTEERS { " AND d.kind = ?" } else { " AND b.device = ?" };
        require(column, device);
    }
    if let Some(from) = &filter.from {
        require(" AND l.time >= ?", from);
    }
    if let Some(to) = &filter.to {
        require(" AND l.time < ?", to);
    }
    let left = i64::try_from(filter.limit.saturating_sub(found.len())).unwrap_or(i64::MAX);
    let order = if order == Order::NewestFirst { " DESC" } else { "" };
    require(&format!(" ORDER BY l.id{order} LIMIT ?"), &left);
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(values.as_slice())?;
    while let Some(row) = rows.next()? {
        let event = read_event(&row)?;
        let own: Option<u8> = row.get(8)?;
        let of_volunteers = row.get_ref(18)?.as_str().is_ok_and(|kind| kind == VOLUNTEERS);
        found.push(Listed {
            id: row.get(10)?,
            site: row.get(11)?,
            community: row.get(12)?,
            device: if of_volunteers { VOLUNTEERS.to_owned() } else { row.get(13)? },
            incarnation: row.get(19)?,
            received: row.get(14)?,
            timing: row.get::<_, Option<u8>>(15)?.map(timing).transpose()?,
            verdict: standing(row.get(17)?, row.get(16)?, own)?,
            event,
        });
    }
    Ok(())
}
