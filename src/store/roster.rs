//! Households and their cards: imports as a whole or not at all, and the roster a figure is joined with.

use std::collections::{HashMap, HashSet};

use super::StoreError;
use super::cards::card_id;
use super::registry::changed;
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::card::CardKey;
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
    let mut holders = connection.prepare_cached(
        "SELECT h.id, h.enrolled_from, h.enrolled_until
         FROM card c JOIN household_card hc ON hc.card = c.id JOIN household h ON h.key = hc.household
         WHERE c.hash = ?1 AND h.community = ?2",
    )?;
    for (number, row) in &rows {
        for card in &row.cards {
            let held = holders
                .query_map((key.hash(card).0, community), |row| Ok((row.get::<_, String>(0)?, enrolment(row, 1)?)))?
                .collect::<Result<Vec<_>, _>>()?;
            let taken = held.iter().any(|(id, held)| !ids.contains(id.as_str()) && held.overlaps(&row.enrolment()));
            if taken {
                bad.push(BadRow::new(*number, "one of its cards belongs to another household on the same days"));
            }
        }
    }
    if !bad.is_empty() {
        bad.sort_by_key(|bad| bad.row);
        return Err(ImportError::Rows(bad));
    }
    let mut imported = Imported::default();
    for (_, row) in &rows {
        let known: Option<i64> = connection
            .prepare_cached("SELECT key FROM household WHERE community = ?1 AND id = ?2")?
            .query_row((community, &row.household), |row| row.get(0))
            .optional()?;
        let Enrolment { from, until } = row.enrolment();
        let until = until.map(|until| until.0);
        let household = match known {
            Some(household) => {
                connection
                    .prepare_cached(
                        "UPDATE household SET building = ?2, enrolled_from = ?3, enrolled_until = ?4 WHERE key = ?1",
                    )?
                    .execute((household, &row.building, from.0, until))?;
                // A card whose hash is forgotten can be in no row: what was counted by it stays the household's.
                connection
                    .prepare_cached(
                        "DELETE FROM household_card WHERE household = ?1
                             AND card IN (SELECT id FROM card WHERE erased IS NULL)",
                    )?
                    .execute([household])?;
                imported.updated += 1;
                household
            }
            None => {
                imported.created += 1;
                connection
                    .prepare_cached(
                        "INSERT INTO household (community, id, building, enrolled_from, enrolled_until)
                         VALUES (?1, ?2, ?3, ?4, ?5) RETURNING key",
                    )?
                    .query_row((community, &row.household, &row.building, from.0, until), |row| row.get(0))?
            }
        };
        let mut give =
            connection.prepare_cached("INSERT INTO household_card VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
        for card in &row.cards {
            give.execute((card_id(connection, key.hash(card))?.0, household))?;
        }
    }
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
