//! The doorstep list: which households to go and see, by what the figures of a period say of each.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::roster::{self, Listed};
use super::sql::Connection;
use super::{StoreError, figures, visits};
use crate::domain::period::Span;
use crate::domain::registry::{Community, Registry};
use crate::domain::statistics::roll_call;
use crate::domain::zone::today;

/// Which households of a period's H are asked for; `None`: either.
#[derive(Clone, Copy, Debug)]
pub struct Doorstep {
    pub span: Span,
    /// Whether it counts in the participation figure of the span.
    pub participating: Option<bool>,
    /// Whether there is any record of a visit or survey in the span.
    pub visited: Option<bool>,
}

/// The first `limit` of them after `after`, in the order of their ids.
pub fn list(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    asked: Doorstep,
    (after, limit): (&str, usize),
    now: DateTime<Utc>,
) -> Result<Vec<Listed>, StoreError> {
    let Doorstep { span, participating, visited } = asked;
    let today = today(community.zone, now);
    let (roster, took_part) = if participating.is_some() {
        let counts = figures::counts(connection, registry, community, span, now)?;
        let took_part = counts.attendance(span, today).participating;
        (counts.roster, took_part)
    } else {
        (roster::load(connection, community.key)?, HashSet::new())
    };
    let seen = visits::visited(connection, community.key, span)?;
    let enrolled = roster.enrolled(roll_call(span, today));
    let wanted: HashSet<_> = enrolled
        .filter(|(index, _)| participating.is_none_or(|asked| asked == took_part.contains(index)))
        .filter(|(_, key)| visited.is_none_or(|asked| asked == seen.contains(key)))
        .map(|(_, key)| key)
        .collect();
    roster::list(connection, community.key, after, limit, |key| wanted.contains(&key))
}
