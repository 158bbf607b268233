//! What projectors showed, by their own word: the proof of display.
//!
//! A projector says so when something begins to show. That lasts until it says the next thing, and at most as long as it was
//! asked to. Kept as it was said and cut when it is read, so that words that come late or in disorder count as if in order.

use fenlei_logic::screen::Screen;
use fenlei_wire::config::Config;
use fenlei_wire::time::UnixMillis;

use super::StoreError;
use super::sql::{Connection, OptionalExtension};

/// Notes what a projector shows from `start` on, at most until `until`; without a message it is its own of the evening.
pub fn note(
    connection: &Connection,
    device: i64,
    (start, until): (i64, i64),
    message: Option<i64>,
) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT INTO shown VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?.execute((
        device,
        start,
        until.max(start),
        message,
    ))?;
    Ok(())
}

/// Notes that a projector shows its own message of the evening, as it was told to.
pub fn note_evening(connection: &Connection, device: i64, start: i64) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached("SELECT document FROM device_config WHERE device = ?1")?;
    let document: Option<String> = select.query_row([device], |row| row.get(0)).optional()?;
    let config: Option<Config> = document.and_then(|document| serde_json::from_str(&document).ok());
    let end = config.and_then(|config| Screen::new().next_change(Some(&config), UnixMillis(start)));
    note(connection, device, (start, end.map_or(start, |end| end.0)), None)
}

/// What a projector showed: `[start, end)` in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub start: i64,
    pub end: i64,
    /// The id of the message; `None`: the projector's own of the evening.
    pub message: Option<String>,
}

/// What a projector showed in `[from, until)`, in order, cut to that time and to now.
pub fn of_device(
    connection: &Connection,
    device: i64,
    (from, until): (i64, i64),
    now: i64,
) -> Result<Vec<Shown>, StoreError> {
    // Nothing lasts longer than a day, so what began earlier does not reach here.
    let mut select = connection.prepare_cached(
        "SELECT s.start, min(s.until, coalesce(lead(s.start) OVER (ORDER BY s.start), s.until)), m.id
         FROM shown s LEFT JOIN message m ON m.number = s.message
         WHERE s.device = ?1 AND s.start > ?2 AND s.start < ?3 ORDER BY s.start",
    )?;
    let day = 24 * 60 * 60 * 1000;
    let shown = select.query_map((device, from - day, until), |row| {
        Ok(Shown { start: row.get(0)?, end: row.get(1)?, message: row.get(2)? })
    })?;
    let cut = |shown: Shown| Shown { start: shown.start.max(from), end: shown.end.min(until).min(now), ..shown };
    let shown = shown.map(|shown| shown.map(cut)).collect::<Result<Vec<_>, _>>()?;
    Ok(shown.into_iter().filter(|shown| shown.start < shown.end).collect())
}
