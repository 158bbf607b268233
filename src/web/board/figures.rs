//! What a board shows, as it may be published: of full weeks only, so that no day can be told from another.

use chrono::{DateTime, Utc};

use crate::domain::awareness::Answers;
use crate::domain::period::Span;
use crate::domain::picture::{full_weeks, last_full_day, participation};
use crate::domain::published::{self, Share};
use crate::domain::registry::{Community, Registry};
use crate::domain::zone::today;
use crate::store::sql::Connection;
use crate::store::{StoreError, figures, visits};

/// Weeks in the trend.
const WEEKS: u64 = 8;

/// A board's figures. A share that is absent is withheld.
#[derive(Debug)]
pub(super) struct Figures {
    pub id: String,
    pub community: String,
    /// Its name.
    pub committee: String,
    /// The last full weeks, the latest last.
    pub weeks: Vec<Week>,
    pub awareness: Awareness,
}

#[derive(Debug)]
pub(super) struct Week {
    pub span: Span,
    /// Households that took part, of all.
    pub participation: Option<Share>,
}

/// Since the first project began, up to the last full week.
#[derive(Debug)]
pub(super) struct Awareness {
    pub span: Span,
    pub claimed: Option<Share>,
    pub tested: Option<Share>,
}

pub(super) fn read(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    now: DateTime<Utc>,
) -> Result<Figures, StoreError> {
    let today = today(community.zone, now);
    let mut spans = full_weeks(today, WEEKS);
    spans.reverse();
    let all = Span { from: spans.first().map_or(today, |span| span.from), to: today };
    let counts = figures::deposits(connection, registry, community, all)?;
    let weeks = spans.into_iter().map(|span| {
        let participation = participation(&counts.participation(span, today));
        Week { span, participation }
    });
    let span = registry.surveyed(&community.id, last_full_day(today));
    let awareness = visits::figure(connection, community, span, today)?;
    let share = |answers: Answers| published::share(answers.aware, answers.respondents);
    Ok(Figures {
        id: community.id.clone(),
        community: community.name.clone(),
        committee: registry.organizations.get(&community.committee).map(|one| one.name.clone()).unwrap_or_default(),
        weeks: weeks.collect(),
        awareness: Awareness { span, claimed: share(awareness.claimed), tested: share(awareness.tested) },
    })
}
