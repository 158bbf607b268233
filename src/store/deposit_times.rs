//! When each bin took deposits, and of which stream: `deposit_time`, an index over the ledger by time. It answers what a
//! camera's judgement may mean, and how another schedule would have timed a year, without reading the ledger.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use fenlei_wire::vocabulary::Stream;
use foldhash::fast::RandomState;

use super::gathered::Gathered;
use super::sql::Connection;
use super::{StoreError, ledger};

/// Bits of a bucket's milliseconds: about 17 minutes.
const BUCKET_BITS: u32 = 20;
const BUCKET_MS: i64 = 1 << BUCKET_BITS;
/// A bucket is stored in pieces, each of so many rows of the ledger: a piece is written anew whenever something is added,
/// and a bin may deliver any number of deposits of the same minutes.
const PIECE_BITS: u32 = 11;
/// A deposit in a bucket: 3 bytes of its stream and of its time within the bucket, 5 of its row.
const ENTRY_BYTES: usize = 8;

/// A deposit of a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposited {
    /// In the ledger.
    pub row: i64,
    pub time: i64,
    pub stream: Stream,
}

/// Buckets kept in memory before all are dropped and read again.
const MAX_CACHED: usize = 10_000;

/// The index as the writer needs it, by bucket and bin.
#[derive(Debug, Default)]
pub struct DepositTimes {
    /// What the store holds of the buckets that were asked for.
    stored: HashMap<(i64, i64), Vec<u8>, RandomState>,
    /// What the transaction adds.
    added: Gathered<(i64, i64), Vec<u8>>,
}

impl DepositTimes {
    pub fn add(&mut self, bin: i64, deposited: Deposited) {
        let entries = self.added.entry((deposited.time.div_euclid(BUCKET_MS), bin), Vec::new);
        let within = u32::try_from(deposited.time.rem_euclid(BUCKET_MS)).unwrap_or(0);
        let stamp = u32::from(deposited.stream.code()) << BUCKET_BITS | within;
        entries.extend_from_slice(&stamp.to_le_bytes()[..3]);
        entries.extend_from_slice(&deposited.row.to_le_bytes()[..5]);
    }

    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let upsert = "INSERT INTO deposit_time VALUES (?1, ?2, ?3, ?4) ON CONFLICT (bucket, bin, piece)
             DO UPDATE SET entries = CAST(deposit_time.entries || excluded.entries AS BLOB)";
        let added = self.added.drain_in_order();
        for (key, entries) in &added {
            if let Some(stored) = self.stored.get_mut(key) {
                stored.extend_from_slice(entries);
            }
        }
        let lists = added.into_iter().map(|((bucket, bin), entries)| (bucket, bin, piece(&entries), entries));
        Ok(connection.execute_each(upsert, lists)?)
    }

    /// The deposits of a bin from `from` to `to`, both included, those not yet written among them.
    pub fn of_bin(
        &mut self,
        connection: &Connection,
        bin: i64,
        from: i64,
        to: i64,
    ) -> Result<Vec<Deposited>, StoreError> {
        let mut found = Vec::new();
        for bucket in from.div_euclid(BUCKET_MS)..=to.div_euclid(BUCKET_MS) {
            let key = (bucket, bin);
            read_entries(bucket, self.stored(connection, key)?, &mut found)?;
            if let Some(entries) = self.added.get(&key) {
                read_entries(bucket, entries, &mut found)?;
            }
        }
        found.retain(|deposited| (from..=to).contains(&deposited.time));
        Ok(found)
    }

    fn stored(&mut self, connection: &Connection, key: (i64, i64)) -> Result<&[u8], StoreError> {
        if self.stored.len() >= MAX_CACHED && !self.stored.contains_key(&key) {
            self.stored.clear();
        }
        Ok(match self.stored.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(read_bucket(connection, key)?),
        })
    }
}

/// Tells every deposit of `bins` from `from` up to, not including, `before`; in no order.
pub fn for_each(
    connection: &Connection,
    bins: &[i64],
    (from, before): (i64, i64),
    mut each: impl FnMut(Deposited),
) -> Result<(), StoreError> {
    let mut found = Vec::new();
    for bucket in from.div_euclid(BUCKET_MS)..=before.div_euclid(BUCKET_MS) {
        for bin in bins {
            read_entries(bucket, &read_bucket(connection, (bucket, *bin))?, &mut found)?;
        }
        found.drain(..).filter(|deposited| (from..before).contains(&deposited.time)).for_each(&mut each);
    }
    Ok(())
}

fn read_bucket(connection: &Connection, key: (i64, i64)) -> Result<Vec<u8>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT entries FROM deposit_time WHERE bucket = ?1 AND bin = ?2 ORDER BY piece")?;
    let (mut rows, mut entries) = (select.query(key)?, Vec::new());
    while let Some(row) = rows.next()? {
        entries.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    Ok(entries)
}

/// Where what a transaction adds to a bucket belongs: by the first row of it.
fn piece(entries: &[u8]) -> i64 {
    entries.first_chunk::<ENTRY_BYTES>().map_or(0, |entry| row_of(entry) >> PIECE_BITS)
}

fn row_of(entry: &[u8; ENTRY_BYTES]) -> i64 {
    let mut row = [0; 8];
    row[..5].copy_from_slice(&entry[3..]);
    i64::from_le_bytes(row)
}

fn read_entries(bucket: i64, bytes: &[u8], into: &mut Vec<Deposited>) -> Result<(), StoreError> {
    let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
    into.reserve(entries.len());
    for entry in entries {
        let mut stamp = [0; 4];
        stamp[..3].copy_from_slice(&entry[..3]);
        let stamp = u32::from_le_bytes(stamp);
        into.push(Deposited {
            row: row_of(entry),
            time: bucket * BUCKET_MS + i64::from(stamp & ((1 << BUCKET_BITS) - 1)),
            stream: ledger::stream((stamp >> BUCKET_BITS) as u8)?,
        });
    }
    Ok(())
}
