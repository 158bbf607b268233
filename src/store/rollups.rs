//! What a batch adds to the rollups: gathered in memory, written in key order with the events it counts.
//!
//! Every deposit contributes through [`Rollups::deposit`], with weight 1 when it comes and −1 when a
//! later judgement or a backdated schedule takes its earlier contribution back: so a rollup always
//! equals a recount of the ledger.

use std::collections::BTreeMap;

use fenlei_wire::vocabulary::{Stream, Timing, Verdict};
use rusqlite::Connection;

use super::StoreError;
use crate::domain::roster::CardId;
use crate::domain::schedule::Classified;
use crate::domain::zone::Local;

/// Rows of the ledger that share one entry in `ledger_block`.
pub const BLOCK_ROWS: i64 = 4096;
/// `card_count.place` of a further window that a deposit lies in.
pub const ALSO_IN: u8 = 4;

/// What a deposit counts as.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub community: i64,
    pub site: i64,
    pub stream: Stream,
    pub grams: u32,
    pub card: Option<CardId>,
    pub verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CardKey {
    community: i64,
    day: i32,
    site: i64,
    place: u8,
    open: u16,
    close: u16,
    card: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HourKey {
    site: i64,
    day: i32,
    hour: u16,
    stream: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct HourDelta {
    timing: [i64; 3],
    verdict: [i64; 3],
    grams: i64,
}

/// Changes to the rollups, not yet written.
#[derive(Debug, Default)]
pub struct Rollups {
    cards: BTreeMap<CardKey, (i64, i64)>,
    hours: BTreeMap<HourKey, HourDelta>,
    presence: BTreeMap<(i64, i32, u16), i64>,
    blocks: BTreeMap<(i64, i64), (i64, i64)>,
}

impl Rollups {
    /// Adds (`weight` 1) or takes back (−1) one deposit.
    pub fn deposit(&mut self, counted: &Counted, classified: &Classified, weight: i64) {
        let correct = if counted.verdict == Some(Verdict::Correct) { weight } else { 0 };
        if let Some(card) = counted.card {
            let mut add = |place: u8, (open, close): (u16, u16), correct: i64| {
                let key = CardKey {
                    community: counted.community,
                    day: classified.at.day.0,
                    site: counted.site,
                    place,
                    open,
                    close,
                    card: card.0,
                };
                let row = self.cards.entry(key).or_default();
                row.0 += weight;
                row.1 += correct;
            };
            let mut openings = classified.openings.iter().map(|opening| (opening.open, opening.close));
            add(classified.timing.code(), openings.next().unwrap_or((0, 0)), correct);
            for opening in openings {
                add(ALSO_IN, opening, 0);
            }
        }
        let key = HourKey {
            site: counted.site,
            day: classified.at.day.0,
            hour: classified.at.minute / 60,
            stream: counted.stream.code(),
        };
        let row = self.hours.entry(key).or_default();
        row.timing[timing_index(classified.timing)] += weight;
        row.verdict[verdict_index(counted.verdict)] += weight;
        row.grams += weight * i64::from(counted.grams);
    }

    /// A bin of `site` reported at this minute.
    pub fn presence(&mut self, site: i64, at: Local) {
        *self.presence.entry((site, at.day.0, at.minute / 60)).or_default() |= 1 << (at.minute % 60);
    }

    /// The ledger's row `id` holds an event of `site` that happened at `time`.
    pub fn ledger_row(&mut self, site: i64, id: i64, time: i64) {
        let span = self.blocks.entry((site, id / BLOCK_ROWS)).or_insert((time, time));
        *span = (span.0.min(time), span.1.max(time));
    }

    /// Writes everything gathered, in key order.
    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut cards = connection.prepare_cached(
            "INSERT INTO card_count VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET deposits = deposits + excluded.deposits, correct = correct + excluded.correct",
        )?;
        for (key, (deposits, correct)) in std::mem::take(&mut self.cards) {
            if deposits != 0 || correct != 0 {
                cards.execute((
                    key.community,
                    key.day,
                    key.site,
                    key.place,
                    key.open,
                    key.close,
                    key.card,
                    deposits,
                    correct,
                ))?;
            }
        }
        let mut hours = connection.prepare_cached(
            "INSERT INTO hour_count VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT DO UPDATE SET in_window = in_window + excluded.in_window,
                 makeup = makeup + excluded.makeup, off_hours = off_hours + excluded.off_hours,
                 correct = correct + excluded.correct, incorrect = incorrect + excluded.incorrect,
                 unjudged = unjudged + excluded.unjudged, grams = grams + excluded.grams",
        )?;
        for (key, delta) in std::mem::take(&mut self.hours) {
            let ([in_window, makeup, off_hours], [correct, incorrect, unjudged]) = (delta.timing, delta.verdict);
            hours.execute((
                key.site,
                key.day,
                key.hour,
                key.stream,
                in_window,
                makeup,
                off_hours,
                correct,
                incorrect,
                unjudged,
                delta.grams,
            ))?;
        }
        let mut presence = connection.prepare_cached(
            "INSERT INTO presence VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET minutes = minutes | excluded.minutes",
        )?;
        for ((site, day, hour), minutes) in std::mem::take(&mut self.presence) {
            presence.execute((site, day, hour, minutes))?;
        }
        let mut blocks = connection.prepare_cached(
            "INSERT INTO ledger_block VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET first_time = min(first_time, excluded.first_time),
                 last_time = max(last_time, excluded.last_time)",
        )?;
        for ((site, block), (first, last)) in std::mem::take(&mut self.blocks) {
            blocks.execute((site, block, first, last))?;
        }
        Ok(())
    }
}

fn timing_index(timing: Timing) -> usize {
    match timing {
        Timing::InWindow => 0,
        Timing::Makeup => 1,
        Timing::OffHours => 2,
    }
}

fn verdict_index(verdict: Option<Verdict>) -> usize {
    match verdict {
        Some(Verdict::Correct) => 0,
        Some(Verdict::Incorrect) => 1,
        None => 2,
    }
}
