//! Writing the ledger: the rows of a transaction are numbered and gathered, and sent together before anybody looks for
//! them in the store. What a verdict changes of one that is gathered is changed where it is.

use std::collections::VecDeque;

use fenlei_wire::vocabulary::{Stream, Timing};

use super::boots::{BootId, to_i64};
use super::matching::{Judge, Judgement};
use super::sql::{self, Connection, OptionalExtension, Params, ToSql, Value};
use super::{StoreError, ledger};
use crate::domain::event::{Body, Event};
use crate::domain::roster::CardId;

/// An event about to be written.
pub struct NewRow<'a> {
    pub boot: BootId,
    pub event: &'a Event,
    pub received: i64,
    pub card: Option<CardId>,
    pub timing: Option<Timing>,
}

/// What is known of a deposit that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Deposit {
    pub time: i64,
    pub stream: Stream,
    pub grams: u32,
    pub card: Option<CardId>,
    pub verdicts: Verdicts,
}

/// What a deposit was given, as codes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdicts {
    pub volunteer: Option<u8>,
    pub camera: Option<u8>,
    /// The bin's own.
    pub bin: Option<u8>,
}

/// The rows of one transaction.
pub struct Appender<'a> {
    connection: &'a Connection,
    numbers: Numbers,
    rows: Vec<Gathered>,
    /// Matches made: the judgement's row, and the deposit's.
    judged: Vec<(i64, i64)>,
}

enum Numbers {
    /// In a file the next one is the last one's and one more: nobody else writes.
    Next(i64),
    /// Drawn from the server ahead, ascending. Those that are not used in the end are nobody's.
    Drawn(VecDeque<i64>),
}

/// A row as the store will have it.
struct Gathered {
    id: i64,
    /// As the store is told of it. A file is not: it gives the same number by itself, and sooner, for it need not look
    /// whether there is such a row.
    told: Option<i64>,
    boot: i64,
    seq: i64,
    time: i64,
    lag: i64,
    event_type: u8,
    unsynced: Option<u8>,
    stream: Option<Stream>,
    grams: Option<u32>,
    card: Option<CardId>,
    timing: Option<Timing>,
    verdict: Option<u8>,
    camera: Option<u8>,
    detail: Option<String>,
}

const COLUMNS: &str = "id, boot, seq, time, lag, type, unsynced, stream, grams, card, timing, verdict, camera, detail";

impl Params for Gathered {
    fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> sql::Result<()>) -> sql::Result<()> {
        take(self.told.value())?;
        for number in [self.boot, self.seq, self.time, self.lag, self.event_type.into()] {
            take(Value::Integer(number))?;
        }
        take(self.unsynced.value())?;
        take(coded(self.stream.map(Stream::code)))?;
        take(self.grams.value())?;
        take(coded(self.card.map(|card| card.0)))?;
        take(coded(self.timing.map(Timing::code)))?;
        take(self.verdict.value())?;
        take(self.camera.value())?;
        take(self.detail.value())
    }
}

fn coded<'p>(code: Option<impl Into<i64>>) -> Value<'p> {
    code.map_or(Value::Null(sql::Kind::Integer), |code| Value::Integer(code.into()))
}

impl<'a> Appender<'a> {
    pub fn new(connection: &'a Connection) -> Result<Self, StoreError> {
        let numbers = match connection.sqlite() {
            Some(_) => Numbers::Next(ledger::last_row(connection)? + 1),
            None => Numbers::Drawn(VecDeque::new()),
        };
        Ok(Self { connection, numbers, rows: Vec::new(), judged: Vec::new() })
    }

