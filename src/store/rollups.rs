//! What a batch adds to the rollups: gathered in memory, written in key order with the events it counts.
//!
//! Every deposit contributes through [`Rollups::deposit`], with weight 1 when it comes and −1 when a backdated schedule
//! takes its earlier contribution back, and moves between verdicts through [`Rollups::judged`]: so a rollup always equals
//! a recount of the ledger.

use fenlei_wire::vocabulary::{Stream, Timing, Verdict};

use super::StoreError;
use super::card_counts::CardCounts;
use super::gathered::Gathered;
use super::sql::Connection;
use crate::domain::roster::CardId;
use crate::domain::timetable::Classified;
use crate::domain::zone::Local;

/// Rows of the ledger that share one entry in `ledger_block`.
pub const BLOCK_ROWS: i64 = 4096;
/// What such an entry spans is told in whole hours: so few transactions have one to change.
const SPAN_MS: i64 = 3_600_000;

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

impl Counted {
    fn is_correct(&self) -> bool {
        self.verdict == Some(Verdict::Correct)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct HourKey {
    day: i32,
    site: i64,
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
    cards: CardCounts,
    hours: Gathered<HourKey, HourDelta>,
    presence: Gathered<(i32, i64, u16), i64>,
    blocks: Gathered<(i64, i64), (i64, i64)>,
}

impl Rollups {
    /// Adds (`weight` 1) or takes back (−1) one deposit.
    pub fn deposit(&mut self, counted: &Counted, classified: &Classified, weight: i64) {
        if let Some(card) = counted.card {
            let correct = weight * i64::from(counted.is_correct());
            self.cards.add((counted.community, counted.site), card, classified, weight, correct);
        }
        let hour = self.hour(counted, classified);
        hour.timing[timing_index(classified.timing)] += weight;
        hour.verdict[verdict_index(counted.verdict)] += weight;
        hour.grams += weight * i64::from(counted.grams);
    }

    /// A deposit that is counted has another verdict from now on.
    pub fn judged(&mut self, counted: &Counted, classified: &Classified, verdict: Option<Verdict>) {
        let now = Counted { verdict, ..*counted };
        if let Some(card) = counted.card {
            let correct = i64::from(now.is_correct()) - i64::from(counted.is_correct());
            self.cards.add((counted.community, counted.site), card, classified, 0, correct);
        }
        let hour = self.hour(counted, classified);
        hour.verdict[verdict_index(counted.verdict)] -= 1;
        hour.verdict[verdict_index(verdict)] += 1;
    }

    fn hour(&mut self, counted: &Counted, classified: &Classified) -> &mut HourDelta {
        let Classified { at, .. } = classified;
        let (site, stream) = (counted.site, counted.stream.code());
        self.hours.entry(HourKey { day: at.day.0, site, hour: at.minute / 60, stream }, HourDelta::default)
    }

    /// A bin of `site` reported at this minute.
    pub fn presence(&mut self, site: i64, at: Local) {
        *self.presence.entry((at.day.0, site, at.minute / 60), || 0) |= 1 << (at.minute % 60);
    }

    /// The ledger's row `id` holds an event of `site` that happened at `time`.
    pub fn ledger_row(&mut self, site: i64, id: i64, time: i64) {
        let first = time - time.rem_euclid(SPAN_MS);
        let last = first + SPAN_MS - 1;
        let span = self.blocks.entry((site, id / BLOCK_ROWS), || (first, last));
        *span = (span.0.min(first), span.1.max(last));
        self.cards.at_row(id);
    }

    /// Writes everything gathered, in key order.
    pub fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.cards.flush(connection)?;
        let hours = "INSERT INTO hour_count VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (day, site, hour, stream) DO UPDATE SET in_window = hour_count.in_window + excluded.in_window,
                 makeup = hour_count.makeup + excluded.makeup, off_hours = hour_count.off_hours + excluded.off_hours,
                 correct = hour_count.correct + excluded.correct, incorrect = hour_count.incorrect + excluded.incorrect,
                 unjudged = hour_count.unjudged + excluded.unjudged, grams = hour_count.grams + excluded.grams";
        let counts = self.hours.drain_in_order().into_iter().map(|(key, delta)| {
            let ([in_window, makeup, off_hours], [correct, incorrect, unjudged]) = (delta.timing, delta.verdict);
            let HourKey { day, site, hour, stream } = key;
            (site, day, hour, stream, in_window, makeup, off_hours, correct, incorrect, unjudged, delta.grams)
        });
        connection.execute_each(hours, counts)?;
        let presence = "INSERT INTO presence VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (day, site, hour) DO UPDATE SET minutes = presence.minutes | excluded.minutes";
        let minutes = self.presence.drain_in_order().into_iter();
        connection.execute_each(presence, minutes.map(|((day, site, hour), minutes)| (site, day, hour, minutes)))?;
        let blocks = "INSERT INTO ledger_block VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (site, block) DO UPDATE SET first_time = min(ledger_block.first_time, excluded.first_time),
                 last_time = max(ledger_block.last_time, excluded.last_time)
             WHERE excluded.first_time < ledger_block.first_time OR excluded.last_time > ledger_block.last_time";
        let spans = self.blocks.drain_in_order().into_iter();
        connection.execute_each(blocks, spans.map(|((site, block), (first, last))| (site, block, first, last)))?;
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
