//! The registry's tables: one reading of all, and each change with the rules that protect the ledger.

use std::collections::HashMap;

use chrono::NaiveDate;
use fenlei_wire::vocabulary::DeviceKind;

use super::intake::FIRST_INCARNATION;
use super::retime::{Days, retime};
use super::rollups::Rollups;
use super::sql::{Connection, params};
use super::{StoreError, alarms, habits, states};
use crate::domain::registry::{
    Community, Device, Organization, OrganizationKind, Project, Registry, Site, Targets, VOLUNTEERS,
};
use crate::domain::schedule::Schedule;
use crate::domain::timetable::Timetable;
use crate::domain::zone::Tz;

/// Why a change to the registry was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Named by the request, but not there.
    #[error("{0}")]
    Unknown(String),
    /// What others depend on.
    #[error("{0}")]
    Conflict(String),
    /// The `If-Match` of the request names another state.
    #[error("it was changed since it was read: read it again and repeat the change")]
    Stale,
    #[error("there is no such thing")]
    Missing,
}

impl From<super::sql::Error> for RegistryError {
    fn from(error: super::sql::Error) -> Self {
        Self::Store(error.into())
    }
}

pub fn revision(connection: &Connection) -> Result<i64, StoreError> {
    let mut select = connection.prepare_cached("SELECT revision FROM registry_revision")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// Tells every running backend that the registry changed.
pub fn changed(connection: &Connection) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE registry_revision SET revision = revision + 1")?.execute([])?;
    Ok(())
}

/// Reads the whole registry.
pub fn load(connection: &Connection) -> Result<Registry, StoreError> {
    let mut registry = Registry { revision: revision(connection)?, ..Registry::default() };
    let mut organizations = connection.prepare_cached("SELECT id, name, kind FROM organization")?;
    let mut rows = organizations.query([])?;
    while let Some(row) = rows.next()? {
        let kind: String = row.get(2)?;
        let kind = OrganizationKind::parse(&kind).ok_or(StoreError::Corrupt("an unknown kind of organization"))?;
        let organization = Organization { id: row.get(0)?, name: row.get(1)?, kind };
        registry.organizations.insert(organization.id.clone(), organization);
    }
    let mut communities = connection.prepare_cached("SELECT key, id, name, committee, time_zone FROM community")?;
    let mut rows = communities.query([])?;
    while let Some(row) = rows.next()? {
        let zone: String = row.get(4)?;
        let community = Community {
            key: row.get(0)?,
            id: row.get(1)?,
            name: row.get(2)?,
            committee: row.get(3)?,
            zone: parse_zone(&zone)?,
        };
        registry.communities.insert(community.id.clone(), community);
    }
    load_sites(connection, &mut registry)?;
    let mut devices = connection.prepare_cached(
        "SELECT key, id, site, kind, name, streams, incarnation, password FROM device WHERE kind <> ?1",
    )?;
    let mut rows = devices.query([VOLUNTEERS])?;
    while let Some(row) = rows.next()? {
        let kind: String = row.get(3)?;
        let streams: Option<String> = row.get(5)?;
        let device = Device {
            key: row.get(0)?,
            id: row.get(1)?,
            site: row.get(2)?,
            kind: DeviceKind::parse(&kind).ok_or(StoreError::Corrupt("an unknown kind of device"))?,
            name: row.get(4)?,
            streams: streams.and_then(|streams| serde_json::from_str(&streams).ok()),
            incarnation: row.get(6)?,
            password: row.get(7)?,
        };
        registry.devices.insert(device.id.clone(), device);
    }
    let mut projects = connection
        .prepare_cached("SELECT id, community, organization, starts, participation, awareness FROM project")?;
    let mut rows = projects.query([])?;
    while let Some(row) = rows.next()? {
        let starts: String = row.get(3)?;
        let project = Project {
            id: row.get(0)?,
            community: row.get(1)?,
            organization: row.get(2)?,
            starts: starts.parse().map_err(|_| StoreError::Corrupt("a project's start is no date"))?,
            targets: Targets { participation: row.get(4)?, awareness: row.get(5)? },
        };
        registry.projects.insert(project.id.clone(), project);
    }
    Ok(registry)
}

