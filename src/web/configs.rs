//! How a device stands to what it was told to keep to.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::registry::{Device, Registry};
use crate::store::sql::Connection;
use crate::store::{StoreError, device_configs, fleet};

/// The config of a device: its schedule, its zone, its evening message.
#[derive(Serialize, ToSchema)]
#[schema(as = DeviceConfig)]
pub(super) struct ConfigView {
    /// What it was last told; null: nothing yet.
    pub version: Option<u32>,
    /// What it says it follows; null: it has not said.
    pub follows: Option<u32>,
    /// It follows what it is to keep to by the registry as it stands.
    pub confirmed: bool,
}

impl ConfigView {
    pub(super) fn read(
        connection: &Connection,
        registry: &Registry,
        device: &Device,
        follows: Option<u32>,
    ) -> Result<Self, StoreError> {
        let version = device_configs::version(connection, device.key)?;
        let made = device_configs::revision(connection)? >= registry.revision;
        Ok(Self { version, follows, confirmed: made && version.is_some() && version == follows })
    }
}

/// A device of a site, and whether it keeps to the site's schedule as it stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Follower {
    pub device: String,
    pub config: ConfigView,
}

/// The devices of a site, by id.
pub(super) fn followers(connection: &Connection, registry: &Registry, site: &str) -> Result<Vec<Follower>, StoreError> {
    let devices = registry.devices.values().filter(|device| device.site == site);
    let follower = |device: &Device| {
        let follows = fleet::status(connection, device)?.config;
        let config = ConfigView::read(connection, registry, device, follows)?;
        Ok(Follower { device: device.id.clone(), config })
    };
    devices.map(follower).collect()
}
