//! Cards by number: everything but this table refers to a card by the number it was given on first sight.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::card::CardHash;
use crate::domain::roster::CardId;

/// Cards kept in memory before all are dropped and read again.
const MAX_CACHED: usize = 200_000;

/// The numbers of cards, as far as the writer has met them.
#[derive(Debug, Default)]
pub struct Cards(HashMap<CardHash, CardId, RandomState>);

impl Cards {
    /// Learns the numbers of many cards at once, as far as they have one: a card that is only refused gets none.
    pub fn learn(&mut self, connection: &Connection, hashes: &BTreeSet<[u8; 16]>) -> Result<(), StoreError> {
        let new = hashes.iter().filter(|hash| !self.0.contains_key(&CardHash(**hash)));
        self.0.extend(all_known(connection, new)?);
        Ok(())
    }

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

fn all_known<'a>(
    connection: &Connection,
    hashes: impl Iterator<Item = &'a [u8; 16]>,
) -> Result<Vec<(CardHash, CardId)>, StoreError> {
    let select = "SELECT c.hash, c.id FROM card c WHERE c.hash = ?1";
    let read = |row: &Row<'_>| Ok((CardHash(row.get(0)?), CardId(row.get(1)?)));
    Ok(connection.query_each(select, hashes.map(|hash| [hash]), read)?)
}

/// The numbers of cards, given on first sight.
pub fn card_ids(
    connection: &Connection,
    hashes: impl IntoIterator<Item = CardHash>,
) -> Result<HashMap<CardHash, CardId>, StoreError> {
    let hashes: BTreeSet<[u8; 16]> = hashes.into_iter().map(|hash| hash.0).collect();
    connection.number_cards()?;
    let mut cards: HashMap<_, _> = all_known(connection, hashes.iter())?.into_iter().collect();
    let new: Vec<_> = hashes.iter().filter(|hash| !cards.contains_key(&CardHash(**hash))).collect();
    connection.execute_each("INSERT INTO card (hash) VALUES (?1)", new.iter().map(|hash| [*hash]))?;
    cards.extend(all_known(connection, new.into_iter())?);
    Ok(cards)
}

/// The number of a card, given on first sight.
pub fn card_id(connection: &Connection, hash: CardHash) -> Result<CardId, StoreError> {
    if let Some(id) = known(connection, hash)? {
        return Ok(id);
    }
    connection.number_cards()?;
    // Another one may have met it meanwhile.
    match known(connection, hash)? {
        Some(id) => Ok(id),
        None => {
            let mut insert = connection.prepare_cached("INSERT INTO card (hash) VALUES (?1) RETURNING id")?;
            Ok(CardId(insert.query_row([&hash.0], |row| row.get(0))?))
        }
    }
}
