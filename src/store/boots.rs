//! The boots of devices: which of their events have come, and where these lie in the ledger.
//!
//! Kept in memory while in use and written in the transaction that stores the events. After a failed
//! commit the memory is dropped as a whole and read again: it never runs ahead of the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::decode::MAX_AHEAD_MS;
use crate::domain::marks::{Change, Marks};

/// Seqs whose places in the ledger share one row of `event_row`.
const BLOCK_SEQS: u64 = 32;
/// Bytes a place takes: enough for a trillion rows.
const PLACE_BYTES: usize = 5;
/// Bytes of such a row: all of them from its first event on, so that it stays where it is while it fills.
const BLOCK_BYTES: usize = BLOCK_SEQS as usize * PLACE_BYTES;
/// What a boot begins as.
const BEGIN: &str = "INSERT INTO boot (device, incarnation, boot, next, received) VALUES (?1, ?2, ?3, 1, 0)";
/// Boots and blocks kept in memory before all are dropped and read again.
const MAX_CACHED: usize = 50_000;

/// A boot's number in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub i64);

/// One start of one incarnation of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootName<'a> {
    pub device: &'a str,
    pub incarnation: u32,
    pub boot: u32,
}

/// A boot in memory; good until the next [`Boots::trim`] or the end of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

#[derive(Debug)]
struct Known {
    id: BootId,
    marks: Marks,
    received: i64,
    stored: i64,
    touched: bool,
}

/// All boots in use.
#[derive(Debug, Default)]
pub struct Boots {
    /// By device: incarnation, boot, and where it is in `known`.
    devices: HashMap<String, Vec<(u32, u32, Slot)>, RandomState>,
    known: Vec<Known>,
    touched: Vec<Slot>,
    /// Gaps that opened (their end, since when) or closed since the last flush, by boot and first seq.
    gaps: BTreeMap<(BootId, u64), Option<(u64, i64)>>,
    places: HashMap<(u64, BootId), Block, RandomState>,
    touched_places: Vec<(u64, BootId)>,
}

#[derive(Debug, Default)]
struct Block {
    rows: Vec<u8>,
    /// Where the rows are kept: the number of the ledger's row that came first. `None`: none came.
    number: Option<i64>,
    /// Whether the store knows the number.
    numbered: bool,
    touched: bool,
}

impl Block {
    fn stored((number, rows): (i64, Vec<u8>)) -> Self {
        Self { rows, number: Some(number), numbered: true, touched: false }
    }
}

impl Boots {
    /// Finds a boot; one never heard of is begun.
    pub fn open(&mut self, connection: &Connection, name: BootName<'_>) -> Result<Slot, StoreError> {
        if let Some(slot) = self.opened(name) {
            return Ok(slot);
        }
        let known = load(connection, name)?;
        Ok(self.keep(name, known))
    }

