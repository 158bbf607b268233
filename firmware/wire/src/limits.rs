//! Sizes of what devices send and take, in one place, because their buffers are fixed when they are compiled. A backend
//! keeps to them in what it sends, and refuses events and publishes beyond them; of firmware versions, command ids and
//! details it takes longer ones than ours send.

/// Longest id of a site, device, household and so on.
pub const MAX_ID: usize = 48;
/// Longest card string, in bytes.
pub const MAX_CARD_BYTES: usize = 64;
/// Most events in one publish.
pub const MAX_BATCH: usize = 500;
/// Largest payload of one publish, in bytes.
pub const MAX_PAYLOAD: usize = 256 * 1024;
/// Largest sequence number: the largest integer that every JSON reader keeps exactly.
pub const MAX_SEQ: u64 = (1 << 53) - 1;
/// Largest weight of one deposit, in grams.
pub const MAX_GRAMS: u32 = 200_000;
/// Most ranges beyond `through` in one receipt.
pub const MAX_BEYOND: usize = 32;
/// Longest text of a message for a projector, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;
/// Longest id of a command, in bytes.
pub const MAX_COMMAND_ID: usize = 48;
/// Longest RFC 3339 time that a message may carry, in bytes.
pub const MAX_TIME_BYTES: usize = 40;
/// Longest firmware version in a state, in bytes.
pub const MAX_FIRMWARE_BYTES: usize = 32;
/// What is sent of the detail of an outcome, in bytes.
pub const MAX_DETAIL_BYTES: usize = 128;
/// Most changes of the zone's offset that a config carries.
pub const MAX_ZONE_STEPS: usize = 8;
/// Most weekly windows that a config carries.
pub const MAX_WEEKLY: usize = 16;
/// Most dates with windows of their own that a config carries.
pub const MAX_DATES: usize = 16;
/// Most windows of one such date.
pub const MAX_DAY_WINDOWS: usize = 8;

/// Longest config, in bytes of its JSON: what a device must be able to take in at once.
pub const MAX_CONFIG_BYTES: usize = 15 * 1024;

/// Whether `text` is an id: `[a-z0-9][a-z0-9_-]{0,47}`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= MAX_ID
        && bytes.first().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'_' | b'-'))
}
