//! The lids of bins: how they are, how they are to be, and the commands by which both come together.
//!
//! A bin keeps its hours by itself. The commands at the edges are for those whose clock or config is not what it should be,
//! so they are sent for a few minutes only: a bin that is reached later has long done it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use fenlei_wire::vocabulary::{DeviceKind, DoorBy};

use super::commands::{self, NewCommand, Order};
use super::openings::{self, Opening};
use super::sql::{Connection, OptionalExtension};
use super::{StoreError, alarms};
use crate::domain::alarms::{Cause, Kind};
use crate::domain::device_config::hours_of;
use crate::domain::event::Door;
use crate::domain::lids::{Held, Hours, Lid};
use crate::domain::registry::{Device, Registry, Site};

/// How far ahead edges are queued, in milliseconds.
const AHEAD_MS: i64 = 2 * 60_000;
/// How long after an edge its command is still sent, in milliseconds.
const LATE_MS: i64 = 10 * 60_000;

/// What lids are to be told at the edges of their hours and by openings, and which of them do not follow.
#[derive(Debug, Default)]
pub struct Plan {
    commands: Vec<NewCommand>,
    withdrawn: Vec<i64>,
    /// By the keys of site and device.
    causes: Vec<((i64, Option<i64>), Cause)>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.withdrawn.is_empty() && self.causes.is_empty()
    }
}

/// Plans for the bins of all sites, or of one (its key). Only reads, so that it may run beside the writer.
pub fn plan(
    connection: &Connection,
    registry: &Registry,
    only: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Plan, StoreError> {
    let millis = now.timestamp_millis();
    let openings = openings::since(connection, millis - LATE_MS)?;
    let alarmed: HashSet<i64> = alarms::open_of(connection, Kind::Lid)?.into_iter().map(|(_, device)| device).collect();
    let (mut plan, mut known) = (Plan::default(), HashMap::new());
    for (device, site) in bins(registry).filter(|(_, site)| only.is_none_or(|only| site.key == only)) {
        // Bins of a site differ at most by their streams.
        let config = known.entry((site.key, &device.streams)).or_insert_with(|| hours_of(site, device, now).ok());
        let Some(config) = config else { continue };
        let of_site: Vec<_> = openings.iter().filter(|opening| opening.site == site.key).collect();
        let held = held(&of_site);
        let hours = Hours { config, held: &held };
        let mut planned = commands_of(device, hours, &of_site, millis);
        // What an opening, or another edge, has put an end to is taken back like what the hours no longer have.
        planned.retain(|command| command.expires > millis);
        for open in commands::planned_and_open(connection, device.key)? {
            if !planned.iter().any(|command| command.occasion == open.occasion) {
                plan.withdrawn.push(open.number);
            }
        }
        plan.commands.extend(planned);
        let cause = match follows(connection, device, hours, millis)?.1 {
            Some(false) => Some(Cause::Holds(Kind::Lid)),
            Some(true) if alarmed.contains(&device.key) => Some(Cause::Gone(Kind::Lid)),
            _ => None,
        };
        plan.causes.extend(cause.map(|cause| ((site.key, Some(device.key)), cause)));
    }
    Ok(plan)
}

fn held(openings: &[&Opening]) -> Vec<Held> {
    openings.iter().map(|opening| Held { from: opening.start, until: opening.until }).collect()
}

fn commands_of(device: &Device, hours: Hours<'_>, openings: &[&Opening], now: i64) -> Vec<NewCommand> {
    let command =
        |occasion, order, due, expires| NewCommand { device: device.key, occasion, order, message: None, due, expires };
    let opened = openings.iter().filter(|opening| opening.until > now);
    let opened = opened.map(|opening| command(opening.occasion(), Order::Open, opening.start, opening.until));
    // That a site is opened its opening says.
    let edges = hours.edges(now - LATE_MS, now + AHEAD_MS).into_iter();
    let edges = edges.filter(|edge| hours.held.iter().all(|held| held.from != edge.at)).map(|edge| {
        let (order, name) = if edge.lid.is_locked() { (Order::Lock, "lock") } else { (Order::Unlock, "unlock") };
        let next = hours.next_edge(edge.at).map_or(i64::MAX, |next| next.at);
        command(format!("edge/{}/{name}", edge.at), order, edge.at, next.min(edge.at + LATE_MS))
    });
    opened.chain(edges).collect()
}

/// Queues and withdraws what was planned, and raises an alarm of each lid that does not follow.
pub fn apply(connection: &Connection, plan: &Plan, now: i64) -> Result<(), StoreError> {
    for number in &plan.withdrawn {
        commands::withdraw(connection, *number, "by the hours of its site it is no longer to be so", now)?;
    }
    plan.commands.iter().try_for_each(|command| commands::queue(connection, command, now))?;
    plan.causes.iter().try_for_each(|(whose, cause)| alarms::note(connection, *whose, *cause, now))
}

fn bins(registry: &Registry) -> impl Iterator<Item = (&Device, &Site)> {
    let bins = registry.devices.values().filter(|device| device.kind == DeviceKind::Bin);
    bins.filter_map(|device| Some((device, registry.sites.get(&device.site)?)))
}

/// Takes in what a door event says of the lid. A resident who opens it shows that it is not locked; one who closes it shows
/// nothing. Nor do staff who close it while it is to be unlocked: they have emptied it, and residents go on opening it.
pub fn door(connection: &Connection, site: &Site, bin: &Device, door: &Door, at: i64) -> Result<(), StoreError> {
    let says_nothing = match (door.by, door.open) {
        (DoorBy::Resident, false) => true,
        (DoorBy::Staff, false) => is_to_be_unlocked(connection, site, bin, at)?,
        _ => false,
    };
    if says_nothing { Ok(()) } else { report(connection, bin.key, Lid::from_locked(!door.open), at) }
}

/// Whether a bin was to be unlocked at `at`, by the hours in force then and the openings.
fn is_to_be_unlocked(connection: &Connection, site: &Site, bin: &Device, at: i64) -> Result<bool, StoreError> {
    let Some(Ok(config)) = DateTime::from_timestamp_millis(at).map(|at| hours_of(site, bin, at)) else {
        return Ok(false);
    };
    let openings = openings::since(connection, at)?;
    let of_site: Vec<_> = openings.iter().filter(|opening| opening.site == site.key).collect();
    let hours = Hours { config: &config, held: &held(&of_site) };
    Ok(!hours.expected(at).is_locked())
}

/// Takes in how a lid is at `at`, unless something later is known.
pub fn report(connection: &Connection, device: i64, lid: Lid, at: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO lid (device, locked, since, told) VALUES (?1, ?2, ?3, ?3) ON CONFLICT (device) DO UPDATE SET
                 since = CASE WHEN lid.locked = excluded.locked THEN lid.since ELSE excluded.since END,
                 locked = excluded.locked, told = excluded.told
             WHERE excluded.told >= lid.told",
        )?
        .execute((device, lid.is_locked(), at))?;
    Ok(())
}

