//! The ledger's rows: writing an event, reading it back as it was.

use std::collections::VecDeque;

use fenlei_wire::vocabulary::{EventType, Stream, Timing, Verdict};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::boots::{BootId, to_i64};
use super::sql::{Connection, CopyRows, OptionalExtension, Row, Statement};
use crate::domain::card::CardHash;
use crate::domain::event::{Body, Deposit, Emptied, Event};
use crate::domain::roster::CardId;

/// An event about to be written.
pub struct NewRow<'a> {
    pub boot: BootId,
    pub event: &'a Event,
    pub received: i64,
    pub card: Option<CardId>,
    pub timing: Option<Timing>,
}

/// Writes rows; prepared once for each transaction, since it runs for each event.
pub enum Appender<'a> {
    Sqlite(&'a rusqlite::Connection, Statement<'a>),
    /// Rows are gathered, and sent together before anybody looks at them.
    Postgres {
        connection: &'a Connection,
        /// Drawn ahead, ascending. Numbers that are not used in the end are nobody's.
        numbers: VecDeque<i64>,
        /// The first row that is gathered.
        first: Option<i64>,
        rows: CopyRows,
    },
}

const COLUMNS: &str = "boot, seq, time, lag, type, unsynced, stream, grams, card, timing, verdict, detail";

impl<'a> Appender<'a> {
    pub fn new(connection: &'a Connection) -> Result<Self, StoreError> {
        let Some(file) = connection.sqlite() else {
            let rows = CopyRows::default();
            return Ok(Self::Postgres { connection, numbers: VecDeque::new(), first: None, rows });
        };
        let insert =
            format!("INSERT INTO ledger ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
        Ok(Self::Sqlite(file, connection.prepare_cached(&insert)?))
    }

    /// Draws the numbers of so many rows at once, where drawing one is a way to the server and back.
    pub fn foresee(&mut self, count: usize) -> Result<(), StoreError> {
        let Self::Postgres { connection, numbers, .. } = self else { return Ok(()) };
        let mut draw = connection.prepare_cached(
            "SELECT nextval(pg_get_serial_sequence('ledger', 'id')) FROM generate_series(1, CAST(?1 AS bigint))",
        )?;
        let drawn = draw.query_map([i64::try_from(count).unwrap_or(i64::MAX)], |row| row.get(0))?;
        for number in drawn {
            numbers.push_back(number?);
        }
        Ok(())
    }

    pub fn append(&mut self, row: &NewRow<'_>) -> Result<i64, StoreError> {
        let event = row.event;
        let (stream, grams, verdict) = match &event.body {
            Body::Deposit(deposit) => (Some(deposit.stream), Some(deposit.grams), deposit.verdict),
            Body::Emptied(emptied) => (Some(emptied.stream), Some(emptied.grams), None),
            _ => (None, None, None),
        };
        let values = (
            row.boot.0,
            to_i64(event.seq),
            event.time,
            row.received - event.time,
            event.body.event_type().code(),
            event.unsynced.then_some(1),
            stream.map(Stream::code),
            grams,
            row.card.map(|card| card.0),
            row.timing.map(Timing::code),
            verdict.map(Verdict::code),
            event.body.detail(),
        );
        if matches!(self, Self::Postgres { numbers, .. } if numbers.is_empty()) {
            self.foresee(1)?;
        }
        match self {
            Self::Sqlite(file, insert) => {
                insert.execute(values)?;
                Ok(file.last_insert_rowid())
            }
            Self::Postgres { numbers, first, rows, .. } => {
                let id = numbers.pop_front().ok_or(StoreError::Corrupt("a row without a number"))?;
                first.get_or_insert(id);
                rows.push(Some(id), &values)?;
                Ok(id)
            }
        }
    }

    /// Sends what was gathered, if `row` may be of it, so that it can be read and changed.
    pub fn settle(&mut self, row: i64) -> Result<(), StoreError> {
        match self {
            Self::Postgres { first, .. } if first.is_some_and(|first| row >= first) => self.flush(),
            _ => Ok(()),
        }
    }

    /// Sends what was gathered.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres { connection, first, rows, .. } if !rows.is_empty() => {
                *first = None;
                Ok(connection.copy_in(&format!("ledger (id, {COLUMNS})"), rows)?)
            }
            _ => Ok(()),
        }
    }
}

