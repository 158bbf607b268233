//! The ledger in its order: is every event there once, where its name says, and covered by the marks of its boot.

use std::collections::{BTreeMap, HashMap};

use fenlei_wire::vocabulary::{EventType, Verdict};
use foldhash::fast::RandomState;
use serde::Deserialize;

use super::super::StoreError;
use super::super::sql::Connection;
use super::Part;
use super::read::{Boot, Facts};
use crate::domain::registry::VOLUNTEERS;

/// As `event_row` has it: seqs in a row of it, and bytes of a place.
const SEQS: i64 = 32;
const PLACE: usize = 5;
/// Rows of the ledger in a row of `ledger_block`.
const BLOCK: i64 = 4096;
/// Rows of the ledger read at once.
const PAGE: i64 = 100_000;
/// Rows of `event_row` kept at once.
const KEPT: usize = 80_000;

const DAY_MS: i64 = 86_400_000;
/// What is spanned is told in these.
const HOUR_MS: i64 = 3_600_000;

/// What the first look at the ledger has learnt for the second.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// How many events happened on each day, in UTC.
    pub(super) days: BTreeMap<i64, u64>,
    /// Each block of rows with the first and the last instant in it.
    pub(super) blocks: Vec<(i64, i64, i64)>,
}

pub(super) fn recount(connection: &Connection, facts: &Facts) -> Result<(Vec<Part>, Ledger), StoreError> {
    let mut look = Look {
        connection,
        gaps: gaps(connection)?,
        places: HashMap::default(),
        spans: BTreeMap::new(),
        spans_counted: 0,
        ledger: Ledger::default(),
        events: Part::new("events"),
        marks: Part::new("marks"),
        blocks: Part::new("ledger_block"),
    };
    let mut counted: HashMap<i64, i64, RandomState> = HashMap::default();
    let mut select = connection.prepare("SELECT id, boot, seq, time FROM ledger WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let (mut reached, mut block) = (None, 0);
    // By pages: a server's answer is held in memory as a whole.
    loop {
        let after: i64 = reached.unwrap_or(i64::MIN);
        let mut rows = select.query((after, PAGE))?;
        while let Some(row) = rows.next()? {
            let (id, boot, seq, time): (i64, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            reached = Some(id);
            let Some(of) = facts.boots.get(&boot) else {
                look.events.compare(false, || format!("row {id} is of boot {boot}, which no registered device has"));
                continue;
            };
            if block != id / BLOCK {
                look.end_block(block, facts)?;
                block = id / BLOCK;
            }
            *counted.entry(boot).or_default() += 1;
            look.event(id, (boot, of), seq, time)?;
        }
        if reached == Some(after) || reached.is_none() {
            break;
        }
    }
    look.end_block(block, facts)?;
    for (id, Boot { stored, .. }) in &facts.boots {
        let found = counted.get(id).copied().unwrap_or(0);
        look.marks.compare(found == *stored, || format!("boot {id} is said to have {stored} events, and has {found}"));
    }
    look.nothing_besides(counted.values().sum())?;
    let judged = judged(connection)?;
    let Look { events, marks, blocks, ledger, .. } = look;
    Ok((vec![events, marks, blocks, judged], ledger))
}

struct Look<'a> {
    connection: &'a Connection,
    /// By boot: what has not come, first and last seq.
    gaps: HashMap<i64, BTreeMap<i64, i64>, RandomState>,
    /// Rows of `event_row` as they were read.
    places: HashMap<(i64, i64), Vec<u8>, RandomState>,
    /// Of the present block, by site: the first and the last instant, by whole hours.
    spans: BTreeMap<usize, (i64, i64)>,
    spans_counted: i64,
    ledger: Ledger,
    events: Part,
    marks: Part,
    blocks: Part,
}

impl Look<'_> {
    fn event(&mut self, id: i64, (boot, of): (i64, &Boot), seq: i64, time: i64) -> Result<(), StoreError> {
        let found = self.place(boot, seq)?;
        // Of two rows under one name one at least is not where the name says.
        self.events.compare(found == Some(id), || match found {
            Some(row) => format!("seq {seq} of boot {boot} is in row {id}, but its name says row {row}"),
            None => format!("seq {seq} of boot {boot} is in row {id}, but its name says that it is nowhere"),
        });
        let gap = self.gaps.get(&boot).and_then(|gaps| gaps.range(..=seq).next_back());
        let missing = gap.is_some_and(|(_, last)| seq <= *last) || seq < 1 || seq >= of.next;
        self.marks.compare(!missing, || format!("seq {seq} of boot {boot} is in row {id}, and said not to have come"));
        let hour = time.div_euclid(HOUR_MS);
        let (first, last) = (hour * HOUR_MS, (hour + 1) * HOUR_MS - 1);
        let span = self.spans.entry(of.site).or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
        *self.ledger.days.entry(time.div_euclid(DAY_MS)).or_default() += 1;
        Ok(())
    }

    fn place(&mut self, boot: i64, seq: i64) -> Result<Option<i64>, StoreError> {
        let key = (boot, seq / SEQS);
        if !self.places.contains_key(&key) {
            if self.places.len() == KEPT {
                self.places.clear();
            }
            let mut select = self.connection.prepare_cached(
                "SELECT e.rows FROM event_block b JOIN event_row e ON e.number = b.number
                 WHERE b.boot = ?1 AND b.block = ?2",
            )?;
            let mut rows = select.query(key)?;
            let places = rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or_default();
            self.places.insert(key, places);
        }
        let within = usize::try_from(seq % SEQS).unwrap_or(0) * PLACE;
        let bytes = self.places.get(&key).and_then(|places| places.get(within..within + PLACE));
        Ok(bytes.map(number).filter(|row| *row != 0))
    }

    /// Holds the spans of a block against `ledger_block`.
    fn end_block(&mut self, block: i64, facts: &Facts) -> Result<(), StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT first_time, last_time FROM ledger_block WHERE site = ?1 AND block = ?2")?;
        let spans = std::mem::take(&mut self.spans);
        let first = spans.values().map(|(first, _)| *first).min();
        let last = spans.values().map(|(_, last)| *last).max();
        self.ledger.blocks.extend(first.zip(last).map(|(first, last)| (block, first, last)));
        for (site, span) in spans {
            let site = &facts.sites[site];
            let mut rows = select.query((site.place.site, block))?;
            let kept = rows.next()?.map(|row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?))).transpose()?;
            self.spans_counted += 1;
            self.blocks.compare(kept == Some(span), || {
                format!("site {}, block {block}: kept {kept:?}, counted {span:?}", site.id)
            });
        }
        Ok(())
    }

    /// What is named or spanned besides is nowhere in the ledger.
    fn nothing_besides(&mut self, events: i64) -> Result<(), StoreError> {
        let mut select = self.connection.prepare("SELECT rows FROM event_row")?;
        let mut rows = select.query([])?;
        let mut named = 0;
        while let Some(row) = rows.next()? {
            let places = row.get_ref(0)?.as_blob().unwrap_or_default();
            named += places.chunks(PLACE).filter(|place| place.iter().any(|byte| *byte != 0)).count() as i64;
        }
        let blocks: i64 = self.connection.query_row("SELECT count(*) FROM event_block", [], |row| row.get(0))?;
        let kept: i64 = self.connection.query_row("SELECT count(*) FROM event_row", [], |row| row.get(0))?;
        if blocks != kept {
            self.events.differs(|| format!("{blocks} blocks of places are known, and {kept} are kept"));
        }
        if named != events {
            self.events.differs(|| format!("{named} events have a place, and the ledger has {events}"));
        }
        let spans: i64 = self.connection.query_row("SELECT count(*) FROM ledger_block", [], |row| row.get(0))?;
        if spans != self.spans_counted {
            let counted = self.spans_counted;
            self.blocks.differs(|| format!("{spans} rows, and the ledger makes {counted}"));
        }
        Ok(())
    }
}

