//! Registers the sample neighbourhood in a store and hands out its devices' secrets. It may be done again: then its
//! devices get new secrets, and what was recorded of the neighbourhood stays.

use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::fleet::Credential;
use super::neighbourhood::{Neighbourhood, ZONE};
use super::surveys::surveys;
use crate::credentials::{self, NoRandom};
use crate::domain::card::CardKey;
use crate::domain::registry::Registry;
use crate::domain::rows::Rows;
use crate::domain::zone::today;
use crate::draft::Draft;
use crate::store::StoreError;
use crate::store::registry::{self, DeviceFields, RegistryError, SiteFields};
use crate::store::rollups::Rollups;
use crate::store::roster::{self, ImportError};
use crate::store::sql::Connection;
use crate::store::{audit, visits};

/// Why the neighbourhood could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Secret(#[from] NoRandom),
    #[error(
        "{what} `{id}` is registered already and is not the sample neighbourhood's: simulate in a store of its own"
    )]
    Taken { what: &'static str, id: String },
}

/// Registers everything on a connection that is in a transaction, whose `rollups` are written with it. Schedules, projects
/// and surveys that are there already keep their dates.
pub fn enrol(
    connection: &Connection,
    rollups: &mut Rollups,
    neighbourhood: &Neighbourhood,
    key: &CardKey,
    now: DateTime<Utc>,
) -> Result<Vec<Credential>, EnrolError> {
    let present = registry::load(connection)?;
    if let Some((what, id)) = taken(&present, neighbourhood) {
        return Err(EnrolError::Taken { what, id: id.to_owned() });
    }
    audit::note(connection, now.timestamp_millis(), "command line", "sample.enrol", "")?;
    for organization in &neighbourhood.organizations {
        registry::put_organization(connection, organization)?;
    }
    for community in &neighbourhood.communities {
        registry::put_community(connection, community.id, community.name, community.committee, ZONE)?;
    }
    for site in &neighbourhood.sites {
        let fields = SiteFields {
            id: site.id,
            community: site.community,
            name: site.name,
            zone: ZONE,
            latitude: Some(site.latitude),
            longitude: Some(site.longitude),
        };
        registry::put_site(connection, &present, &fields)?;
    }
    for project in neighbourhood.projects.iter().filter(|project| !present.projects.contains_key(&project.id)) {
        registry::put_project(connection, project)?;
    }
    let current = registry::load(connection)?;
    for community in &neighbourhood.communities {
        if let Some(registered) = current.communities.get(community.id) {
            let rows: Vec<_> = community.households.iter().map(|home| home.row.clone()).collect();
            roster::import(connection, registered.key, &rows, key)?;
            if !present.communities.contains_key(community.id) {
                let surveys = surveys(neighbourhood, community);
                visits::record(connection, registered.key, Rows::from(surveys), today(ZONE, now))?;
            }
        }
    }
    for site in &neighbourhood.sites {
        let scheduled = current.sites.get(site.id).is_some_and(|site| !site.schedules.is_empty());
        if let (Some(schedule), false) = (&site.schedule, scheduled) {
            registry::put_schedule(connection, &current, rollups, site.id, schedule, now.timestamp_millis())?;
        }
    }
    neighbourhood
        .devices
        .iter()
        .map(|device| {
            let (secret, password) = credentials::generate()?;
            let fields = DeviceFields {
                id: device.id,
                site: device.site,
                kind: device.kind,
                name: Some(device.name),
                streams: device.stream.as_ref().map(std::slice::from_ref),
                password: &password,
            };
            if !registry::put_device(connection, &current, &fields)? {
                registry::rotate_secret(connection, &current, device.id, &password, false, now.timestamp_millis())?;
            }
            let (id, site) = (device.id.to_owned(), device.site.to_owned());
            Ok(Credential { device: id, secret, site, kind: device.kind })
        })
        .collect()
}

/// What has an id of the neighbourhood's and is something else.
fn taken<'a>(present: &Registry, sample: &'a Neighbourhood) -> Option<(&'static str, &'a str)> {
    let organizations =
        sample.organizations.iter().filter(|own| present.organizations.get(&own.id).is_some_and(|other| other != *own));
    let communities = sample.communities.iter().filter(|own| {
        let other = present.communities.get(own.id);
        other.is_some_and(|other| (&*other.name, &*other.committee) != (own.name, own.committee))
    });
    let sites = sample.sites.iter().filter(|own| {
        let other = present.sites.get(own.id);
        other.is_some_and(|other| (&*other.name, &*other.community) != (own.name, own.community))
    });
    let devices = sample.devices.iter().filter(|own| {
        let other = present.devices.get(own.id);
        other.is_some_and(|other| (&*other.site, other.kind) != (own.site, own.kind))
    });
    organizations
        .map(|one| ("the organization", one.id.as_str()))
        .chain(communities.map(|one| ("the community", one.id)))
        .chain(sites.map(|one| ("the site", one.id)))
        .chain(devices.map(|one| ("the device", one.id)))
        .next()
}

/// Writes credentials as CSV (`device,secret,site,kind`) that only its owner can read.
pub fn write_credentials(path: &Path, credentials: &[Credential]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for credential in credentials {
        writer.serialize(credential).map_err(io::Error::other)?;
    }
    let content = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    let content = String::from_utf8(content).map_err(io::Error::other)?;
    Draft::beside(path)?.write(&content)?.replace()
}

