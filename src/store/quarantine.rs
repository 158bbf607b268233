//! Refused input: kept with its reason, bounded for each device, never in anybody's way.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::StoreError;
use super::boots::{BootName, to_i64};
use super::sql::{Connection, OptionalExtension, Row, params};
use crate::domain::card::CardHash;
use crate::domain::decode::{Refused, said};
use crate::domain::quarantine::{CARD_HASH, Content, ERASED};

/// How long bytes that are no JSON are kept: they may hold anything.
pub const RAW_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Puts a refusal away; an equal one of the same device is counted. `false`: the device is at its cap.
pub fn put(
    connection: &Connection,
    (device, incarnation): (&str, u32),
    topic: &str,
    refused: &Refused,
    received: i64,
    cap: u32,
) -> Result<bool, StoreError> {
    let (fields, raw) = match &refused.content {
        Content::Fields(fields) => (Some(Value::Object(fields.clone()).to_string()), None),
        Content::Raw(bytes) => (None, Some(bytes.as_slice())),
    };
    let mut digest = Sha256::new();
    digest.update(refused.refusal.reason.as_str());
    digest.update([0]);
    digest.update(topic);
    digest.update([0]);
    digest.update(fields.as_deref().map_or_else(|| raw.unwrap_or_default(), str::as_bytes));
    // Under one name, new hardware says something of its own.
    let incarnation = refused.name.map(|_| incarnation);
    digest.update(incarnation.unwrap_or_default().to_le_bytes());
    let digest = digest.finalize();
    let digest = &digest[..16];
    let again = connection
        .prepare_cached(
            "UPDATE quarantine SET count = count + 1, last = max(last, ?3) WHERE device = ?1 AND digest = ?2",
        )?
        .execute((device, digest, received))?;
    if again > 0 {
        return Ok(true);
    }
    let held: u32 = connection
        .prepare_cached("SELECT count(*) FROM quarantine WHERE device = ?1")?
        .query_row([device], |row| row.get(0))?;
    if held >= cap {
        connection
            .prepare_cached(
                "INSERT INTO quarantine_overflow VALUES (?1, 1)
                 ON CONFLICT (device) DO UPDATE SET count = quarantine_overflow.count + 1",
            )?
            .execute([device])?;
        return Ok(false);
    }
    let (boot, seq) = refused.name.map(|(boot, seq)| (boot, to_i64(seq))).unzip();
    connection
        .prepare_cached(
            "INSERT INTO quarantine
                 (device, topic, incarnation, boot, seq, reason, detail, fields, raw, digest, count, first, last)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?11)",
        )?
        .execute(params![
            device,
            topic,
            incarnation,
            boot,
            seq,
            refused.refusal.reason.as_str(),
            refused.refusal.detail,
            fields,
            raw,
            digest,
            received
        ])?;
    Ok(true)
}

/// Counts an equal refusal that comes again under its name. `false`: what was refused under it said something else;
/// `None`: nothing is kept under it.
pub fn again(
    connection: &Connection,
    name: BootName<'_>,
    seq: u64,
    content: &Content,
    received: i64,
) -> Result<Option<bool>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, fields FROM quarantine WHERE device = ?1 AND incarnation = ?2 AND boot = ?3 AND seq = ?4",
    )?;
    let kept: Option<(i64, Option<String>)> = select
        .query_row((name.device, name.incarnation, name.boot, to_i64(seq)), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, kept)) = kept else { return Ok(None) };
    let mut kept: Map<String, Value> = kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default();
    if kept.get(CARD_HASH).is_some_and(|card| card == ERASED)
        && let Content::Fields(fields) = content
        && let Some(card) = fields.get(CARD_HASH)
    {
        // Nothing is known of it any more: whatever card comes again is it.
        kept.insert(CARD_HASH.to_owned(), card.clone());
    }
    let kept = Content::Fields(kept);
    // Refused for its time once, it may come in time, or from a device that is known by then: it says the same.
    let same = kept == *content || said(&kept).zip(said(content)).is_some_and(|(one, other)| one.same_content(&other));
    if same {
        connection
            .prepare_cached("UPDATE quarantine SET count = count + 1, last = max(last, ?2) WHERE id = ?1")?
            .execute((id, received))?;
    }
    Ok(Some(same))
}

