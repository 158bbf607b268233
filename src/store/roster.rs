//! Households and their cards: imports as a whole or not at all, and the roster a figure is joined with.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::StoreError;
use super::cards::card_ids;
use super::registry::changed;
use super::sql::{Connection, Row};
use crate::domain::card::{CardHash, CardKey};
use crate::domain::roster::{CardId, Enrolment, HouseholdKey, HouseholdRow, Roster, check_rows};
use crate::domain::rows::{BadRow, Rows};
use crate::domain::zone::Day;

/// Why an import was not made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} rows cannot be imported; nothing was changed", .0.len())]
    Rows(Vec<BadRow>),
}

impl From<super::sql::Error> for ImportError {
    fn from(error: super::sql::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub created: usize,
    pub updated: usize,
}

/// Puts every household of `rows` as its row says, cards included; a card the row leaves out is no longer its.
pub fn import(
    connection: &Connection,
    community: i64,
    rows: &[HouseholdRow],
    key: &CardKey,
) -> Result<Imported, ImportError> {
    import_read(connection, community, rows.to_vec().into(), key)
}

/// Like [`import`], of rows as they were read: those that could not be are named together with those that may not be.
pub fn import_read(
    connection: &Connection,
    community: i64,
    rows: Rows<HouseholdRow>,
    key: &CardKey,
) -> Result<Imported, ImportError> {
    let Rows { readable: rows, mut bad } = rows;
    bad.extend(check_rows(&rows));
    let ids: HashSet<&str> = rows.iter().map(|(_, row)| row.household.as_str()).collect();
    let holders = "SELECT c.hash, h.id, h.enrolled_from, h.enrolled_until
         FROM card c JOIN household_card hc ON hc.card = c.id JOIN household h ON h.key = hc.household
         WHERE c.hash = ?1 AND h.community = ?2";
    let hashes: BTreeSet<_> = rows.iter().flat_map(|(_, row)| &row.cards).map(|card| key.hash(card).0).collect();
    let mut held: HashMap<[u8; 16], Vec<(String, Enrolment)>> = HashMap::new();
    let read = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, enrolment(row, 2)?)));
    for (hash, holder) in connection.query_each(holders, hashes.iter().map(|hash| (hash, community)), read)? {
        held.entry(hash).or_default().push(holder);
    }
    for (number, row) in &rows {
        for card in &row.cards {
            let mut held = held.get(&key.hash(card).0).into_iter().flatten();
            if held.any(|(id, held)| !ids.contains(id.as_str()) && held.overlaps(&row.enrolment())) {
                bad.push(BadRow::new(*number, "one of its cards belongs to another household on the same days"));
            }
        }
    }
    if !bad.is_empty() {
        bad.sort_by_key(|bad| bad.row);
        return Err(ImportError::Rows(bad));
    }
    let keys = || -> Result<HashMap<String, i64>, StoreError> {
        let select = "SELECT h.id, h.key FROM household h WHERE h.community = ?1 AND h.id = ?2";
        let named = rows.iter().map(|(_, row)| (community, &row.household));
        Ok(connection.query_each(select, named, |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
    };
    let known = keys()?;
    let (there, new): (Vec<_>, Vec<_>) =
        rows.iter().map(|(_, row)| row).partition(|row| known.contains_key(&row.household));
    let imported = Imported { created: new.len(), updated: there.len() };
    let there = || there.iter().filter_map(|row| Some((*known.get(&row.household)?, *row)));
    let update = "UPDATE household SET building = ?2, enrolled_from = ?3, enrolled_until = ?4 WHERE key = ?1";
    let until = |row: &HouseholdRow| row.enrolment().until.map(|until| until.0);
    let updated = there().map(|(key, row)| (key, &row.building, row.enrolment().from.0, until(row)));
    connection.execute_each(update, updated)?;
    // A card whose hash is forgotten can be in no row: what was counted by it stays the household's.
    let take = "DELETE FROM household_card WHERE household = ?1 AND card IN (SELECT id FROM card WHERE erased IS NULL)";
    connection.execute_each(take, there().map(|(key, _)| [key]))?;
    let insert = "INSERT INTO household (community, id, building, enrolled_from, enrolled_until)
         VALUES (?1, ?2, ?3, ?4, ?5)";
    let created = new.iter().map(|row| (community, &row.household, &row.building, row.enrolment().from.0, until(row)));
    connection.execute_each(insert, created)?;
    let (keys, cards) = (keys()?, card_ids(connection, hashes.into_iter().map(CardHash))?);
    let given = rows.iter().flat_map(|(_, row)| {
        let (household, cards) = (keys.get(&row.household), &cards);
        row.cards.iter().filter_map(move |card| Some((cards.get(&key.hash(card))?.0, *household?)))
    });
    connection.execute_each("INSERT INTO household_card VALUES (?1, ?2) ON CONFLICT DO NOTHING", given)?;
    changed(connection)?;
    Ok(imported)
}

fn enrolment(row: &Row<'_>, first: usize) -> super::sql::Result<Enrolment> {
    let until: Option<i32> = row.get(first + 1)?;
    Ok(Enrolment { from: Day(row.get(first)?), until: until.map(Day) })
}

/// The roster of a community as it stands.
pub fn load(connection: &Connection, community: i64) -> Result<Roster, StoreError> {
    let mut roster = Roster::default();
    let mut indexes = HashMap::new();
    let mut households = connection
        .prepare_cached("SELECT key, enrolled_from, enrolled_until, own_card FROM household WHERE community = ?1")?;
    let mut rows = households.query([community])?;
    while let Some(row) = rows.next()? {
        let key = row.get(0)?;
        let household = roster.add(HouseholdKey(key), enrolment(&row, 1)?);
        indexes.insert(key, household);
        if let Some(own) = row.get(3)? {
            roster.give(CardId(own), household);
        }
    }
    let mut cards = connection.prepare_cached(
        "SELECT hc.card, hc.household FROM household h JOIN household_card hc ON hc.household = h.key
         WHERE h.community = ?1",
    )?;
    let mut rows = cards.query([community])?;
    while let Some(row) = rows.next()? {
        if let Some(household) = indexes.get(&row.get::<_, i64>(1)?) {
            roster.give(CardId(row.get(0)?), *household);
        }
    }
    Ok(roster)
}

/// A household as it is listed: how many cards it has, never which.
#[derive(Clone, Debug)]
pub struct Listed {
    pub household: String,
    pub building: Option<String>,
    pub enrolled_from: Day,
    pub enrolled_until: Option<Day>,
    pub cards: u32,
}

/// The first `limit` households after `after` that are `wanted`, in the order of their ids. An erased one is nowhere to be seen.
pub fn list(
    connection: &Connection,
    community: i64,
    after: &str,
    limit: usize,
    wanted: impl Fn(HouseholdKey) -> bool,
) -> Result<Vec<Listed>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, building, enrolled_from, enrolled_until,
                (SELECT count(*) FROM household_card hc JOIN card c ON c.id = hc.card
                 WHERE hc.household = h.key AND c.erased IS NULL), key
         FROM household h WHERE community = ?1 AND id > ?2 AND erased IS NULL ORDER BY id",
    )?;
    let mut rows = select.query((community, after))?;
    let mut listed = Vec::new();
    while listed.len() < limit
        && let Some(row) = rows.next()?
    {
        if wanted(HouseholdKey(row.get(5)?)) {
            let Enrolment { from, until } = enrolment(&row, 2)?;
            listed.push(Listed {
                household: row.get(0)?,
                building: row.get(1)?,
                enrolled_from: from,
                enrolled_until: until,
                cards: row.get(4)?,
            });
        }
    }
    Ok(listed)
}
