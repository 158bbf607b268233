//! What volunteers note on the spot: deposits and verdicts, as events of the site's volunteers in the same ledger.
//!
//! The volunteers of a site stand in the table of devices under a name that no device can have, and are shown as
//! [`VOLUNTEERS`]; their boot is the number of their site, so that a name is of one event in the whole installation.

use fenlei_wire::vocabulary::{DeviceKind, Reason, Verdict};

use super::StoreError;
use super::boots::BootName;
use super::intake::{FIRST_INCARNATION, Intake, Placed};
use super::matching::{self, Judge};
use super::registry::changed;
use super::sql::{Connection, OptionalExtension};
use super::writer::Session;
use crate::domain::card::CardHash;
use crate::domain::event::{Body, Deposit, DepositRef, Event, Judged, Judgement};
use crate::domain::registry::{Device, Site, VOLUNTEERS};

/// A deposit that a volunteer saw.
#[derive(Clone, Debug)]
pub struct NotedDeposit {
    pub time: i64,
    /// Without the verdict: that is the volunteer's.
    pub deposit: Deposit,
    /// Who brought it, where no card was read.
    pub household: Option<String>,
    pub verdict: Option<Verdict>,
}

/// Why a note was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no such household is enrolled in the site's community: import it first, or leave `household` out")]
    NoHousehold,
    #[error("the site has no such deposit: give the `device`, `boot` and `seq` that /events shows")]
    NoDeposit,
}