/// An item as it is listed.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: i64,
    pub device: String,
    pub topic: String,
    pub boot: Option<u32>,
    pub seq: Option<i64>,
    pub reason: String,
    pub detail: String,
    pub fields: Option<Map<String, Value>>,
    pub raw: Option<Vec<u8>>,
    pub count: i64,
    pub first: i64,
    pub last: i64,
}

/// Which items are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub device: Option<String>,
    pub reason: Option<String>,
    pub after: i64,
    pub limit: u32,
}

const COLUMNS: &str = "id, device, topic, boot, seq, reason, detail, fields, raw, count, first, last";

pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Item>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM quarantine
         WHERE id > ?1 AND (?2 IS NULL OR device = ?2) AND (?3 IS NULL OR reason = ?3) ORDER BY id LIMIT ?4"
    ))?;
    let items = select.query_map((filter.after, &filter.device, &filter.reason, filter.limit), read)?;
    Ok(items.collect::<Result<_, _>>()?)
}

pub fn get(connection: &Connection, id: i64) -> Result<Option<Item>, StoreError> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM quarantine WHERE id = ?1"))?;
    Ok(select.query_row([id], read).optional()?)
}

pub fn remove(connection: &Connection, id: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Erases a card from the items that `is_its` says are of the one who held it. Retried, such an item is an anonymous deposit.
pub fn forget_card(connection: &Connection, card: CardHash, is_its: impl Fn(&Item) -> bool) -> Result<(), StoreError> {
    let hash = card.to_hex();
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM quarantine WHERE instr(fields, ?1) > 0"))?;
    let items = select.query_map([&hash], read)?.collect::<Result<Vec<_>, _>>()?;
    // The digest is one of the hash too.
    let mut update =
        connection.prepare_cached("UPDATE quarantine SET fields = ?2, digest = randomblob(16) WHERE id = ?1")?;
    for item in items.into_iter().filter(is_its) {
        let Some(mut fields) = item.fields else { continue };
        fields.insert(CARD_HASH.to_owned(), ERASED.into());
        update.execute((item.id, Value::Object(fields).to_string()))?;
    }
    Ok(())
}

/// How many items and refusals there are, and how many overflowed.
pub fn totals(connection: &Connection) -> Result<(i64, i64, i64), StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(count), 0), (SELECT coalesce(sum(count), 0) FROM quarantine_overflow)
             FROM quarantine",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
}

/// What is in quarantine of one sender, as it named itself.
#[derive(Clone, Debug)]
pub struct Held {
    pub device: String,
    pub topic: String,
    pub items: i64,
    pub refusals: i64,
}

pub fn held(connection: &Connection) -> Result<Vec<Held>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT device, topic, count(*), sum(count) FROM quarantine GROUP BY device, topic")?;
    let held = select.query_map([], |row| {
        Ok(Held { device: row.get(0)?, topic: row.get(1)?, items: row.get(2)?, refusals: row.get(3)? })
    })?;
    Ok(held.collect::<Result<_, _>>()?)
}

/// What was refused of each device beyond its cap, and not kept.
pub fn overflow(connection: &Connection) -> Result<Vec<(String, i64)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT device, count FROM quarantine_overflow")?;
    let overflow = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(overflow.collect::<Result<_, _>>()?)
}

/// Forgets bytes that are no JSON once they are old.
pub fn forget_raw(connection: &Connection, now: i64) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached("DELETE FROM quarantine WHERE raw IS NOT NULL AND last < ?1")?
        .execute([now - RAW_KEPT_MS])?)
}

fn read(row: &Row<'_>) -> super::sql::Result<Item> {
    let fields: Option<String> = row.get(7)?;
    Ok(Item {
        id: row.get(0)?,
        device: row.get(1)?,
        topic: row.get(2)?,
        boot: row.get(3)?,
        seq: row.get(4)?,
        reason: row.get(5)?,
        detail: row.get(6)?,
        fields: fields.and_then(|fields| serde_json::from_str(&fields).ok()),
        raw: row.get(8)?,
        count: row.get(9)?,
        first: row.get(10)?,
        last: row.get(11)?,
    })
}
