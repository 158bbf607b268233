//! Whether a device is there: its birth message and its last will. Both carry the boot, so that the will of an older
//! session cannot speak for a newer one.

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_FIRMWARE_BYTES;

/// Content of the `state` channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whether the device is connected.
    pub online: bool,
    /// Which start of the device says so.
    pub boot: u32,
    /// Its firmware version; a will has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String<MAX_FIRMWARE_BYTES>>,
    /// Version of the config it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<u32>,
}

impl State {
    /// The last will of a boot.
    #[must_use]
    pub const fn will(boot: u32) -> Self {
        Self { online: false, boot, firmware: None, config: None }
    }
}