    /// Makes room for so many rows. From a server their numbers are drawn at once: drawing one is a way there and back.
    pub fn foresee(&mut self, count: usize) -> Result<(), StoreError> {
        self.rows.reserve(count);
        let Numbers::Drawn(numbers) = &mut self.numbers else { return Ok(()) };
        let mut draw = self.connection.prepare_cached(
            "SELECT nextval(pg_get_serial_sequence('ledger', 'id')) FROM generate_series(1, CAST(?1 AS bigint))",
        )?;
        let drawn = draw.query_map([i64::try_from(count).unwrap_or(i64::MAX)], |row| row.get(0))?;
        for number in drawn {
            numbers.push_back(number?);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<i64, StoreError> {
        if matches!(&self.numbers, Numbers::Drawn(numbers) if numbers.is_empty()) {
            self.foresee(1)?;
        }
        match &mut self.numbers {
            Numbers::Next(next) => {
                *next += 1;
                Ok(*next - 1)
            }
            Numbers::Drawn(numbers) => numbers.pop_front().ok_or(StoreError::Corrupt("a row without a number")),
        }
    }

    pub fn append(&mut self, row: &NewRow<'_>) -> Result<i64, StoreError> {
        let event = row.event;
        let (stream, grams, verdict) = match &event.body {
            Body::Deposit(deposit) => (Some(deposit.stream), Some(deposit.grams), deposit.verdict),
            Body::Emptied(emptied) => (Some(emptied.stream), Some(emptied.grams), None),
            _ => (None, None, None),
        };
        let id = self.number()?;
        self.rows.push(Gathered {
            id,
            told: matches!(self.numbers, Numbers::Drawn(_)).then_some(id),
            boot: row.boot.0,
            seq: to_i64(event.seq),
            time: event.time,
            lag: row.received - event.time,
            event_type: event.body.event_type().code(),
            unsynced: event.unsynced.then_some(1),
            stream,
            grams,
            card: row.card,
            timing: row.timing,
            verdict: verdict.map(|verdict| verdict.code()),
            camera: None,
            detail: event.body.detail(),
        });
        Ok(id)
    }

    fn gathered(&mut self, row: i64) -> Option<&mut Gathered> {
        let place = self.rows.binary_search_by_key(&row, |gathered| gathered.id).ok()?;
        self.rows.get_mut(place)
    }

    /// The deposit in a row; `None`: the row has none.
    pub fn deposit(&mut self, row: i64) -> Result<Option<Deposit>, StoreError> {
        if let Some(Gathered { time, stream, grams, card, timing, verdict, camera, .. }) = self.gathered(row) {
            let (Some(stream), Some(grams), Some(_)) = (*stream, *grams, *timing) else { return Ok(None) };
            let verdicts = Verdicts { volunteer: None, camera: *camera, bin: *verdict };
            return Ok(Some(Deposit { time: *time, stream, grams, card: *card, verdicts }));
        }
        // Not an UPDATE with RETURNING: that goes by a table of its own for each row.
        let mut select = self.connection.prepare_cached(
            "SELECT time, stream, grams, card, volunteer, camera, verdict FROM ledger
             WHERE id = ?1 AND timing IS NOT NULL",
        )?;
        let read = |row: &sql::Row<'_>| {
            let verdicts = Verdicts { volunteer: row.get(4)?, camera: row.get(5)?, bin: row.get(6)? };
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<i64>>(3)?, verdicts))
        };
        let Some((time, stream, grams, card, verdicts)) = select.query_row([row], read).optional()? else {
            return Ok(None);
        };
        Ok(Some(Deposit { time, stream: ledger::stream(stream)?, grams, card: card.map(CardId), verdicts }))
    }

    /// Writes a judge's verdict to the deposit in a row, which has none of such a judge.
    pub fn judge(&mut self, row: i64, judgement: Judgement) -> Result<(), StoreError> {
        let code = Some(judgement.verdict.code());
        self.judged.push((judgement.id, row));
        let update = match (judgement.by, self.gathered(row)) {
            (Judge::Camera, Some(gathered)) => {
                gathered.camera = code;
                return Ok(());
            }
            (Judge::Camera, None) => "UPDATE ledger SET camera = ?2 WHERE id = ?1",
            (Judge::Volunteer, _) => "UPDATE ledger SET volunteer = ?2 WHERE id = ?1",
        };
        self.settle(row)?;
        self.connection.prepare_cached(update)?.execute((row, code))?;
        Ok(())
    }

    /// Sends what was gathered, if `row` is of it, so that it can be read.
    pub fn settle(&mut self, row: i64) -> Result<(), StoreError> {
        match self.gathered(row) {
            Some(_) => self.flush(),
            None => Ok(()),
        }
    }

    /// Sends what was gathered.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.connection.insert_all("ledger", COLUMNS, &self.rows)?;
        if let (Some(last), Some(file)) = (self.rows.last(), self.connection.sqlite())
            && file.last_insert_rowid() != last.id
        {
            return Err(StoreError::Corrupt("the ledger numbers its rows otherwise than one by one"));
        }
        self.rows.clear();
        self.connection.insert_all("judged", "judgement, deposit", &self.judged)?;
        self.judged.clear();
        Ok(())
    }
}
