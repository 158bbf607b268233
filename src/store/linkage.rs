//! What is published to the linkage platform: revisions, one after the other, each the whole picture of a community from
//! then on. A snapshot is the latest revision of each community; whoever takes one and then each later revision has what a
//! later snapshot says, because both are these rows.

use serde_json::value::RawValue;

use super::StoreError;
use super::sql::{Connection, OptionalExtension, Row, params};
use crate::domain::picture::Picture;
use crate::domain::registry::Registry;
use crate::domain::revision::{self, Change, Moved, Reason, RevisionView, Subject, changes};
use crate::domain::zone::rfc3339;

/// How long a revision is kept that a later one of its community has replaced, in milliseconds. Whoever follows is right
/// without it.
const KEPT_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// A community as it is to be told, beside what was told of it until now.
#[derive(Clone, Debug)]
pub struct Look {
    /// The number of its latest revision, and its picture unless that says that it is gone.
    pub before: Option<(i64, Option<Picture>)>,
    pub picture: Picture,
    /// What its figures depend on beside events,
    pub basis: Basis,
    /// and what of that is another since it was last looked at.
    pub moved: Moved,
}

impl Look {
    /// Whether there is anything to be written.
    pub fn is_new(&self) -> bool {
        self.moved != Moved::default() || self.published() != Some(&self.picture)
    }

    fn published(&self) -> Option<&Picture> {
        self.before.as_ref().and_then(|(_, picture)| picture.as_ref())
    }
}

/// Digests of what the figures of a community depend on beside events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    pub schedules: Vec<u8>,
    pub roster: Vec<u8>,
}

impl Basis {
    pub fn moved(&self, before: &Self) -> Moved {
        Moved { schedules: self.schedules != before.schedules, roster: self.roster != before.roster }
    }
}

/// The basis of a community when it was last looked at; empty digests before the first time.
pub fn basis(connection: &Connection, community: &str) -> Result<Basis, StoreError> {
    let mut select = connection.prepare_cached("SELECT schedules, roster FROM linkage_look WHERE community = ?1")?;
    let read = |row: &Row<'_>| Ok(Basis { schedules: row.get(0)?, roster: row.get(1)? });
    Ok(select.query_row([community], read).optional()?.unwrap_or_default())
}

/// Something published.
#[derive(Clone, Debug)]
pub struct Revision {
    pub number: i64,
    pub community: String,
    pub at: i64,
    pub changes: Vec<Change>,
    /// `None`: the community is gone, or is no longer one of the reader's.
    pub picture: Option<Box<RawValue>>,
}

impl Revision {
    /// As the API shows it and webhooks are told.
    pub fn view(self) -> RevisionView {
        let Self { number, community, at, changes, picture } = self;
        RevisionView { id: revision::name(number), time: rfc3339(at), community, changes, picture }
    }
}

/// Who reads: which communities are theirs.
#[derive(Clone, Debug)]
pub struct Reader {
    organization: Option<String>,
    /// JSON array.
    own: String,
}

impl Reader {
    /// `organization`: only of its communities; absent: of all.
    pub fn new(registry: &Registry, organization: Option<&str>) -> Self {
        let own: Vec<_> = organization.map_or_else(Vec::new, |one| registry.communities_of(one).into_iter().collect());
        Self { organization: organization.map(str::to_owned), own: serde_json::Value::from(own).to_string() }
    }
}

/// The latest revision of a community.
pub fn latest(connection: &Connection, community: &str) -> Result<Option<(i64, Option<Picture>)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT number, picture FROM linkage_revision WHERE community = ?1 ORDER BY number DESC LIMIT 1",
    )?;
    let found = select.query_row([community], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?))).optional()?;
    let read = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("a picture is unreadable"));
    found.map(|(number, text)| Ok((number, text.map(read).transpose()?))).transpose()
}

/// Notes what was seen, and publishes it where it is not what was published. `false`: it is, or somebody else was faster.
pub fn publish(connection: &Connection, look: &Look, now: i64) -> Result<bool, StoreError> {
    let community = &look.picture.community;
    let number: Option<i64> = connection
        .prepare_cached("SELECT max(number) FROM linkage_revision WHERE community = ?1")?
        .query_row([community], |row| row.get(0))?;
    if number != look.before.as_ref().map(|(number, _)| *number) {
        return Ok(false);
    }
    let Basis { schedules, roster } = &look.basis;
    connection
        .prepare_cached(
            "INSERT INTO linkage_look VALUES (?1, ?2, ?3)
             ON CONFLICT (community) DO UPDATE SET schedules = excluded.schedules, roster = excluded.roster",
        )?
        .execute((community, schedules, roster))?;
    let before = look.published();
    if before == Some(&look.picture) {
        return Ok(false);
    }
    let changes = changes(before, &look.picture, look.moved);
    insert(connection, community, before, Some(&look.picture), &changes, now)?;
    Ok(true)
}

