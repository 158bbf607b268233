//! Cards by number: everything but this table refers to a card by the number it was given on first sight.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::StoreError;
use super::sql::{Connection, OptionalExtension};
use crate::domain::card::CardHash;
use crate::domain::roster::CardId;

/// Cards kept in memory before all are dropped and read again.
const MAX_CACHED: usize = 200_000;

/// The numbers of cards, as far as the writer has met them.
#[derive(Debug, Default)]
pub struct Cards(HashMap<CardHash, CardId, RandomState>);

impl Cards {
    pub fn number(&mut self, connection: &Connection, hash: CardHash) -> Result<CardId, StoreError> {
        if let Some(id) = self.0.get(&hash) {
            return Ok(*id);
        }
        if self.0.len() >= MAX_CACHED {
            self.0.clear();
        }
        let id = card_id(connection, hash)?;
        self.0.insert(hash, id);
        Ok(id)
    }
}

/// The number of a card that was seen before.
pub fn known(connection: &Connection, hash: CardHash) -> Result<Option<CardId>, StoreError> {
    let mut select = connection.prepare_cached("SELECT id FROM card WHERE hash = ?1")?;
    Ok(select.query_row([&hash.0], |row| row.get(0).map(CardId)).optional()?)
}

/// The number of a card, given on first sight.
pub fn card_id(connection: &Connection, hash: CardHash) -> Result<CardId, StoreError> {
    match known(connection, hash)? {
        Some(id) => Ok(id),
        None => {
            let mut insert = connection.prepare_cached("INSERT INTO card (hash) VALUES (?1) RETURNING id")?;
            Ok(CardId(insert.query_row([&hash.0], |row| row.get(0))?))
        }
    }
}
