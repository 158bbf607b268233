//! What devices are told to do, and each step of it: `queued → sent → accepted → displayed` (a bin's: `queued → sent →
//! done`), or `expired`, `refused`, `failed`.
//!
//! A command is planned by its occasion, so that planning again changes nothing; it is sent under one id until its device
//! answers or it expires, and what the device says comes from the ledger. So a restart at any moment forgets none.

use super::StoreError;
use super::sql::{Connection, OptionalExtension, ToSql};
use crate::domain::lids::Lid;
use crate::domain::projection::Span;

/// How long an answer is waited for before a command is sent again, in milliseconds.
pub const AGAIN_MS: i64 = 30_000;

/// What a device is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Display,
    Clear,
    /// Until the next edge of the hours.
    Lock,
    Unlock,
    /// Unlocked until the command expires, whatever the hours say.
    Open,
}

impl Order {
    const ALL: [Self; 5] = [Self::Display, Self::Clear, Self::Lock, Self::Unlock, Self::Open];

    fn as_str(self) -> &'static str {
        match self {
            Self::Display => "display",
            Self::Clear => "clear",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Open => "open",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|order| order.as_str() == text);
        known.ok_or(StoreError::Corrupt("an unknown type of command"))
    }

    /// How a lid is that has carried it out.
    pub fn lid(self) -> Option<Lid> {
        match self {
            Self::Display | Self::Clear => None,
            Self::Lock => Some(Lid::Locked),
            Self::Unlock | Self::Open => Some(Lid::Unlocked),
        }
    }
}

/// A command about to be queued.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// Its key.
    pub device: i64,
    pub occasion: String,
    pub order: Order,
    pub message: Option<i64>,
    pub due: i64,
    pub expires: i64,
}

/// The occasion of a span of the timeline.
pub fn planned(span: &Span) -> String {
    format!("{}/{}", span.message, span.start)
}

/// Queues a command; one of this occasion that nobody has answered yet only learns until when it holds.
pub fn queue(connection: &Connection, new: &NewCommand, now: i64) -> Result<(), StoreError> {
    let mut known = connection
        .prepare_cached("SELECT number, expires, state, sent FROM command WHERE device = ?1 AND occasion = ?2")?;
    type Known = (i64, i64, String, Option<i64>);
    let known: Option<Known> = known
        .query_row((new.device, &new.occasion), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    match known {
        Some((number, expires, state, sent)) => {
            if state == "expired" && sent.is_none() && new.expires > now {
                // Given up by a clock that was wrong, or taken back and wanted again: nobody has heard of it.
                connection
                    .prepare_cached("UPDATE command SET expires = ?2 WHERE number = ?1")?
                    .execute((number, new.expires))?;
                step(connection, number, "queued", now, None)?;
            } else if expires != new.expires && rank(&state) < TERMINAL {
                connection
                    .prepare_cached("UPDATE command SET expires = ?2 WHERE number = ?1")?
                    .execute((number, new.expires))?;
            }
        }
        None => {
            let mut insert = connection.prepare_cached(
                "INSERT INTO command (id, device, occasion, message, type, due, expires, state)
                 VALUES (lower(hex(randomblob(12))), ?1, ?2, ?3, ?4, ?5, ?6, 'queued') RETURNING number",
            )?;
            let kind = new.order.as_str();
            let number = insert
                .query_row((new.device, &new.occasion, new.message, kind, new.due, new.expires), |row| row.get(0))?;
            note(connection, number, "queued", now, None)?;
        }
    }
    Ok(())
}

const TERMINAL: u8 = 3;

/// Steps go forward only.
fn rank(state: &str) -> u8 {
    match state {
        "queued" => 0,
        "sent" => 1,
        "accepted" => 2,
        _ => TERMINAL,
    }
}

fn step(connection: &Connection, number: i64, state: &str, at: i64, detail: Option<&str>) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE command SET state = ?2 WHERE number = ?1")?.execute((number, state))?;
    note(connection, number, state, at, detail)
}

