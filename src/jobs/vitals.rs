//! Keeps what each device last measured of itself.

use fenlei_wire::vocabulary::EventType;

use super::follow::Follower;
use crate::store::events::Listed;
use crate::store::writer::Session;
use crate::store::{StoreError, vitals};

pub(super) const MEASURED: Follower =
    Follower { name: "vitals", types: &[EventType::Heartbeat, EventType::Fill, EventType::Emptied], apply: hear };

fn hear(session: &mut Session<'_>, found: &[Listed]) -> Result<(), StoreError> {
    vitals::hear(session.connection, &session.registry, found)
}
