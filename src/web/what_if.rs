//! `/sites/{id}/schedule/what-if`: what other hours would have made of the deposits that were brought.

use std::sync::Arc;

use axum::extract::State;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::access::{Access, READERS};
use super::extract::{Date, Id, Json, Query};
use super::figures::{HourView, SpanQuery};
use super::problem::{Problem, WriteProblems};
use crate::domain::DEFINITIONS;
use crate::domain::object::objects;
use crate::domain::schedule::{DateWindows, Meeting, Schedule, WeeklyWindow};
use crate::domain::statistics::{TimingCounts, rate, rounded};
use crate::domain::timetable::Timetable;
use crate::domain::zone::today;
use crate::store::{figures, replay};

/// Hours that are thought of: a schedule as it would be put, held against every day of the period.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": "18:00", "close": "20:00"}]}))]
pub(super) struct Proposal {
    /// Taken as it may be in a schedule that was read; the proposal holds on all days.
    #[serde(default, rename = "valid_from")]
    #[schema(value_type = Option<String>, format = Date)]
    _valid_from: Option<Date>,
    /// Not looked at.
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
    /// Not looked at.
    #[serde(default, rename = "meeting")]
    _meeting: Option<Meeting>,
    weekly: Vec<WeeklyWindow>,
    #[serde(default, deserialize_with = "objects")]
    dates: Vec<DateWindows>,
}

impl Proposal {
    pub(super) fn new(weekly: Vec<WeeklyWindow>, dates: Vec<DateWindows>) -> Self {
        Self { _valid_from: None, _reason: None, _meeting: None, weekly, dates }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct WhatIf {
    definitions: u32,
    site: String,
    #[schema(value_type = String, format = Date)]
    from: NaiveDate,
    /// Included.
    #[schema(value_type = String, format = Date)]
    to: NaiveDate,
    pub proposed: TimingView,
    /// By the schedules that were in force.
    pub actual: TimingView,
}

/// Deposits by timing, and their shares of all.
#[derive(Serialize, ToSchema)]
#[schema(as = Timing)]
pub(super) struct TimingView {
    pub deposits: u64,
    pub in_window: u64,
    pub makeup: u64,
    pub off_hours: u64,
    pub shares: SharesView,
    /// 24 rows, from midnight.
    hours: Vec<HourView>,
}

/// 0 to 1, null without deposits.
#[derive(Serialize, ToSchema)]
#[schema(as = TimingShares)]
pub(super) struct SharesView {
    #[schema(required = true)]
    pub in_window: Option<f64>,
    #[schema(required = true)]
    pub makeup: Option<f64>,
    #[schema(required = true)]
    pub off_hours: Option<f64>,
}

impl From<[TimingCounts; 24]> for TimingView {
    fn from(hours: [TimingCounts; 24]) -> Self {
        let mut all = TimingCounts::default();
        hours.iter().for_each(|hour| all.add(hour));
        let share = |count| rounded(rate(count, all.total()));
        Self {
            deposits: all.total(),
            in_window: all.in_window,
            makeup: all.makeup,
            off_hours: all.off_hours,
            shares: SharesView {
                in_window: share(all.in_window),
                makeup: share(all.makeup),
                off_hours: share(all.off_hours),
            },
            hours: hours.into_iter().enumerate().map(HourView::from).collect(),
        }
    }
}

/// Replays the deposits of a period against other hours, and shows beside it what the hours in force made of them.
/// Changes nothing.
#[utoipa::path(post, path = "/sites/{id}/schedule/what-if", tag = "schedules", params(("id" = String, Path), SpanQuery),
    request_body = Proposal, responses((status = 200, body = WhatIf), WriteProblems))]
pub(super) async fn what_if(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<SpanQuery>,
    Json(proposal): Json<Proposal>,
) -> Result<Json<WhatIf>, Problem> {
    access.may_see(READERS)?;
    let site = access.site(&id)?.clone();
    let span = query.span(today(site.zone, app.clock.now()))?;
    let Proposal { weekly, dates, .. } = proposal;
    let proposed = Schedule { valid_from: span.from, reason: None, meeting: None, weekly, dates };
    proposed.check()?;
    let timetable = Timetable::new(site.zone, [&proposed]);
    let read = app.store.read(move |connection| {
        let proposed = replay::timings(connection, &site, &timetable, span)?.into();
        let actual = figures::hours(connection, &site, span)?.into();
        Ok(WhatIf { definitions: DEFINITIONS, site: site.id, from: span.from, to: span.to, proposed, actual })
    });
    Ok(Json(read.await?))
}