/// Reads what [`write_credentials`] wrote. Errors name the line, never what is in it.
pub fn read_credentials(path: &Path) -> io::Result<Vec<Credential>> {
    let mut reader = csv::Reader::from_reader(File::open(path)?);
    let rows = reader.deserialize().enumerate().map(|(index, row)| {
        row.map_err(|_| io::Error::other(format!("line {}: expected device,secret,site,kind", index + 2)))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use fenlei_wire::event::Body;

    use super::*;
    use crate::domain::alarms::Kind;
    use crate::domain::event::Door;
    use crate::simulate::history::history;
    use crate::store::{alarms, lids, open_beside};

    fn enrolled(path: &Path, today: &str) -> Vec<Credential> {
        let connection = open_beside(path).unwrap();
        let transaction = connection.transaction().unwrap();
        let mut rollups = Rollups::default();
        let sample = Neighbourhood::sample(today.parse().unwrap());
        let now = format!("{today}T12:00:00+08:00").parse().unwrap();
        let credentials = enrol(&transaction, &mut rollups, &sample, &CardKey::new([7; 32]), now).unwrap();
        rollups.flush(&transaction).unwrap();
        transaction.commit().unwrap();
        credentials
    }

    #[test]
    fn again_changes_nothing_but_the_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fenlei.db");
        let first = enrolled(&path, "2026-11-23");
        let reading = || registry::load(&open_beside(&path).unwrap()).unwrap();
        let before = reading();
        let second = enrolled(&path, "2026-11-24");
        let after = reading();
        assert_eq!(first.len(), 18);
        for (one, other) in first.iter().zip(&second) {
            assert_eq!((&one.device, &one.site, one.kind), (&other.device, &other.site, other.kind));
            let stored = &after.devices[&one.device];
            assert!(credentials::verify(&stored.password, &other.secret));
            assert!(!credentials::verify(&stored.password, &one.secret));
            assert_eq!(stored.incarnation, 1);
        }
        assert_eq!(before.projects, after.projects);
        assert_eq!(after.sites["xinhua-west"].schedules.len(), 1);
        let community = after.communities["xinhua"].key;
        let households = roster::list(&open_beside(&path).unwrap(), community, "", 1_000, |_| true).unwrap();
        assert_eq!(households.len(), 400);
        assert!(households.iter().all(|household| household.cards == 1));
    }

    #[test]
    fn what_is_registered_under_the_same_id_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fenlei.db");
        enrolled(&path, "2026-11-23");
        let store = open_beside(&path).unwrap();
        let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
        let xinhua = sample.communities.iter().find(|community| community.id == "xinhua").unwrap();
        registry::put_community(&store, "xinhua", "真的小区", xinhua.committee, ZONE).unwrap();
        let now = "2026-11-23T12:00:00+08:00".parse().unwrap();
        let refused = enrol(&store, &mut Rollups::default(), &sample, &CardKey::new([7; 32]), now).unwrap_err();
        assert!(refused.to_string().contains("the community `xinhua` is registered already"), "{refused}");
        assert_eq!(registry::load(&store).unwrap().communities["xinhua"].name, "真的小区");
    }

    #[test]
    fn no_lid_of_the_history_is_otherwise_than_its_hours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fenlei.db");
        enrolled(&path, "2026-11-23");
        let store = open_beside(&path).unwrap();
        let registry = registry::load(&store).unwrap();
        // Within a window and after it, between the visits of staff and after them, in the night.
        for time in ["08:30", "09:20", "09:50", "12:00", "15:10", "18:20", "20:30", "21:30", "23:59"] {
            let now: DateTime<Utc> = format!("2026-11-23T{time}:30+08:00").parse().unwrap();
            let transaction = store.transaction().unwrap();
            for (device, story) in &history(&Neighbourhood::sample(today(ZONE, now)), 1, now, 3, 1) {
                let (device, site, _) = registry.place(device).unwrap();
                for occurrence in story {
                    if let Body::Door { open, by } = occurrence.what.body() {
                        lids::door(&transaction, site, device, &Door { open, by }, occurrence.time.0).unwrap();
                    }
                }
            }
            lids::apply(&transaction, &lids::plan(&transaction, &registry, None, now).unwrap(), now.timestamp_millis())
                .unwrap();
            let alarms = alarms::open_of(&transaction, Kind::Lid).unwrap();
            assert!(alarms.is_empty(), "{time}: {alarms:?}");
            let told: i64 = transaction.query_row("SELECT count(*) FROM lid", [], |row| row.get(0)).unwrap();
            assert_eq!(told, 11, "every simulated bin has told");
        }
    }

    #[test]
    fn credentials_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.csv");
        fs::write(&path, "open to all").unwrap();
        let kind = fenlei_wire::vocabulary::DeviceKind::Bin;
        let one = Credential { device: "bin".into(), secret: "s".into(), site: "site".into(), kind };
        write_credentials(&path, std::slice::from_ref(&one)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "device,secret,site,kind\nbin,s,site,bin\n");
        assert_eq!(read_credentials(&path).unwrap(), [one]);
        fs::write(&path, "device,secret,site,kind\nbin,hush,site,lamp\n").unwrap();
        let error = read_credentials(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
    }
}
