//! The ledger's rows: reading an event back as it was.

use fenlei_wire::vocabulary::{EventType, Stream, Timing, Verdict};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::card::CardHash;
use crate::domain::event::{Body, Deposit, Emptied, Event};

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