fn insert(
    connection: &Connection,
    community: &str,
    before: Option<&Picture>,
    after: Option<&Picture>,
    changes: &[Change],
    now: i64,
) -> Result<(), StoreError> {
    const UNWRITTEN: StoreError = StoreError::Corrupt("a picture cannot be written");
    let ids = |picture: Option<&Picture>| -> Vec<String> {
        let parties = picture.iter().flat_map(|picture| &picture.organizations);
        parties.map(|party| party.id.clone()).collect()
    };
    let parties = ids(after);
    let parted: Vec<_> = ids(before).into_iter().filter(|id| !parties.contains(id)).collect();
    let picture = after.map(serde_json::to_string).transpose().map_err(|_| UNWRITTEN)?;
    let changes = serde_json::to_string(changes).map_err(|_| UNWRITTEN)?;
    let (parties, parted) = (serde_json::Value::from(parties), serde_json::Value::from(parted));
    connection
        .prepare_cached(
            "INSERT INTO linkage_revision (community, at, changes, picture, parties, parted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![community, now, changes, picture, parties.to_string(), parted.to_string()])?;
    Ok(())
}

/// Communities that are published and no longer registered.
pub fn gone(connection: &Connection, registry: &Registry) -> Result<Vec<String>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT community FROM linkage_revision r
         WHERE picture IS NOT NULL AND number = (SELECT max(number) FROM linkage_revision WHERE community = r.community)",
    )?;
    let published = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(published.into_iter().filter(|id| !registry.communities.contains_key(id)).collect())
}

/// Publishes that a community is gone.
pub fn publish_gone(connection: &Connection, community: &str, now: i64) -> Result<(), StoreError> {
    let before = latest(connection, community)?.and_then(|(_, picture)| picture);
    let reasons = [Reason::Registry].into();
    let change = Change { what: Subject::Community, from: None, project: None, need: None, reasons };
    insert(connection, community, before.as_ref(), None, &[change], now)?;
    connection.prepare_cached("DELETE FROM linkage_look WHERE community = ?1")?.execute([community])?;
    Ok(())
}

/// The number of the last revision, whoever sees it; 0 before the first.
pub fn last(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(number), 0) FROM linkage_revision")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// Whether the reader sees the picture of the revision `r`: it is its own, and it is so still.
const SEEN: &str = "(?1 IS NULL OR (EXISTS (SELECT 1 FROM json_each(r.parties) WHERE value = ?1)
     AND EXISTS (SELECT 1 FROM json_each(?2) WHERE value = r.community)))";

/// The latest pictures of the first `limit` communities after `after`, in the order of their ids.
pub fn snapshot(
    connection: &Connection,
    reader: &Reader,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, Box<RawValue>)>, StoreError> {
    let sql = format!(
        "SELECT r.community, r.picture FROM linkage_revision r
         WHERE r.community > ?3 AND r.picture IS NOT NULL AND {SEEN}
             AND r.number = (SELECT max(number) FROM linkage_revision WHERE community = r.community)
         ORDER BY r.community LIMIT ?4"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query((&reader.organization, &reader.own, after, limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, raw(row.get(1)?)?));
    }
    Ok(found)
}

fn raw(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|_| StoreError::Corrupt("a picture is unreadable"))
}

/// The first `limit` revisions after the one numbered `after`, in their order, as the reader is to see them.
pub fn revisions(
    connection: &Connection,
    reader: &Reader,
    after: i64,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    let sql = format!(
        "SELECT r.number, r.community, r.at, r.changes, r.picture, {SEEN} FROM linkage_revision r
         WHERE r.number > ?3 AND ({SEEN} OR EXISTS (SELECT 1 FROM json_each(r.parted) WHERE value = ?1))
         ORDER BY r.number LIMIT ?4"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query((&reader.organization, &reader.own, after, limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (seen, changes): (bool, String) = (row.get(5)?, row.get(3)?);
        let picture: Option<String> = row.get::<_, Option<String>>(4)?.filter(|_| seen);
        let changes = if seen { changes.as_str() } else { "[]" };
        found.push(Revision {
            number: row.get(0)?,
            community: row.get(1)?,
            at: row.get(2)?,
            changes: serde_json::from_str(changes).map_err(|_| StoreError::Corrupt("a revision is unreadable"))?,
            picture: picture.map(raw).transpose()?,
        });
    }
    Ok(found)
}

/// Forgets revisions of long ago that later ones have replaced. Those by which somebody parted from a community stay.
pub fn forget(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM linkage_revision AS r WHERE at < ?1 AND parted = '[]'
             AND EXISTS (SELECT 1 FROM linkage_revision WHERE community = r.community AND number > r.number)",
        )?
        .execute([now - KEPT_MS])?;
    Ok(())
}
