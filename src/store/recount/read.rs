//! What the recount must know before it counts: sites with their schedules, and whose each boot is.

use std::collections::HashMap;

use fenlei_wire::vocabulary::DeviceKind;
use foldhash::fast::RandomState;

use super::super::StoreError;
use super::super::sql::Connection;
use crate::domain::recount::Place;
use crate::domain::registry::VOLUNTEERS;
use crate::domain::schedule::Schedule;

pub(super) struct Facts {
    pub(super) sites: Vec<Site>,
    pub(super) boots: HashMap<i64, Boot, RandomState>,
}

pub(super) struct Site {
    pub(super) id: String,
    pub(super) place: Place,
}

/// One start of a device that is registered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    /// Of its site in [`Facts::sites`].
    pub(super) site: usize,
    /// The device's key.
    pub(super) device: i64,
    pub(super) by_bin: bool,
    pub(super) next: i64,
    pub(super) stored: i64,
}

impl Facts {
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let sites = sites(connection)?;
        let by_id: HashMap<&str, usize> = sites.iter().enumerate().map(|(index, site)| (&*site.id, index)).collect();
        let mut boots = HashMap::default();
        let mut select = connection.prepare(
            "SELECT b.id, d.site, d.key, d.kind, b.next, b.stored FROM boot b JOIN device d ON d.id = b.device",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let site = by_id.get(row.get_ref(1)?.as_str().unwrap_or_default());
            let site = *site.ok_or(StoreError::Corrupt("a device without its site"))?;
            let kind: String = row.get(3)?;
            let by_bin = kind == DeviceKind::Bin.as_str() || kind == VOLUNTEERS;
            let boot = Boot { site, device: row.get(2)?, by_bin, next: row.get(4)?, stored: row.get(5)? };
            boots.insert(row.get(0)?, boot);
        }
        drop(rows);
        Ok(Self { sites, boots })
    }
}

fn sites(connection: &Connection) -> Result<Vec<Site>, StoreError> {
    let mut select = connection.prepare(
        "SELECT s.id, c.key, s.key, s.time_zone FROM site s JOIN community c ON c.id = s.community ORDER BY s.key",
    )?;
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let found = found.collect::<Result<Vec<(String, i64, i64, String)>, _>>()?;
    let mut versions = connection.prepare("SELECT document FROM schedule WHERE site = ?1 ORDER BY id")?;
    let mut sites = Vec::new();
    for (id, community, site, zone) in found {
        let mut schedules: Vec<Schedule> = Vec::new();
        let mut rows = versions.query([&id])?;
        while let Some(row) = rows.next()? {
            let document = row.get_ref(0)?.as_str().unwrap_or_default();
            let version = serde_json::from_str(document);
            schedules.push(version.map_err(|_| StoreError::Corrupt("a schedule cannot be read"))?);
        }
        let zone = zone.parse().map_err(|_| StoreError::Corrupt("an unknown time zone"))?;
        sites.push(Site { id, place: Place { community, site, zone, schedules } });
    }
    Ok(sites)
}