impl From<super::sql::Error> for NoteError {
    fn from(error: super::sql::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Stores a deposit, and its verdict as a judgement of its own; gives the deposit's row in the ledger.
pub fn note_deposit(
    session: &mut Session<'_>,
    site: &Site,
    mut noted: NotedDeposit,
    now: i64,
) -> Result<i64, NoteError> {
    if let Some(household) = &noted.household {
        noted.deposit.card = Some(own_card(session.connection, &site.community, household)?);
    }
    let volunteers = volunteers(session.connection, site)?;
    let mut intake = session.intake()?;
    let (name, row) = note(&mut intake, site, &volunteers, Body::Deposit(noted.deposit), noted.time, now)?;
    if let Some(verdict) = noted.verdict {
        judge(&mut intake, site, &volunteers, (name, row), (verdict, None), now)?;
    }
    intake.finish()?;
    Ok(row)
}

/// Stores a verdict on a deposit of the site. Of several volunteers the first stands; each is in the ledger.
pub fn note_verdict(
    session: &mut Session<'_>,
    site: &Site,
    of: DepositRef,
    verdict: (Verdict, Option<Reason>),
    now: i64,
) -> Result<i64, NoteError> {
    let volunteers = volunteers(session.connection, site)?;
    let registry = std::sync::Arc::clone(&session.registry);
    let own = of.device == VOLUNTEERS && i64::from(of.boot) == site.key;
    let device = if own { Some(&volunteers) } else { registry.devices.get(&of.device) };
    let device = device.filter(|device| device.site == site.id).ok_or(NoteError::NoDeposit)?;
    let mut intake = session.intake()?;
    let row = deposit(&mut intake, device, &of)?.ok_or(NoteError::NoDeposit)?;
    judge(&mut intake, site, &volunteers, (of, row), verdict, now)?;
    intake.finish()?;
    Ok(row)
}

/// The row of a deposit; of several hardwares that stood under this id the latest that has it is meant.
fn deposit(intake: &mut Intake<'_>, device: &Device, of: &DepositRef) -> Result<Option<i64>, StoreError> {
    for incarnation in (FIRST_INCARNATION..=device.incarnation).rev() {
        let name = BootName { device: &device.id, incarnation, boot: of.boot };
        if let Some(row) = intake.boots.find(intake.connection, name, of.seq)?
            && is_deposit(intake.connection, row)?
        {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn judge(
    intake: &mut Intake<'_>,
    site: &Site,
    volunteers: &Device,
    (of, row): (DepositRef, i64),
    (verdict, reason): (Verdict, Option<Reason>),
    now: i64,
) -> Result<(), StoreError> {
    let judgement = Judgement { verdict, reason, confidence: None, judged: Judged::Deposit(of) };
    let (_, id) = note(intake, site, volunteers, Body::Judgement(judgement), now, now)?;
    let community = intake.registry.communities.get(&site.community);
    let community = community.ok_or(StoreError::Corrupt("a site without its community"))?;
    let judgement = matching::Judgement { id, by: Judge::Volunteer, verdict };
    intake.apply(site, community, judgement, row)?;
    Ok(())
}

/// Appends an event under the volunteers' next seq; gives its name and its row.
fn note(
    intake: &mut Intake<'_>,
    site: &Site,
    volunteers: &Device,
    body: Body,
    time: i64,
    now: i64,
) -> Result<(DepositRef, i64), StoreError> {
    let community = intake.registry.communities.get(&site.community);
    let community = community.ok_or(StoreError::Corrupt("a site without its community"))?;
    let boot = u32::try_from(site.key).map_err(|_| StoreError::Corrupt("more sites than boots"))?;
    let name = BootName { device: &volunteers.id, incarnation: volunteers.incarnation, boot };
    let slot = intake.boots.open(intake.connection, name)?;
    let seq = intake.boots.marks(slot).next();
    intake.boots.change(slot, now, |marks| marks.take(seq).unwrap_or_default());
    let event = Event { boot, seq, time, unsynced: false, body };
    let row = intake.append(Placed { device: volunteers, site, community }, slot, &event, now)?;
    Ok((DepositRef { device: VOLUNTEERS.to_owned(), boot, seq }, row))
}

fn is_deposit(connection: &Connection, row: i64) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached("SELECT timing IS NOT NULL FROM ledger WHERE id = ?1")?;
    Ok(select.query_row([row], |row| row.get(0))?)
}

/// The volunteers of a site, as the device that they stand for.
fn volunteers(connection: &Connection, site: &Site) -> Result<Device, StoreError> {
    let id = format!("~{}", site.id);
    let mut select = connection.prepare_cached("SELECT key FROM device WHERE id = ?1")?;
    let key = match select.query_row([&id], |row| row.get(0)).optional()? {
        Some(key) => key,
        None => {
            let mut insert = connection.prepare_cached(
                "INSERT INTO device (id, site, kind, incarnation, password) VALUES (?1, ?2, ?3, ?4, '') RETURNING key",
            )?;
            insert.query_row((&id, &site.id, VOLUNTEERS, FIRST_INCARNATION), |row| row.get(0))?
        }
    };
    Ok(Device {
        key,
        id,
        site: site.id.clone(),
        // They stand where a bin would have been.
        kind: DeviceKind::Bin,
        name: None,
        streams: None,
        incarnation: FIRST_INCARNATION,
        password: String::new(),
    })
}

/// What stands for a household that brought something without a card: a number of its own, drawn at random.
fn own_card(connection: &Connection, community: &str, household: &str) -> Result<CardHash, NoteError> {
    let mut select = connection.prepare_cached(
        "SELECT h.key, c.hash FROM household h JOIN community m ON m.key = h.community
         LEFT JOIN card c ON c.id = h.own_card WHERE m.id = ?1 AND h.id = ?2",
    )?;
    let found: Option<(i64, Option<[u8; 16]>)> =
        select.query_row((community, household), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (key, hash) = found.ok_or(NoteError::NoHousehold)?;
    if let Some(hash) = hash {
        return Ok(CardHash(hash));
    }
    let mut insert = connection.prepare_cached("INSERT INTO card (hash) VALUES (randomblob(16)) RETURNING id, hash")?;
    let (card, hash): (i64, [u8; 16]) = insert.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection.prepare_cached("UPDATE household SET own_card = ?2 WHERE key = ?1")?.execute((key, card))?;
    changed(connection)?;
    Ok(CardHash(hash))
}
