//! Visits and surveys: recorded as a whole or not at all, one for each household, day and kind.

use std::collections::HashSet;

use super::StoreError;
use super::roster::{self, ImportError};
use super::sql::{Connection, OptionalExtension, Row};
use crate::domain::awareness::{Awareness, Outcome, Said, Visit, VisitKind, awareness, check_visits};
use crate::domain::period::Span;
use crate::domain::registry::Community;
use crate::domain::roster::HouseholdKey;
use crate::domain::rows::{BadRow, Rows};
use crate::domain::statistics::roll_call;
use crate::domain::zone::Day;
use chrono::NaiveDate;

/// Records every row of an import, and says how many; `today` is that of the community.
pub fn record(
    connection: &Connection,
    community: i64,
    rows: Rows<Visit>,
    today: NaiveDate,
) -> Result<usize, ImportError> {
    let Rows { readable: rows, mut bad } = rows;
    bad.extend(check_visits(&rows, today));
    let mut find =
        connection.prepare_cached("SELECT key FROM household WHERE community = ?1 AND id = ?2 AND erased IS NULL")?;
    let mut visits = Vec::with_capacity(rows.len());
    for (number, visit) in &rows {
        match find.query_row((community, &visit.household), |row| row.get::<_, i64>(0)).optional()? {
            Some(household) => visits.push((household, visit)),
            None => bad.push(BadRow::new(*number, "no such household is in the community: import it first")),
        }
    }
    if !bad.is_empty() {
        bad.sort_by_key(|bad| bad.row);
        return Err(ImportError::Rows(bad));
    }
    let mut replace = connection.prepare_cached(
        "INSERT INTO visit (id, household, day, kind, outcome, claimed, tested)
         SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6 FROM visit WHERE true
         ON CONFLICT (household, day, kind) DO UPDATE SET id = excluded.id, outcome = excluded.outcome,
             claimed = excluded.claimed, tested = excluded.tested",
    )?;
    for (household, visit) in visits {
        let (kind, outcome) = (visit.kind.as_str(), visit.outcome.as_str());
        replace.execute((household, Day::of(visit.date).0, kind, outcome, visit.claimed, visit.tested))?;
    }
    Ok(rows.len())
}

/// The number of the last record; 0 before the first.
pub fn last(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM visit")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// The first `limit` records after the one numbered `after`, in the order in which they were recorded, with their numbers.
pub fn list(
    connection: &Connection,
    community: i64,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, Visit)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT v.id, h.id, v.day, v.kind, v.outcome, v.claimed, v.tested
         FROM visit v JOIN household h ON h.key = v.household
         WHERE h.community = ?1 AND h.erased IS NULL AND v.id > ?2 ORDER BY v.id LIMIT ?3",
    )?;
    let mut rows = select.query((community, after, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let visit = Visit {
            household: row.get(1)?,
            date: Day(row.get(2)?).date(),
            kind: kind(&row, 3)?,
            outcome: outcome(&row, 4)?,
            claimed: row.get(5)?,
            tested: row.get(6)?,
        };
        listed.push((row.get(0)?, visit));
    }
    Ok(listed)
}

fn kind(row: &Row<'_>, column: usize) -> Result<VisitKind, StoreError> {
    let kind: String = row.get(column)?;
    VisitKind::parse(&kind).ok_or(StoreError::Corrupt("an unknown kind of visit"))
}

fn outcome(row: &Row<'_>, column: usize) -> Result<Outcome, StoreError> {
    let outcome: String = row.get(column)?;
    Outcome::parse(&outcome).ok_or(StoreError::Corrupt("an unknown outcome of a visit"))
}

/// The awareness figure of `community` for `span`.
pub fn figure(
    connection: &Connection,
    community: &Community,
    span: Span,
    today: NaiveDate,
) -> Result<Awareness, StoreError> {
    let said = said(connection, community.key, span)?;
    Ok(awareness(&roster::load(connection, community.key)?, &said, span, today))
}

/// The same for each of `spans`.
pub fn figures(
    connection: &Connection,
    community: &Community,
    spans: &[Span],
    today: NaiveDate,
) -> Result<Vec<Awareness>, StoreError> {
    let roster = roster::load(connection, community.key)?;
    let figure = |span: &Span| Ok(awareness(&roster, &said(connection, community.key, *span)?, *span, today));
    spans.iter().map(figure).collect()
}

/// What the records of `span` say, in the order of their days; of one day as they were recorded.
pub fn said(connection: &Connection, community: i64, span: Span) -> Result<Vec<Said>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT v.household, v.outcome, v.claimed, v.tested
         FROM visit v JOIN household h ON h.key = v.household
         WHERE h.community = ?1 AND v.day BETWEEN ?2 AND ?3 ORDER BY v.day, v.id",
    )?;
    let mut rows = select.query((community, span.first_day().0, span.last_day().0))?;
    let mut said = Vec::new();
    while let Some(row) = rows.next()? {
        said.push(Said {
            household: HouseholdKey(row.get(0)?),
            outcome: outcome(&row, 1)?,
            claimed: row.get(2)?,
            tested: row.get(3)?,
        });
    }
    Ok(said)
}

/// How many records of `span` there are of each kind and outcome.
pub fn made(connection: &Connection, community: i64, span: Span) -> Result<Vec<(VisitKind, Outcome, u64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT v.kind, v.outcome, count(*) FROM visit v JOIN household h ON h.key = v.household
         WHERE h.community = ?1 AND v.day BETWEEN ?2 AND ?3 GROUP BY v.kind, v.outcome",
    )?;
    let mut rows = select.query((community, span.first_day().0, span.last_day().0))?;
    let mut made = Vec::new();
    while let Some(row) = rows.next()? {
        made.push((kind(&row, 0)?, outcome(&row, 1)?, row.get::<_, i64>(2)?.unsigned_abs()));
    }
    Ok(made)
}

/// A building and how many of its households were gone to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Building {
    /// `None`: of those of whom no building is known.
    pub name: Option<String>,
    /// Enrolled at the roll call of the period.
    pub households: u64,
    /// Of these: with any record of a visit or survey in the period.
    pub visited: u64,
}

/// The buildings of a community, by name.
pub fn buildings(
    connection: &Connection,
    community: i64,
    span: Span,
    today: NaiveDate,
) -> Result<Vec<Building>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT h.building, count(*), sum(CASE WHEN EXISTS
            (SELECT 1 FROM visit v WHERE v.household = h.key AND v.day BETWEEN ?3 AND ?4) THEN 1 ELSE 0 END)
         FROM household h
         WHERE h.community = ?1 AND h.enrolled_from <= ?2 AND (h.enrolled_until IS NULL OR h.enrolled_until >= ?2)
         GROUP BY h.building ORDER BY h.building NULLS FIRST",
    )?;
    let (first, last) = (span.first_day().0, span.last_day().0);
    let buildings = select.query_map((community, roll_call(span, today).0, first, last), |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Building { name: row.get(0)?, households: count(1)?, visited: count(2)? })
    })?;
    Ok(buildings.collect::<Result<_, _>>()?)
}

/// The households with any record in `span`.
pub fn visited(connection: &Connection, community: i64, span: Span) -> Result<HashSet<HouseholdKey>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT v.household FROM visit v JOIN household h ON h.key = v.household
         WHERE h.community = ?1 AND v.day BETWEEN ?2 AND ?3",
    )?;
    let visited =
        select.query_map((community, span.first_day().0, span.last_day().0), |row| Ok(HouseholdKey(row.get(0)?)))?;
    Ok(visited.collect::<Result<_, _>>()?)
}
