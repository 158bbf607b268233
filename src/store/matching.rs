//! Judgements and the deposits they speak of, whichever comes first.

use std::collections::{BTreeMap, HashMap};

use fenlei_wire::vocabulary::Verdict;
use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use super::boots::to_i64;
use super::ledger;
use super::rollups::{Counted, Rollups};
use crate::domain::matching::{Candidate, REACH_MS, in_reach, nearest};
use crate::domain::registry::{Community, Site};
use crate::domain::roster::CardId;

/// Milliseconds that share a bucket of `deposit_time`: about 17 minutes.
const BUCKET_MS: i64 = 1 << 20;
/// A deposit in a bucket: 3 bytes of time within it, 5 of its row.
const ENTRY_BYTES: usize = 8;

/// A camera's judgement, by its row in the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    pub id: i64,
    pub verdict: Verdict,
}

/// Deposits of this transaction by time, and which bins have judgements waiting.
#[derive(Debug, Default)]
pub struct Waiting {
    /// How many judgements wait for a deposit of the bin.
    bins: Option<HashMap<i64, u64>>,
    deposits: BTreeMap<(i64, i64), Vec<u8>>,
}

impl Waiting {
    /// How many judgements wait for each bin; read when it is first asked for.
    fn bins(&mut self, connection: &Connection) -> Result<&mut HashMap<i64, u64>, StoreError> {
        if self.bins.is_none() {
            let mut select = connection.prepare_cached("SELECT bin, count(*) FROM waiting_judgement GROUP BY bin")?;
            let bins = select
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
                .collect::<Result<_, _>>()?;
            self.bins = Some(bins);
        }
        Ok(self.bins.get_or_insert_default())
    }

    /// Notes where a deposit lies; written by [`Waiting::flush`].
    pub fn remember_deposit(&mut self, bin: i64, time: i64, row: i64) {
        let entries = self.deposits.entry((time.div_euclid(BUCKET_MS), bin)).or_default();
        let offset = u32::try_from(time.rem_euclid(BUCKET_MS)).unwrap_or(0);
        entries.extend_from_slice(&offset.to_le_bytes()[..3]);
        entries.extend_from_slice(&row.to_le_bytes()[..5]);
    }

    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO deposit_time VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET entries = CAST(entries || excluded.entries AS BLOB)",
        )?;
        for ((bucket, bin), entries) in std::mem::take(&mut self.deposits) {
            upsert.execute((bucket, bin, entries))?;
        }
        Ok(())
    }

    /// The bin's deposit nearest to `time` that no camera has judged.
    pub fn nearest(&self, connection: &Connection, bin: i64, time: i64) -> Result<Option<i64>, StoreError> {
        let mut candidates = Vec::new();
        let buckets = (time - REACH_MS).div_euclid(BUCKET_MS)..=(time + REACH_MS).div_euclid(BUCKET_MS);
        let mut select =
            connection.prepare_cached("SELECT entries FROM deposit_time WHERE bucket = ?1 AND bin = ?2")?;
        for bucket in buckets {
            let stored: Option<Vec<u8>> = select.query_row((bucket, bin), |row| row.get(0)).optional()?;
            candidates.extend(entries(bucket, stored.as_deref().unwrap_or_default()));
            candidates.extend(entries(bucket, self.deposits.get(&(bucket, bin)).map_or(&[], Vec::as_slice)));
        }
        let mut judged = connection.prepare_cached("SELECT camera IS NOT NULL FROM ledger WHERE id = ?1")?;
        while let Some(found) = nearest(time, candidates.iter().copied()) {
            if !judged.query_row([found.row], |row| row.get::<_, bool>(0))? {
                return Ok(Some(found.row));
            }
            candidates.retain(|candidate| candidate.row != found.row);
        }
        Ok(None)
    }

    /// Keeps a judgement until its deposit comes.
    pub fn wait(
        &mut self,
        connection: &Connection,
        judgement: Judgement,
        bin: i64,
        time: i64,
        deposit: Option<(u32, u64)>,
    ) -> Result<(), StoreError> {
        *self.bins(connection)?.entry(bin).or_default() += 1;
        let mut insert = connection.prepare_cached("INSERT INTO waiting_judgement VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let (boot, seq) = deposit.map(|(boot, seq)| (boot, to_i64(seq))).unzip();
        insert.execute((judgement.id, bin, time, boot, seq, judgement.verdict.code()))?;
        Ok(())
    }

    /// The first committed of the judgements that wait for this deposit; those that named it wait no longer.
    pub fn claim(
        &mut self,
        connection: &Connection,
        bin: i64,
        (boot, seq): (u32, u64),
        time: i64,
    ) -> Result<Option<Judgement>, StoreError> {
        let bins = self.bins(connection)?;
        if !bins.contains_key(&bin) {
            return Ok(None);
        }
        let mut select = connection.prepare_cached(
            "SELECT judgement, time, verdict, boot IS NOT NULL FROM waiting_judgement
             WHERE bin = ?1 AND ((boot = ?2 AND seq = ?3) OR (boot IS NULL AND seq IS NULL AND time BETWEEN ?4 - ?5 AND ?4 + ?5))
             ORDER BY judgement",
        )?;
        let waiting = select
            .query_map((bin, boot, to_i64(seq), time, REACH_MS), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, u8>(2)?, row.get::<_, bool>(3)?))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let mut delete = connection.prepare_cached("DELETE FROM waiting_judgement WHERE judgement = ?1")?;
        let mut claimed = None;
        for (id, judged_at, verdict, named) in waiting {
            let first = claimed.is_none();
            if first && (named || in_reach(judged_at, time)) {
                let verdict = Verdict::from_code(verdict).ok_or(StoreError::Corrupt("an unknown verdict"))?;
                claimed = Some(Judgement { id, verdict });
            }
            if first || named {
                delete.execute([id])?;
                let left = bins.get(&bin).map_or(0, |count| count.saturating_sub(1));
                if left == 0 {
                    bins.remove(&bin);
                } else {
                    bins.insert(bin, left);
                }
            }
        }
        Ok(claimed)
    }
}