fn number(bytes: &[u8]) -> i64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

fn gaps(connection: &Connection) -> Result<HashMap<i64, BTreeMap<i64, i64>, RandomState>, StoreError> {
    let mut gaps: HashMap<i64, BTreeMap<i64, i64>, RandomState> = HashMap::default();
    let mut select = connection.prepare("SELECT boot, first, last FROM gap")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        gaps.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
    }
    Ok(gaps)
}

#[derive(Deserialize)]
struct Judgement {
    verdict: Verdict,
}

/// Every match that was made gave its deposit the verdict that the judgement says, and no deposit has one without.
fn judged(connection: &Connection) -> Result<Part, StoreError> {
    let mut part = Part::new("judged");
    let mut select = connection.prepare(
        "SELECT j.judgement, j.deposit, l.type, l.detail, v.kind, d.timing, d.camera, d.volunteer
         FROM judged j LEFT JOIN ledger l ON l.id = j.judgement LEFT JOIN boot b ON b.id = l.boot
         LEFT JOIN device v ON v.id = b.device LEFT JOIN ledger d ON d.id = j.deposit ORDER BY j.judgement",
    )?;
    let mut rows = select.query([])?;
    let mut matches = 0;
    while let Some(row) = rows.next()? {
        let (judgement, deposit): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (kind, detail): (Option<String>, Option<String>) = (row.get(4)?, row.get(3)?);
        let is_judgement = row.get::<_, Option<u8>>(2)? == Some(EventType::Judgement.code());
        let said = detail.as_deref().and_then(|detail| serde_json::from_str::<Judgement>(detail).ok());
        let given: Option<u8> = row.get(if kind.as_deref() == Some(VOLUNTEERS) { 7 } else { 6 })?;
        let is_deposit = row.get::<_, Option<u8>>(5)?.is_some();
        let agrees = said.is_some_and(|said| given == Some(said.verdict.code()));
        matches += 1;
        part.compare(is_judgement && is_deposit && agrees, || {
            format!("row {judgement} judged row {deposit}, which does not have its verdict")
        });
    }
    let sql = "SELECT count(camera) + count(volunteer) FROM ledger";
    let verdicts: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if verdicts != matches {
        part.differs(|| format!("{verdicts} verdicts were given, and {matches} matches are known"));
    }
    Ok(part)
}
