//! How a device's own state is written for its next start: little-endian, nothing in it that a reader must trust. What
//! cannot be read, because an earlier firmware wrote it otherwise, is as if it had never been written.

use fenlei_wire::limits::{MAX_COMMAND_ID, MAX_TEXT_BYTES};
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::DeviceKind;
use heapless::{String, Vec};

use crate::lid::{Lid, Order};
use crate::role::Role;
use crate::screen::{Screen, Sent};
use crate::seen::{MAX_SEEN, SeenCommand, SeenCommands};

/// Longest list of commands.
pub const MAX_SEEN_BYTES: usize = MAX_SEEN * (9 + MAX_COMMAND_ID);
/// Longest state of a role.
pub const MAX_ROLE_BYTES: usize = 9 + MAX_TEXT_BYTES;

const LOCKED: u8 = 1;
const TIMED: u8 = 2;
const FOREVER: u8 = 4;

/// The commands that were handed out: each its expiry, the length of its id, and that.
#[must_use]
pub fn write_seen(seen: &SeenCommands) -> Vec<u8, MAX_SEEN_BYTES> {
    let each = seen.iter().flat_map(|command| {
        let length = command.id.len() as u8;
        command.expires.0.to_le_bytes().into_iter().chain([length]).chain(command.id.bytes())
    });
    each.collect()
}

/// The inverse of [`write_seen`].
#[must_use]
pub fn read_seen(mut bytes: &[u8]) -> SeenCommands {
    let mut seen = SeenCommands::new();
    while let Some((expires, [length, rest @ ..])) = bytes.split_first_chunk::<8>()
        && let Some((id, rest)) = rest.split_at_checked(usize::from(*length))
        && let Ok(id) = Vec::from_slice(id)
        && let Ok(id) = String::from_utf8(id)
    {
        seen.remember(SeenCommand { id, expires: UnixMillis(i64::from_le_bytes(*expires)) });
        bytes = rest;
    }
    seen
}

/// What a role must not forget: the order that a lid is under, or the message that a projector was sent.
#[must_use]
pub fn write_role(role: &Role) -> Vec<u8, MAX_ROLE_BYTES> {
    match role {
        Role::Bin { lid, .. } => lid.order().map_or_else(Vec::new, |order| {
            let flag = |set, flag| if set { flag } else { 0 };
            let flags = flag(order.locked, LOCKED) | flag(order.timed, TIMED) | flag(order.until.is_none(), FOREVER);
            let until = order.until.unwrap_or_default().0.to_le_bytes();
            [flags].into_iter().chain(until).collect()
        }),
        Role::Projector { screen, .. } => screen
            .sent()
            .map_or_else(Vec::new, |sent| sent.until.0.to_le_bytes().into_iter().chain(sent.text.bytes()).collect()),
        Role::Camera => Vec::new(),
    }
}

/// The inverse of [`write_role`].
#[must_use]
pub fn read_role(kind: DeviceKind, bytes: &[u8]) -> Role {
    match kind {
        DeviceKind::Bin => {
            let order = bytes.split_first().and_then(|(flags, until)| {
                let until = UnixMillis(i64::from_le_bytes(until.try_into().ok()?));
                let until = (flags & FOREVER == 0).then_some(until);
                Some(Order { locked: flags & LOCKED != 0, until, timed: flags & TIMED != 0 })
            });
            Role::Bin { lid: Lid::restored(order), locked: false }
        }
        DeviceKind::Camera => Role::Camera,
        DeviceKind::Projector => {
            let sent = bytes.split_first_chunk::<8>().and_then(|(until, text)| {
                let text = String::from_utf8(Vec::from_slice(text).ok()?).ok()?;
                Some(Sent { text, until: UnixMillis(i64::from_le_bytes(*until)) })
            });
            Role::Projector { screen: Screen::restored(sent), evening: false }
        }
    }
}