fn note(connection: &Connection, number: i64, state: &str, at: i64, detail: Option<&str>) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO command_step
             SELECT ?1, coalesce(max(step), 0) + 1, ?2, ?3, ?4 FROM command_step WHERE command = ?1",
        )?
        .execute((number, state, at, detail))?;
    Ok(())
}

/// Whether there is a command that nobody has answered for good.
pub fn any_open(connection: &Connection) -> Result<bool, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM command WHERE state IN ('queued', 'sent', 'accepted'))")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// A command that nobody has answered for good.
#[derive(Clone, Debug)]
pub struct Open {
    pub number: i64,
    pub occasion: String,
}

/// The commands of a device that were planned and may still be sent or withdrawn.
pub fn planned_and_open(connection: &Connection, device: i64) -> Result<Vec<Open>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT number, occasion FROM command
         WHERE state IN ('queued', 'sent', 'accepted') AND device = ?1 AND occasion NOT LIKE 'resume/%'",
    )?;
    let open = select.query_map([device], |row| Ok(Open { number: row.get(0)?, occasion: row.get(1)? }))?;
    Ok(open.collect::<Result<_, _>>()?)
}

/// Ends a command before its time: it is never sent again.
pub fn withdraw(connection: &Connection, number: i64, detail: &str, now: i64) -> Result<(), StoreError> {
    step(connection, number, "expired", now, Some(detail))
}

/// Ends what is past its time.
pub fn expire(connection: &Connection, now: i64) -> Result<(), StoreError> {
    let mut select = connection
        .prepare_cached("SELECT number FROM command WHERE state IN ('queued', 'sent', 'accepted') AND expires <= ?1")?;
    let expired = select.query_map([now], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    expired.into_iter().try_for_each(|number| step(connection, number, "expired", now, None))
}

/// A command to be sent now.
#[derive(Clone, Debug)]
pub struct Due {
    pub number: i64,
    pub id: String,
    pub device: i64,
    pub message: Option<i64>,
    pub order: Order,
    /// What it said when it was sent before.
    pub text: Option<String>,
    pub expires: i64,
}

/// What is to be sent: what is due for the first time, and what was not answered though the device was born again, or
/// for [`AGAIN_MS`].
pub fn due(connection: &Connection, now: i64) -> Result<Vec<Due>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT c.number, c.id, c.device, c.message, c.type, c.text, c.expires
         FROM command c LEFT JOIN device_state s ON s.device = c.device
         WHERE c.state IN ('queued', 'sent') AND c.due <= ?1 AND c.expires > ?1
           AND (c.sent IS NULL OR c.sent <= ?1 - ?2 OR c.sent > ?1 OR (s.online = 1 AND s.since > c.sent))
         ORDER BY c.due, c.number",
    )?;
    let (mut rows, mut due) = (select.query((now, AGAIN_MS))?, Vec::new());
    while let Some(row) = rows.next()? {
        due.push(Due {
            number: row.get(0)?,
            id: row.get(1)?,
            device: row.get(2)?,
            message: row.get(3)?,
            order: Order::parse(&row.get::<_, String>(4)?)?,
            text: row.get(5)?,
            expires: row.get(6)?,
        });
    }
    Ok(due)
}

/// Notes that a command goes out now, saying `text`.
pub fn sent(connection: &Connection, due: &Due, text: Option<&str>, now: i64) -> Result<(), StoreError> {
    let first: bool = connection
        .prepare_cached("SELECT sent IS NULL FROM command WHERE number = ?1")?
        .query_row([due.number], |row| row.get(0))?;
    connection
        .prepare_cached("UPDATE command SET sent = ?2, text = ?3 WHERE number = ?1")?
        .execute((due.number, now, text))?;
    if first { step(connection, due.number, "sent", now, None) } else { Ok(()) }
}

/// A command that a device spoke of.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub order: Order,
    pub message: Option<i64>,
    pub expires: i64,
}