    /// Opens many boots at once, and the blocks that these seqs lie in.
    pub fn learn(&mut self, connection: &Connection, events: &BTreeSet<(BootName<'_>, u64)>) -> Result<(), StoreError> {
        let mut new: Vec<_> =
            events.iter().map(|(name, _)| *name).filter(|name| self.opened(*name).is_none()).collect();
        new.dedup();
        let select = "SELECT b.device, b.incarnation, b.boot, b.id, b.next, b.received, b.stored FROM boot b
             WHERE b.device = ?1 AND b.incarnation = ?2 AND b.boot = ?3";
        let values = |name: &BootName<'_>| (name.device.to_owned(), name.incarnation, name.boot);
        type Found = ((String, u32, u32), (i64, i64, i64, i64));
        let read = |row: &Row<'_>| -> super::sql::Result<Found> {
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?)))
        };
        let mut found: HashMap<_, _> =
            connection.query_each(select, new.iter().map(values), read)?.into_iter().collect();
        let begun: Vec<_> = new.iter().map(values).filter(|name| !found.contains_key(name)).collect();
        connection.execute_each(BEGIN, &begun)?;
        found.extend(connection.query_each(select, &begun, read)?);
        let mut gaps: HashMap<i64, Vec<(u64, u64)>> = HashMap::new();
        let select = "SELECT g.boot, g.first, g.last FROM gap g WHERE g.boot = ?1";
        let read = |row: &Row<'_>| {
            let (first, last): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, (first.unsigned_abs(), last.unsigned_abs())))
        };
        for (boot, gap) in connection.query_each(select, found.values().map(|(id, ..)| [*id]), read)? {
            gaps.entry(boot).or_default().push(gap);
        }
        for name in new {
            let Some((id, next, received, stored)) = found.remove(&values(&name)) else { continue };
            let marks = Marks::restore(next.unsigned_abs(), gaps.remove(&id).unwrap_or_default());
            self.keep(name, Known { id: BootId(id), marks, received, stored, touched: false });
        }
        let blocks = events.iter().filter_map(|(name, seq)| Some((seq / BLOCK_SEQS, self.id(self.opened(*name)?))));
        let blocks: BTreeSet<_> = blocks.filter(|block| !self.places.contains_key(block)).collect();
        let select =
            "SELECT b.block, b.boot, b.number, e.rows FROM event_block b JOIN event_row e ON e.number = b.number
             WHERE b.block = ?1 AND b.boot = ?2";
        let values = blocks.iter().map(|(block, boot)| (to_i64(*block), boot.0));
        let read = |row: &Row<'_>| {
            let key = (row.get::<_, i64>(0)?.unsigned_abs(), BootId(row.get(1)?));
            Ok((key, Block::stored((row.get(2)?, row.get(3)?))))
        };
        let known = connection.query_each(select, values, read)?;
        self.places.extend(blocks.into_iter().map(|block| (block, Block::default())));
        self.places.extend(known);
        Ok(())
    }

    fn keep(&mut self, name: BootName<'_>, known: Known) -> Slot {
        let slot = Slot(self.known.len());
        self.known.push(known);
        self.devices.entry(name.device.to_owned()).or_default().push((name.incarnation, name.boot, slot));
        slot
    }

    fn opened(&self, name: BootName<'_>) -> Option<Slot> {
        let mut boots = self.devices.get(name.device)?.iter();
        boots.find(|known| (known.0, known.1) == (name.incarnation, name.boot)).map(|known| known.2)
    }

    pub fn id(&self, slot: Slot) -> BootId {
        self.known[slot.0].id
    }

    pub fn marks(&self, slot: Slot) -> &Marks {
        &self.known[slot.0].marks
    }

    /// Something of the boot came.
    pub fn touch(&mut self, slot: Slot, received: i64) {
        let known = &mut self.known[slot.0];
        // Of what comes at once the latest; but a clock that was set back is followed.
        let set_back = known.received - received > MAX_AHEAD_MS;
        known.received = if set_back { received } else { known.received.max(received) };
        if !known.touched {
            known.touched = true;
            self.touched.push(slot);
        }
    }

    /// Changes the boot's marks, gaps included.
    pub fn change(&mut self, slot: Slot, received: i64, change: impl FnOnce(&mut Marks) -> Change) {
        self.touch(slot, received);
        let known = &mut self.known[slot.0];
        let change = change(&mut known.marks);
        self.gaps.extend(change.removed.into_iter().map(|first| ((known.id, first), None)));
        self.gaps.extend(change.added.into_iter().map(|(first, last)| ((known.id, first), Some((last, received)))));
    }

    /// Remembers that the event lies in `row` of the ledger.
    pub fn put_row(&mut self, connection: &Connection, slot: Slot, seq: u64, row: i64) -> Result<(), StoreError> {
        self.known[slot.0].stored += 1;
        let key = (seq / BLOCK_SEQS, self.id(slot));
        let block = self.block(connection, key)?;
        let start = usize::try_from(seq % BLOCK_SEQS).unwrap_or(0) * PLACE_BYTES;
        block.rows.resize(BLOCK_BYTES, 0);
        block.number.get_or_insert(row);
        block.rows[start..start + PLACE_BYTES].copy_from_slice(&row.to_le_bytes()[..PLACE_BYTES]);
        if !block.touched {
            block.touched = true;
            self.touched_places.push(key);
        }
        Ok(())
    }

    /// Where the event lies in the ledger, if it was accepted.
    pub fn row(&mut self, connection: &Connection, boot: BootId, seq: u64) -> Result<Option<i64>, StoreError> {
        let block = self.block(connection, (seq / BLOCK_SEQS, boot))?;
        Ok(place(&block.rows, seq))
    }

    /// Like [`Boots::row`], for a boot that need not exist and is not begun by asking.
    pub fn find(&mut self, connection: &Connection, name: BootName<'_>, seq: u64) -> Result<Option<i64>, StoreError> {
        let known = match self.opened(name) {
            Some(slot) => Some(self.id(slot)),
            None => stored(connection, name)?.map(|(id, ..)| BootId(id)),
        };
        known.map_or(Ok(None), |boot| self.row(connection, boot, seq))
    }

    fn block(&mut self, connection: &Connection, key: (u64, BootId)) -> Result<&mut Block, StoreError> {
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.places.entry(key) {
            vacant.insert(read_block(connection, key.1, key.0)?.map(Block::stored).unwrap_or_default());
        }
        self.places.get_mut(&key).ok_or(StoreError::Corrupt("a block vanished from memory"))
    }

    /// Writes what changed since the last flush.
    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.touched.sort_unstable_by_key(|slot| self.known[slot.0].id);
        let boots = self.touched.drain(..).map(|slot| {
            let known = &mut self.known[slot.0];
            known.touched = false;
            (known.id.0, to_i64(known.marks.next()), known.received, known.stored)
        });
        connection.execute_each("UPDATE boot SET next = ?2, received = ?3, stored = ?4 WHERE id = ?1", boots)?;
        let gaps = std::mem::take(&mut self.gaps);
        let mut delete = connection.prepare_cached("DELETE FROM gap WHERE boot = ?1 AND first = ?2")?;
        for ((boot, first), _) in gaps.iter().filter(|(_, gap)| gap.is_none()) {
            delete.execute((boot.0, to_i64(*first)))?;
        }
        let opened = gaps
            .iter()
            .filter_map(|((boot, first), gap)| gap.map(|(last, since)| (boot.0, to_i64(*first), to_i64(last), since)));
        let insert = "INSERT INTO gap VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (boot, first) DO UPDATE SET last = excluded.last, since = excluded.since";
        connection.execute_each(insert, opened)?;
        self.touched_places.sort_unstable();
        let mut begun = Vec::new();
        for key in &self.touched_places {
            let Some(block) = self.places.get_mut(key) else { continue };
            block.touched = false;
            if !std::mem::replace(&mut block.numbered, true) {
                begun.extend(block.number.map(|number| (to_i64(key.0), key.1.0, number)));
            }
        }
        let touched = self.touched_places.drain(..).filter_map(|key| self.places.get(&key));
        let mut rows: Vec<_> = touched.filter_map(|block| Some((block.number?, &block.rows))).collect();
        rows.sort_unstable_by_key(|(number, _)| *number);
        connection.execute_each("INSERT INTO event_block VALUES (?1, ?2, ?3)", begun)?;
        let upsert = "INSERT INTO event_row VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET rows = excluded.rows";
        connection.execute_each(upsert, rows)?;
        Ok(())
    }

    /// To be called between transactions only: keeps memory bounded however many devices there are.
    pub fn trim(&mut self) {
        if self.known.len() > MAX_CACHED {
            self.known.clear();
            self.devices.clear();
        }
        if self.places.len() > MAX_CACHED {
            self.places.clear();
        }
    }
}

