//! How the lid of a bin stands, for `/devices`.

use chrono::{DateTime, Utc};
use fenlei_wire::vocabulary::DeviceKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::rfc3339;
use crate::domain::lids::Lid;
use crate::domain::registry::{Device, Registry};
use crate::store::sql::Connection;
use crate::store::{StoreError, lids};

/// A bin's lid: how it is to be by the hours of its site, and how it says that it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BinLid)]
pub(super) struct LidView {
    pub expected: Lid,
    /// Null: it has not said.
    #[schema(required = true)]
    pub reported: Option<Lid>,
    /// Since when it says so.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub since: Option<String>,
    /// Whether both agree; null while it has not said or is offline, and for a minute after each change of the hours.
    #[schema(required = true)]
    pub follows: Option<bool>,
    /// When it is to change next; null: not within eight days.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub next: Option<String>,
}

impl LidView {
    /// `None` for what is no bin.
    pub(super) fn read(
        connection: &Connection,
        registry: &Registry,
        device: &Device,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, StoreError> {
        let site = registry.sites.get(&device.site).filter(|_| device.kind == DeviceKind::Bin);
        let Some(site) = site else { return Ok(None) };
        let standing = lids::standing(connection, site, device, now)?;
        Ok(standing.map(|standing| Self {
            expected: standing.expected,
            reported: standing.reported.map(|(lid, _)| lid),
            since: standing.reported.map(|(_, since)| rfc3339(since)),
            follows: standing.follows,
            next: standing.next.map(rfc3339),
        }))
    }
}
