//! Judgements and the deposits they speak of, whichever comes first.

use std::collections::HashMap;

use fenlei_wire::vocabulary::Verdict;

use super::appender::{self, Appender, Verdicts};
use super::boots::to_i64;
use super::deposit_times::DepositTimes;
use super::rollups::{Counted, Rollups};
use super::sql::Connection;
use super::{StoreError, ledger};
use crate::domain::matching::{Candidate, REACH_MS, in_reach, nearest_first};
use crate::domain::registry::{Community, Site};

/// Who judges a deposit. Of each the first committed verdict stands; a volunteer's goes before a camera's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    Camera,
    Volunteer,
}

/// A judgement, by its row in the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    pub id: i64,
    pub by: Judge,
    pub verdict: Verdict,
}

/// Deposits of this transaction by time, and which bins have judgements waiting.
#[derive(Debug, Default)]
pub struct Waiting {
    /// How many judgements wait for a deposit of the bin.
    bins: Option<HashMap<i64, u64>>,
    pub deposits: DepositTimes,
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

    /// The bin's deposits that a judgement at `time` may mean, nearest first.
    pub fn in_reach(&mut self, connection: &Connection, bin: i64, time: i64) -> Result<Vec<Candidate>, StoreError> {
        let within = self.deposits.of_bin(connection, bin, time - REACH_MS, time + REACH_MS)?;
        Ok(nearest_first(time, within.iter().map(|found| Candidate { row: found.row, time: found.time })))
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
                claimed = Some(Judgement { id, by: Judge::Camera, verdict });
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

/// Gives a deposit a verdict, and moves the rollups with it. `false`: it has one of such a judge already.
pub fn apply(
    ledger: &mut Appender<'_>,
    rollups: &mut Rollups,
    site: &Site,
    community: &Community,
    judgement: Judgement,
    row: i64,
) -> Result<bool, StoreError> {
    let Some(deposit) = ledger.deposit(row)? else { return Ok(false) };
    let Verdicts { volunteer, camera, bin } = deposit.verdicts;
    let code = Some(judgement.verdict.code());
    let (given, after) = match judgement.by {
        Judge::Camera => (camera, ledger::standing(volunteer, code, bin)?),
        Judge::Volunteer => (volunteer, ledger::standing(code, camera, bin)?),
    };
    if given.is_some() {
        return Ok(false);
    }
    ledger.judge(row, judgement)?;
    let before = ledger::standing(volunteer, camera, bin)?;
    if before != after {
        let appender::Deposit { time, stream, grams, card, .. } = deposit;
        let counted = Counted { community: community.key, site: site.key, stream, grams, card, verdict: before };
        rollups.judged(&counted, &site.timetable.classify(time, stream), after);
    }
    Ok(true)
}