/// How a lid is, and since when.
pub type Reported = (Lid, i64);

/// How a lid stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// By its hours and openings.
    pub expected: Lid,
    /// As it says, and since when.
    pub reported: Option<Reported>,
    /// `None`: it has not said, is offline, or has a moment left to follow.
    pub follows: Option<bool>,
    /// When it is to change next.
    pub next: Option<i64>,
}

/// How the lid of a bin stands; `None`: its hours are more than a device holds.
pub fn standing(
    connection: &Connection,
    site: &Site,
    bin: &Device,
    now: DateTime<Utc>,
) -> Result<Option<Standing>, StoreError> {
    let Ok(config) = hours_of(site, bin, now) else { return Ok(None) };
    let now = now.timestamp_millis();
    let openings = openings::since(connection, now - LATE_MS)?;
    let of_site: Vec<_> = openings.iter().filter(|opening| opening.site == site.key).collect();
    let held = held(&of_site);
    let hours = Hours { config: &config, held: &held };
    let (reported, follows) = follows(connection, bin, hours, now)?;
    let (expected, next) = (hours.expected(now), hours.next_edge(now).map(|edge| edge.at));
    Ok(Some(Standing { expected, reported, follows, next }))
}

/// How a lid is since when, as it says, and whether that is as expected. Of a bin that is offline nobody knows.
fn follows(
    connection: &Connection,
    bin: &Device,
    hours: Hours<'_>,
    now: i64,
) -> Result<(Option<Reported>, Option<bool>), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT l.locked, l.since, coalesce(s.online, 1) FROM lid l LEFT JOIN device_state s USING (device)
         WHERE device = ?1",
    )?;
    let found = select.query_row([bin.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((locked, since, online)) = found else { return Ok((None, None)) };
    let lid = Lid::from_locked(locked);
    let follows = if online { hours.follows(lid, now) } else { None };
    Ok((Some((lid, since)), follows))
}