/// What a device said of a command, if that is one of its own. A step back changes nothing; but what it carried out in time
/// it did, even if its answer came after the command had expired.
pub fn answered(
    connection: &Connection,
    (device, id): (i64, &str),
    status: &str,
    at: i64,
    detail: Option<&str>,
) -> Result<Option<Answered>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT number, state, expires, type, message FROM command WHERE id = ?1 AND device = ?2")?;
    type Row = (i64, String, i64, String, Option<i64>);
    let found: Option<Row> = select
        .query_row((id, device), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((number, state, expires, order, message)) = found else { return Ok(None) };
    let (before, after) = (rank(&state), rank(status));
    if before < after || (state == "expired" && at < expires) {
        step(connection, number, status, at, detail)?;
    }
    Ok(Some(Answered { order: Order::parse(&order)?, message, expires }))
}

/// How long what a lid was told is kept, in milliseconds.
const LIDS_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// Forgets what lids were told long ago: several commands a bin and day, of which the door events remain.
pub fn forget(connection: &Connection, now: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM command_step WHERE command IN
             (SELECT number FROM command WHERE due < ?1 AND type IN ('lock', 'unlock', 'open'))",
        "DELETE FROM command WHERE due < ?1 AND type IN ('lock', 'unlock', 'open')",
    ] {
        connection.prepare_cached(sql)?.execute([now - LIDS_KEPT_MS])?;
    }
    Ok(())
}

/// The projectors that show this message now, or were told to, each with the end of it.
pub fn showing(connection: &Connection, message: i64, now: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT device, max(expires) FROM command
         WHERE message = ?1 AND due <= ?2 AND expires > ?2 AND state IN ('sent', 'accepted', 'displayed')
         GROUP BY device",
    )?;
    let showing = select.query_map((message, now), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(showing.collect::<Result<_, _>>()?)
}

/// A command with its steps, for people.
#[derive(Clone, Debug)]
pub struct Life {
    pub id: String,
    pub device: String,
    pub text: Option<String>,
    pub due: i64,
    pub expires: i64,
    pub state: String,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub state: String,
    pub at: i64,
    pub detail: Option<String>,
}

/// Commands listed of one message, the newest.
const MAX_LISTED: u32 = 500;

/// The commands of a message, by when they were due.
pub fn of_message(connection: &Connection, message: i64) -> Result<Vec<Life>, StoreError> {
    lives(connection, "c.message = ?1", &message)
}

/// The commands of an occasion that several devices share.
pub fn of_occasion(connection: &Connection, occasion: &str) -> Result<Vec<Life>, StoreError> {
    lives(connection, "c.occasion = ?1", &occasion)
}

/// The command that was due last for a device (its key) as of `now`.
pub fn latest(connection: &Connection, device: i64, now: i64) -> Result<Option<Life>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT number FROM command WHERE device = ?1 AND due <= ?2 ORDER BY due DESC, number DESC LIMIT 1",
    )?;
    let number: Option<i64> = select.query_row((device, now), |row| row.get(0)).optional()?;
    Ok(number.map(|number| lives(connection, "c.number = ?1", &number)).transpose()?.and_then(|mut found| found.pop()))
}

fn lives(connection: &Connection, which: &str, value: &dyn ToSql) -> Result<Vec<Life>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT c.number, c.id, d.id, c.text, c.due, c.expires, c.state
         FROM command c JOIN device d ON d.key = c.device WHERE {which}
         ORDER BY c.due DESC, d.id DESC LIMIT ?2"
    ))?;
    let mut steps =
        connection.prepare_cached("SELECT state, at, detail FROM command_step WHERE command = ?1 ORDER BY step")?;
    let mut rows = select.query((value, MAX_LISTED))?;
    let mut lives = Vec::new();
    while let Some(row) = rows.next()? {
        let steps = steps.query_map([row.get::<_, i64>(0)?], |row| {
            Ok(Step { state: row.get(0)?, at: row.get(1)?, detail: row.get(2)? })
        })?;
        lives.push(Life {
            id: row.get(1)?,
            device: row.get(2)?,
            text: row.get(3)?,
            due: row.get(4)?,
            expires: row.get(5)?,
            state: row.get(6)?,
            steps: steps.collect::<Result<_, _>>()?,
        });
    }
    lives.reverse();
    Ok(lives)
}
