//! Which key the hashes of cards are made under; and another one: every hash that was made under the old one is brought
//! under the new one, or forgotten.
//!
//! Nothing else refers to a hash: what is counted is counted by a card's number, so no figure changes.

use serde_json::{Map, Value};

use super::sql::{Connection, OptionalExtension};
use super::{StoreError, scrub};
use crate::domain::card::{Added, CardHash};
use crate::domain::quarantine::{CARD_HASH, ERASED};

/// The fingerprint of the card key that the store was begun with; `None`: it has met none.
pub fn known(connection: &Connection) -> Result<Option<String>, StoreError> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE name = 'card_key'")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?)
}

/// Whether this installation's card key is the one the store was begun with; the first start decides.
pub fn check(connection: &Connection, fingerprint: &str) -> Result<(), StoreError> {
    match known(connection)? {
        Some(expected) if expected != fingerprint => {
            Err(StoreError::WrongCardKey { found: fingerprint.to_owned(), expected })
        }
        Some(_) => Ok(()),
        None => {
            connection.execute("INSERT INTO meta VALUES ('card_key', ?1)", [fingerprint])?;
            Ok(())
        }
    }
}

/// What is kept as a keyed hash beside the cards: by table, column and the rows it is in.
const HASHES: [(&str, &str); 4] =
    [("card", "hash"), ("idempotency", "key"), ("idempotency", "fingerprint"), ("sign_in_failure", "name")];

/// Hashes everything once more, under the secrets that were added; gives how many cards there are. What belongs to erased
/// cards is random, and stays so.
pub fn rehash(connection: &Connection, added: &Added, fingerprint: &str) -> Result<usize, StoreError> {
    let mut cards = 0;
    for (table, column) in HASHES {
        let mut select = connection.prepare(&format!("SELECT DISTINCT {column} FROM {table}"))?;
        let hashes = select.query_map([], |row| row.get::<_, [u8; 16]>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut update = connection.prepare(&format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1"))?;
        for hash in &hashes {
            update.execute((hash, added.rehash(CardHash(*hash)).0))?;
        }
        if table == "card" {
            cards = hashes.len();
        }
    }
    refused(connection, |hash| match CardHash::from_hex(hash) {
        Some(hash) => added.rehash(hash).to_hex(),
        None => hash.to_owned(),
    })?;
    keep(connection, fingerprint)?;
    Ok(cards)
}

/// Forgets every hash, as if no card had been read before; gives how many cards were known. The households keep what was
/// counted for them.
pub fn forget(connection: &Connection, fingerprint: &str) -> Result<usize, StoreError> {
    let cards = connection.execute("UPDATE card SET hash = randomblob(16), erased = 1 WHERE erased IS NULL", [])?;
    connection.execute_batch("DELETE FROM idempotency; DELETE FROM sign_in_failure;")?;
    refused(connection, |_| ERASED.to_owned())?;
    keep(connection, fingerprint)?;
    Ok(cards)
}

/// Refused events keep the hash of their card among their fields, and a digest of these.
fn refused(connection: &Connection, changed: impl Fn(&str) -> String) -> Result<(), StoreError> {
    let mut select = connection.prepare("SELECT id, fields FROM quarantine WHERE instr(fields, ?1) > 0")?;
    let kept = select.query_map([CARD_HASH], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let kept = kept.collect::<Result<Vec<(i64, String)>, _>>()?;
    let mut update = connection.prepare("UPDATE quarantine SET fields = ?2, digest = randomblob(16) WHERE id = ?1")?;
    for (id, fields) in kept {
        let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(&fields) else { continue };
        let Some(Value::String(hash)) = fields.get(CARD_HASH) else { continue };
        let hash = changed(hash);
        fields.insert(CARD_HASH.to_owned(), hash.into());
        update.execute((id, Value::Object(fields).to_string()))?;
    }
    Ok(())
}

fn keep(connection: &Connection, fingerprint: &str) -> Result<(), StoreError> {
    connection.execute("UPDATE meta SET value = ?1 WHERE name = 'card_key'", [fingerprint])?;
    scrub::wanted(connection)
}