fn load_sites(connection: &Connection, registry: &mut Registry) -> Result<(), StoreError> {
    let mut schedules: HashMap<String, Vec<Schedule>> = HashMap::new();
    let mut select = connection.prepare_cached("SELECT site, document FROM schedule ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let document: String = row.get(1)?;
        let schedule = serde_json::from_str(&document).map_err(|_| StoreError::Corrupt("a schedule is unreadable"))?;
        schedules.entry(row.get(0)?).or_default().push(schedule);
    }
    let mut select =
        connection.prepare_cached("SELECT key, id, community, name, time_zone, latitude, longitude FROM site")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, zone): (String, String) = (row.get(1)?, row.get(4)?);
        let zone = parse_zone(&zone)?;
        let schedules = schedules.remove(&id).unwrap_or_default();
        let site = Site {
            key: row.get(0)?,
            community: row.get(2)?,
            name: row.get(3)?,
            zone,
            latitude: row.get(5)?,
            longitude: row.get(6)?,
            timetable: Timetable::new(zone, &schedules),
            schedules,
            id,
        };
        registry.sites.insert(site.id.clone(), site);
    }
    Ok(())
}

fn parse_zone(name: &str) -> Result<Tz, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt("an unknown time zone"))
}

pub fn put_organization(connection: &Connection, organization: &Organization) -> Result<(), RegistryError> {
    connection.execute(
        "INSERT INTO organization VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind",
        (&organization.id, &organization.name, organization.kind.as_str()),
    )?;
    Ok(changed(connection)?)
}

pub fn put_community(
    connection: &Connection,
    id: &str,
    name: &str,
    committee: &str,
    zone: Tz,
) -> Result<(), RegistryError> {
    connection
        .execute(
            "INSERT INTO community (id, name, committee, time_zone) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, committee = excluded.committee,
                 time_zone = excluded.time_zone",
            (id, name, committee, zone.name()),
        )
        .map_err(|error| unknown(error, || format!("`committee` names no organization: create {committee} first")))?;
    Ok(changed(connection)?)
}

/// A site as it is put; `zone` is what it will have.
pub struct SiteFields<'a> {
    pub id: &'a str,
    pub community: &'a str,
    pub name: &'a str,
    pub zone: Tz,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
}

pub fn put_site(connection: &Connection, registry: &Registry, site: &SiteFields<'_>) -> Result<(), RegistryError> {
    if let Some(present) = registry.sites.get(site.id) {
        let moves = present.zone != site.zone || present.community != site.community;
        if moves && has_events(connection, present.key)? {
            let what = "the site has events: its time zone and its community can no longer be changed";
            return Err(RegistryError::Conflict(what.to_owned()));
        }
    }
    connection
        .execute(
            "INSERT INTO site (id, community, name, time_zone, latitude, longitude) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET community = excluded.community, name = excluded.name,
                 time_zone = excluded.time_zone, latitude = excluded.latitude, longitude = excluded.longitude",
            (site.id, site.community, site.name, site.zone.name(), site.latitude, site.longitude),
        )
        .map_err(|error| unknown(error, || format!("there is no community {}: create it first", site.community)))?;
    Ok(changed(connection)?)
}

fn has_events(connection: &Connection, site: i64) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM ledger_block WHERE site = ?1)")?;
    Ok(select.query_row([site], |row| row.get(0))?)
}

/// A device as it is put.
pub struct DeviceFields<'a> {
    pub id: &'a str,
    pub site: &'a str,
    pub kind: DeviceKind,
    pub name: Option<&'a str>,
    pub streams: Option<&'a [fenlei_wire::vocabulary::Stream]>,
    /// The `$7$` hash of a new device's secret; a device that exists keeps its own.
    pub password: &'a str,
}

/// Creates or changes a device. `true`: it was created, with `password`.
pub fn put_device(
    connection: &Connection,
    registry: &Registry,
    device: &DeviceFields<'_>,
) -> Result<bool, RegistryError> {
    if device.id == VOLUNTEERS {
        let taken = format!("`{VOLUNTEERS}` is what the volunteers of a site are shown as: give the device another id");
        return Err(RegistryError::Conflict(taken));
    }
    let present = registry.devices.get(device.id);
    if let Some(present) = present {
        let moves = present.site != device.site || present.kind != device.kind;
        if moves && has_sent(connection, device.id)? {
            let what = "the device has sent events: it can no longer be moved to another site or become another kind";
            return Err(RegistryError::Conflict(what.to_owned()));
        }
    }
    let streams = device.streams.map(|streams| {
        let names: Vec<_> = streams.iter().map(|stream| stream.as_str()).collect();
        serde_json::Value::from(names).to_string()
    });
    connection
        .execute(
            "INSERT INTO device (id, site, kind, name, streams, incarnation, password)
             VALUES (?1, ?2, ?3, ?4, ?5, ?7, ?6)
             ON CONFLICT (id) DO UPDATE SET site = excluded.site, kind = excluded.kind, name = excluded.name,
                 streams = excluded.streams",
            (device.id, device.site, device.kind.as_str(), device.name, streams, device.password, FIRST_INCARNATION),
        )
        .map_err(|error| unknown(error, || format!("there is no site {}: create it first", device.site)))?;
    changed(connection)?;
    Ok(present.is_none())
}

