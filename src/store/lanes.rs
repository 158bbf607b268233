//! In which lane a publish is stored where several backends share the store.

use super::sql::LANES;
use crate::domain::inbound::{Inbound, What};
use crate::domain::registry::Registry;

/// Of FNV-1a, by which backends of different builds find the same lane.
const FNV_BASIS: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// Where a publish is stored: all that one transaction reads and changes of a site lies in one lane.
pub(super) fn lane(inbound: &Inbound, registry: &Registry) -> u8 {
    let device = match &inbound.what {
        What::Events { from, .. } | What::State { from, .. } => &from.device,
        What::Refused { device, .. } => device,
        What::Nothing => return 0,
    };
    // A device that is not known changes nothing but what is kept under its name.
    let of = registry.devices.get(device).map_or(device.as_str(), |device| &device.site);
    let hash = of.bytes().fold(FNV_BASIS, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME));
    (hash % u32::from(LANES)) as u8
}