/// The id of the last row, 0 where there is none.
pub fn last_row(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM ledger")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// The columns from which [`read_event`] reads, of `ledger l LEFT JOIN card c` and `boot b`.
pub const EVENT_COLUMNS: &str =
    "b.boot, l.seq, l.time, l.unsynced, l.type, l.stream, l.grams, c.hash, l.verdict, l.detail";

/// The event in a row, as it was accepted.
pub fn event(connection: &Connection, id: i64) -> Result<Option<Event>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {EVENT_COLUMNS} FROM ledger l JOIN boot b ON b.id = l.boot LEFT JOIN card c ON c.id = l.card
         WHERE l.id = ?1"
    ))?;
    let event = select.query_row([id], |row| Ok(read_event(row))).optional()?;
    event.transpose()
}

/// Whether `again`, come under the name of the event in a row, says the same. Of an erased card nothing is known any more:
/// whatever card comes again is it.
pub fn says(connection: &Connection, id: i64, again: &Event) -> Result<bool, StoreError> {
    let Some(mut stored) = event(connection, id)? else { return Ok(false) };
    if stored.same_content(again) {
        return Ok(true);
    }
    let (Body::Deposit(deposit), Body::Deposit(Deposit { card: card @ Some(_), .. })) = (&mut stored.body, &again.body)
    else {
        return Ok(false);
    };
    let mut select =
        connection.prepare_cached("SELECT c.erased FROM ledger l JOIN card c ON c.id = l.card WHERE l.id = ?1")?;
    let erased: Option<Option<i64>> = select.query_row([id], |row| row.get(0)).optional()?;
    if erased.flatten().is_none() {
        return Ok(false);
    }
    deposit.card = *card;
    Ok(stored.same_content(again))
}

/// Reads [`EVENT_COLUMNS`], which must come first.
pub fn read_event(row: &Row<'_>) -> Result<Event, StoreError> {
    let event_type = EventType::from_code(row.get(4)?).ok_or(StoreError::Corrupt("an unknown event type"))?;
    let detail: Option<String> = row.get(9)?;
    let body = match event_type {
        EventType::Deposit => {
            let hash: Option<[u8; 16]> = row.get(7)?;
            Body::Deposit(Deposit {
                stream: stream(row.get(5)?)?,
                grams: row.get(6)?,
                card: hash.map(CardHash),
                verdict: verdict(row.get(8)?)?,
                reason: detail.map(|detail| parse::<Reason>(&detail)).transpose()?.map(|reason| reason.reason),
            })
        }
        EventType::Emptied => Body::Emptied(Emptied { stream: stream(row.get(5)?)?, grams: row.get(6)? }),
        other => detailed(other, detail.as_deref().unwrap_or("{}"))?,
    };
    Ok(Event {
        boot: row.get(0)?,
        seq: row.get::<_, i64>(1)?.unsigned_abs(),
        time: row.get(2)?,
        unsynced: row.get::<_, Option<i64>>(3)?.is_some(),
        body,
    })
}

fn detailed(event_type: EventType, detail: &str) -> Result<Body, StoreError> {
    Ok(match event_type {
        EventType::Fill => Body::Fill(parse(detail)?),
        EventType::Door => Body::Door(parse(detail)?),
        EventType::Alarm => Body::Alarm(parse(detail)?),
        EventType::Judgement => Body::Judgement(parse(detail)?),
        EventType::Sighting => Body::Sighting(parse(detail)?),
        EventType::Display => Body::Display(parse(detail)?),
        EventType::Executed => Body::Executed(parse(detail)?),
        EventType::Heartbeat => Body::Heartbeat(parse(detail)?),
        EventType::Lost => Body::Lost(parse(detail)?),
        EventType::Deposit | EventType::Emptied => return Err(StoreError::Corrupt("a deposit without its columns")),
    })
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

fn parse<T: DeserializeOwned>(detail: &str) -> Result<T, StoreError> {
    serde_json::from_str(detail).map_err(|_| StoreError::Corrupt("a ledger row's detail cannot be read"))
}

pub fn stream(code: u8) -> Result<Stream, StoreError> {
    Stream::from_code(code).ok_or(StoreError::Corrupt("an unknown stream"))
}

pub fn verdict(code: Option<u8>) -> Result<Option<Verdict>, StoreError> {
    code.map(|code| Verdict::from_code(code).ok_or(StoreError::Corrupt("an unknown verdict"))).transpose()
}

pub fn timing(code: u8) -> Result<Timing, StoreError> {
    Timing::from_code(code).ok_or(StoreError::Corrupt("an unknown timing"))
}

/// The verdict that stands: a volunteer's before a camera's, a camera's before the bin's.
pub fn standing(volunteer: Option<u8>, camera: Option<u8>, bin: Option<u8>) -> Result<Option<Verdict>, StoreError> {
    verdict(volunteer.or(camera).or(bin))
}
