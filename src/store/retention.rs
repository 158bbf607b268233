//! How long what concerns single households is kept. Each limit is off where it is `None`.

use chrono::{DateTime, Days, Utc};

use super::sql::Connection;
use super::writer::Session;
use super::{Store, StoreError, audit, erasure};
use crate::domain::registry::Registry;
use crate::domain::zone::{Day, today};

/// How many days each thing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A household after the last day of its enrolment: then it is erased. Every figure stays as it was.
    pub departed_days: Option<u32>,
    /// Records of visits and surveys after their day. The awareness of a period is that of the records that are left: it is
    /// to be read before they go.
    pub visits_days: Option<u32>,
    /// Lines of the audit log.
    pub audit_days: Option<u32>,
}

/// Who erases, in the audit log.
const WHO: &str = "retention";

/// Removes what is older, one household a transaction: a deposit never waits for more than one erasure.
pub async fn apply(store: &Store, retention: Retention, now: DateTime<Utc>) -> Result<(), StoreError> {
    store.write(move |session| forget(session.connection, &session.registry, retention, now)).await?;
    let Some(days) = retention.departed_days else { return Ok(()) };
    while store.write(move |session| erase_one(session, days, now)).await? {}
    Ok(())
}

fn forget(
    connection: &Connection,
    registry: &Registry,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if let Some(days) = retention.audit_days {
        let before = (now - Days::new(days.into())).timestamp_millis();
        connection.execute("DELETE FROM audit WHERE at < ?1", [before])?;
    }
    if let Some(days) = retention.visits_days {
        for community in registry.communities.values() {
            let first = Day(Day::of(today(community.zone, now)).0 - i32::try_from(days).unwrap_or(i32::MAX));
            connection.execute(
                "DELETE FROM visit WHERE day < ?2 AND household IN (SELECT key FROM household WHERE community = ?1)",
                (community.key, first.0),
            )?;
        }
    }
    Ok(())
}

/// Erases a household whose time is over. `false`: there is none.
fn erase_one(session: &mut Session<'_>, days: u32, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let registry = std::sync::Arc::clone(&session.registry);
    for community in registry.communities.values() {
        let first = Day::of(today(community.zone, now)).0 - i32::try_from(days).unwrap_or(i32::MAX);
        let departed: Vec<String> = session
            .connection
            .prepare_cached(
                "SELECT id FROM household WHERE community = ?1 AND erased IS NULL AND enrolled_until < ?2 LIMIT 1",
            )?
            .query_map((community.key, first), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if let Some(household) = departed.first() {
            let erased = erasure::erase(session, community, household, now)?;
            audit::note(session.connection, now.timestamp_millis(), WHO, "households.erase", &community.id)?;
            return Ok(erased);
        }
    }
    Ok(false)
}
