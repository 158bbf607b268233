//! Messages for projectors, as schedulers asked for them.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::projection::{Message, Start, Target, When};

/// What was asked for, in the words of the API, with everything decided that was left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// With its placeholders.
    pub text: String,
    pub target: Target,
    #[serde(flatten)]
    pub times: Times,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Times {
    Once { at: i64, seconds: u32 },
    Daily { start: String, seconds: u32, from: NaiveDate, until: Option<NaiveDate> },
}

impl Times {
    fn when(&self) -> Result<When, StoreError> {
        Ok(match self {
            Self::Once { at, seconds } => When::Once { at: *at, seconds: *seconds },
            Self::Daily { start, seconds, from, until } => {
                let start = Start::parse(start).ok_or(StoreError::Corrupt("a message's start is unreadable"))?;
                When::Daily { start, seconds: *seconds, from: *from, until: *until }
            }
        })
    }

    /// An instant after which nothing of it is shown, in any zone.
    fn over(&self) -> i64 {
        match self {
            Self::Once { at, seconds } => at + i64::from(*seconds) * 1000,
            Self::Daily { until: None, .. } => i64::MAX,
            Self::Daily { seconds, until: Some(until), .. } => {
                let after = until.checked_add_days(Days::new(3)).unwrap_or(NaiveDate::MAX);
                let midnight = after.and_time(chrono::NaiveTime::MIN).and_utc();
                midnight.timestamp_millis() + i64::from(*seconds) * 1000
            }
        }
    }
}

/// A message as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub number: i64,
    pub id: String,
    pub asked: Asked,
    pub created: i64,
}

impl Stored {
    pub fn message(&self) -> Result<Message, StoreError> {
        let (target, when) = (self.asked.target.clone(), self.asked.times.when()?);
        Ok(Message { number: self.number, target, when })
    }
}

/// Stores a message and gives its id.
pub fn add(connection: &Connection, asked: &Asked, now: i64) -> Result<String, StoreError> {
    let document = serde_json::to_string(asked).map_err(|_| StoreError::Corrupt("a message cannot be written"))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO message (id, document, created, over) VALUES (lower(hex(randomblob(12))), ?1, ?2, ?3) RETURNING id",
    )?;
    Ok(insert.query_row((document, now, asked.times.over()), |row| row.get(0))?)
}

const COLUMNS: &str = "number, id, document, created";

fn read(row: &Row<'_>) -> super::sql::Result<(i64, String, String, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn stored((number, id, document, created): (i64, String, String, i64)) -> Result<Stored, StoreError> {
    let asked = serde_json::from_str(&document).map_err(|_| StoreError::Corrupt("a message is unreadable"))?;
    Ok(Stored { number, id, asked, created })
}

/// A message that was not deleted.
pub fn get(connection: &Connection, id: &str) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE id = ?1 AND deleted IS NULL");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()?.map(stored).transpose()
}

/// Messages that were not deleted, by number.
pub fn list(connection: &Connection, after: i64, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE deleted IS NULL AND number > ?1 ORDER BY number LIMIT ?2");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map((after, i64::try_from(limit).unwrap_or(i64::MAX)), read)?;
    rows.map(|row| stored(row?)).collect()
}

/// Those of which something may still be shown, as they were asked for.
pub fn current(connection: &Connection, now: DateTime<Utc>) -> Result<Vec<Stored>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE over > ?1 AND deleted IS NULL");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map([now.timestamp_millis()], read)?;
    rows.map(|row| stored(row?)).collect()
}

/// The same, as projectors are planned by.
pub fn live(connection: &Connection, now: DateTime<Utc>) -> Result<Vec<Message>, StoreError> {
    current(connection, now)?.iter().map(Stored::message).collect()
}

/// Those of which nothing is shown any more, the newest first.
pub fn over(connection: &Connection, now: DateTime<Utc>, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM message WHERE over <= ?1 AND deleted IS NULL ORDER BY over DESC, number DESC LIMIT ?2"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map((now.timestamp_millis(), i64::try_from(limit).unwrap_or(i64::MAX)), read)?;
    rows.map(|row| stored(row?)).collect()
}

pub fn text(connection: &Connection, number: i64) -> Result<String, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE number = ?1");
    Ok(stored(connection.prepare_cached(&sql)?.query_row([number], read)?)?.asked.text)
}

pub fn delete(connection: &Connection, number: i64, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE message SET deleted = ?2 WHERE number = ?1")?.execute((number, now))?;
    Ok(())
}