/// Where an event lies, for readers.
pub fn find_row(connection: &Connection, boot: BootId, seq: u64) -> Result<Option<i64>, StoreError> {
    Ok(read_block(connection, boot, seq / BLOCK_SEQS)?.and_then(|(_, rows)| place(&rows, seq)))
}

/// Its number and its rows.
fn read_block(connection: &Connection, boot: BootId, block: u64) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT b.number, e.rows FROM event_block b JOIN event_row e ON e.number = b.number
         WHERE b.boot = ?1 AND b.block = ?2",
    )?;
    Ok(select.query_row((boot.0, to_i64(block)), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn place(rows: &[u8], seq: u64) -> Option<i64> {
    let start = usize::try_from(seq % BLOCK_SEQS).ok()? * PLACE_BYTES;
    let mut bytes = [0; 8];
    bytes[..PLACE_BYTES].copy_from_slice(rows.get(start..start + PLACE_BYTES)?);
    Some(i64::from_le_bytes(bytes)).filter(|row| *row != 0)
}

/// Its id, what comes next, when something of it came last, and how many of its events are stored.
fn stored(connection: &Connection, name: BootName<'_>) -> Result<Option<(i64, i64, i64, i64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, next, received, stored FROM boot WHERE device = ?1 AND incarnation = ?2 AND boot = ?3",
    )?;
    let row = select
        .query_row((name.device, name.incarnation, name.boot), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    Ok(row)
}

fn load(connection: &Connection, name: BootName<'_>) -> Result<Known, StoreError> {
    let Some((id, next, received, events)) = stored(connection, name)? else {
        let mut insert = connection.prepare_cached(&format!("{BEGIN} RETURNING id"))?;
        let id = insert.query_row((name.device, name.incarnation, name.boot), |row| row.get(0))?;
        return Ok(Known { id: BootId(id), marks: Marks::default(), received: 0, stored: 0, touched: false });
    };
    let mut gaps = connection.prepare_cached("SELECT first, last FROM gap WHERE boot = ?1")?;
    let gaps = gaps
        .query_map([id], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs())))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Known {
        id: BootId(id),
        marks: Marks::restore(next.unsigned_abs(), gaps),
        received,
        stored: events,
        touched: false,
    })
}

/// Seqs end at 2^53−1: they always fit.
pub fn to_i64(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