fn entries(bucket: i64, bytes: &[u8]) -> impl Iterator<Item = Candidate> + '_ {
    bytes.chunks_exact(ENTRY_BYTES).map(move |entry| {
        let (mut offset, mut row) = ([0; 8], [0; 8]);
        offset[..3].copy_from_slice(&entry[..3]);
        row[..5].copy_from_slice(&entry[3..]);
        Candidate { row: i64::from_le_bytes(row), time: bucket * BUCKET_MS + i64::from_le_bytes(offset) }
    })
}

/// Gives a deposit its camera's verdict, unless it has one, and moves the rollups with it.
pub fn apply(
    connection: &Connection,
    rollups: &mut Rollups,
    site: &Site,
    community: &Community,
    judgement: Judgement,
    row: i64,
) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT time, stream, grams, card, verdict, camera, volunteer FROM ledger WHERE id = ?1 AND timing IS NOT NULL",
    )?;
    type Row = (i64, u8, u32, Option<i64>, Option<u8>, Option<u8>, Option<u8>);
    let deposit: Option<Row> = select
        .query_row([row], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })
        .optional()?;
    let Some((time, stream, grams, card, bin, camera, volunteer)) = deposit else { return Ok(()) };
    if camera.is_some() {
        return Ok(());
    }
    let stream = ledger::stream(stream)?;
    let before = ledger::standing(volunteer, None, bin)?;
    let after = ledger::standing(volunteer, Some(judgement.verdict.code()), bin)?;
    connection
        .prepare_cached("UPDATE ledger SET camera = ?2 WHERE id = ?1")?
        .execute((row, judgement.verdict.code()))?;
    connection.prepare_cached("INSERT INTO judged VALUES (?1, ?2)")?.execute((judgement.id, row))?;
    if before != after {
        let classified = site.timetable.classify(time, stream);
        let counted = Counted {
            community: community.key,
            site: site.key,
            stream,
            grams,
            card: card.map(CardId),
            verdict: before,
        };
        rollups.judged(&counted, &classified, after);
    }
    Ok(())
}
