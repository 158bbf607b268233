//! All that the page of a community is made of, read at one moment.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use fenlei_wire::vocabulary::Stream;

use super::chosen::Chosen;
use crate::domain::comparison::{Means, means, sides};
use crate::domain::period::Span;
use crate::domain::registry::{Community, Registry};
use crate::domain::statistics::{Participation, StreamTotal};
use crate::domain::zone::today;
use crate::store::sql::Connection;
use crate::store::{StoreError, figures};
use crate::web::pages::standing::Standing;

pub(super) struct Reading {
    pub standing: Standing,
    pub chosen: Chosen,
    pub today: NaiveDate,
    /// As far as today has gone.
    pub so_far: Participation,
    /// The chosen span as one period, and cut.
    pub whole: Participation,
    pub periods: Vec<Participation>,
    pub streams: BTreeMap<Stream, StreamTotal>,
    /// Absent: no project has begun.
    pub comparison: Option<Comparison>,
}

/// Before and after the first project's start.
pub(super) struct Comparison {
    pub starts: NaiveDate,
    pub before: Means,
    pub after: Means,
}

impl Reading {
    pub(super) fn read(
        connection: &Connection,
        registry: &Registry,
        community: &Community,
        chosen: Chosen,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let today = today(community.zone, now);
        let counts = figures::counts(connection, registry, community, chosen.span, now)?;
        let single = Span { from: today, to: today };
        let so_far = figures::counts(connection, registry, community, single, now)?.participation(single, today);
        let starts = registry.first_start(&community.id, today);
        let comparison = starts.map(|starts| {
            let side = |weeks: Vec<Span>| {
                let Some((first, last)) = weeks.first().zip(weeks.last()) else { return Ok(Means::default()) };
                let span = Span { from: first.from, to: last.to };
                let counts = figures::counts(connection, registry, community, span, now)?;
                let weeks: Vec<_> = weeks.iter().map(|week| counts.participation(*week, today)).collect();
                Ok::<_, StoreError>(means(&weeks))
            };
            let (before, after) = sides(starts, today);
            Ok::<_, StoreError>(Comparison { starts, before: side(before)?, after: side(after)? })
        });
        Ok(Self {
            standing: Standing::read(connection, registry, community, now)?,
            today,
            so_far,
            whole: counts.participation(chosen.span, today),
            periods: chosen.period.cut(chosen.span).into_iter().map(|span| counts.participation(span, today)).collect(),
            streams: counts.streams(chosen.span),
            comparison: comparison.transpose()?,
            chosen,
        })
    }
}