fn has_sent(connection: &Connection, device: &str) -> Result<bool, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM boot WHERE device = ?1 AND stored > 0)")?;
    Ok(select.query_row([device], |row| row.get(0))?)
}

/// Gives a device a new secret; `replaced`: with new hardware, whose boots may start again from 1.
pub fn rotate_secret(
    connection: &Connection,
    registry: &Registry,
    id: &str,
    password: &str,
    replaced: bool,
    now: i64,
) -> Result<(), RegistryError> {
    let device = registry.devices.get(id).ok_or(RegistryError::Missing)?;
    connection.execute(
        "UPDATE device SET password = ?2, incarnation = incarnation + ?3 WHERE id = ?1",
        (id, password, replaced),
    )?;
    if replaced {
        states::forget(connection, device.key, now)?;
        habits::forget(connection, device.key)?;
        // They name deposits of the old hardware; the new one will use the same names for others.
        connection.execute("DELETE FROM waiting_judgement WHERE bin = ?1 AND boot IS NOT NULL", [device.key])?;
    }
    Ok(changed(connection)?)
}

pub fn put_project(connection: &Connection, project: &Project) -> Result<(), RegistryError> {
    connection
        .execute(
            "INSERT INTO project VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET community = excluded.community, organization = excluded.organization,
                 starts = excluded.starts, participation = excluded.participation, awareness = excluded.awareness",
            params![
                project.id,
                project.community,
                project.organization,
                project.starts.to_string(),
                project.targets.participation,
                project.targets.awareness
            ],
        )
        .map_err(|error| {
            unknown(error, || {
                format!(
                    "there is no community {} or no organization {}: create them first",
                    project.community, project.organization
                )
            })
        })?;
    Ok(changed(connection)?)
}

/// What can be deleted, as long as nothing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Organization,
    Community,
    Site,
    Device,
    Project,
}

impl Kind {
    /// As tables and the audit log name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Community => "community",
            Self::Site => "site",
            Self::Device => "device",
            Self::Project => "project",
        }
    }
}

pub fn delete(connection: &Connection, kind: Kind, id: &str) -> Result<(), RegistryError> {
    let dependents = match kind {
        Kind::Organization => "communities, projects or tokens",
        Kind::Community => "sites, households or projects",
        Kind::Site => "devices",
        Kind::Device => "events",
        Kind::Project => "records",
    };
    let conflict = || RegistryError::Conflict(format!("{dependents} depend on it: it cannot be deleted"));
    if kind == Kind::Device && has_sent(connection, id)? {
        return Err(conflict());
    }
    if kind == Kind::Site {
        connection.execute("DELETE FROM schedule WHERE site = ?1", [id])?;
    }
    if kind == Kind::Device {
        alarms::forget(connection, id)?;
        for table in ["device_state", "online"] {
            let forget = format!("DELETE FROM {table} WHERE device = (SELECT key FROM device WHERE id = ?1)");
            connection.execute(&forget, [id])?;
        }
    }
    let deleted = connection
        .execute(&format!("DELETE FROM {} WHERE id = ?1", kind.name()), [id])
        .map_err(|error| if error.is_foreign_key() { conflict() } else { error.into() })?;
    if deleted == 0 {
        return Err(RegistryError::Missing);
    }
    Ok(changed(connection)?)
}

/// Stores a new version of a site's schedule and re-times the days it changes, before anybody is answered.
pub fn put_schedule(
    connection: &Connection,
    registry: &Registry,
    rollups: &mut Rollups,
    site: &str,
    schedule: &Schedule,
    now: i64,
) -> Result<u64, RegistryError> {
    let site = registry.sites.get(site).ok_or(RegistryError::Missing)?;
    let community = registry.communities.get(&site.community).ok_or(RegistryError::Missing)?;
    let document = serde_json::to_string(schedule).map_err(|_| StoreError::Corrupt("a schedule cannot be written"))?;
    connection
        .execute("INSERT INTO schedule (site, document, stored) VALUES (?1, ?2, ?3)", (&site.id, document, now))?;
    changed(connection)?;
    let after: Option<NaiveDate> =
        site.schedules.iter().map(|version| version.valid_from).filter(|date| *date > schedule.valid_from).min();
    let timetable = Timetable::new(site.zone, site.schedules.iter().chain([schedule]));
    let days = Days { from: schedule.valid_from, before: after };
    Ok(retime(connection, rollups, community, site, &timetable, days)?)
}

fn unknown(error: super::sql::Error, message: impl FnOnce() -> String) -> RegistryError {
    if error.is_foreign_key() { RegistryError::Unknown(message()) } else { error.into() }
}
