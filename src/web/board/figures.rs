//! What a board shows, as it may be published: of full weeks only, so that no day can be told from another.

use chrono::{DateTime, Datelike, Days, Utc};
use rusqlite::Connection;

use crate::domain::awareness::Answers;
use crate::domain::period::Span;
use crate::domain::published::{self, Share};
use crate::domain::registry::{Community, Registry};
use crate::domain::zone::today;
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
    let monday = today - Days::new(u64::from(today.weekday().num_days_from_monday()));
    let (first, last) = (monday - Days::new(7 * WEEKS), monday - Days::new(1));
    let counts = figures::counts(connection, registry, community, Span { from: first, to: last }, now)?;
    let weeks = (0..WEEKS).map(|week| {
        let from = first + Days::new(7 * week);
        let span = Span { from, to: from + Days::new(6) };
        let figures = counts.participation(span, today);
        Week { span, participation: published::share(figures.participating, figures.households) }
    });
    let span = registry.surveyed(&community.id, last);
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
