//! The statistics of definitions version 1. A rate is rounded to 6 places, and null where it has no denominator.

use std::sync::Arc;

use axum::extract::State;
use chrono::{Days, NaiveDate};
use fenlei_wire::vocabulary::Stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::{Access, READERS};
use super::extract::{Date, Id, Json, Query};
use super::problem::{Problem, ReadProblems};
use crate::domain::DEFINITIONS;
use crate::domain::period::{Period, Span};
use crate::domain::statistics::{Participation, TimingCounts, rounded};
use crate::domain::zone::today;
use crate::store::figures;

/// The days that are told where `from` is absent.
const DEFAULT_DAYS: u64 = 28;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ParticipationQuery {
    /// The first day; absent: 27 days before `to`.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Date>,
    /// The last day, included; absent: today.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
    /// What the span is cut into; absent: `range`, the whole of it.
    #[param(inline)]
    period: Option<Period>,
}

#[derive(Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SpanQuery {
    /// The first day; absent: 27 days before `to`.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Date>,
    /// The last day, included; absent: today.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
}

impl SpanQuery {
    pub(super) fn new(from: Option<Date>, to: Option<Date>) -> Self {
        Self { from, to }
    }

    pub(super) fn span(self, today: NaiveDate) -> Result<Span, Problem> {
        span(self.from, self.to, today)
    }
}

pub(super) fn span(from: Option<Date>, to: Option<Date>, today: NaiveDate) -> Result<Span, Problem> {
    let to = to.map_or(today, |Date(to)| to);
    let first = || to.checked_sub_days(Days::new(DEFAULT_DAYS - 1)).unwrap_or(to);
    let from = from.map_or_else(first, |Date(from)| from);
    Ok(Span::new(from, to)?)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Participation)]
pub(super) struct ParticipationView {
    /// The version of the definitions that the figures follow.
    definitions: u32,
    community: String,
    time_zone: String,
    periods: Vec<PeriodView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ParticipationPeriod)]
pub(super) struct PeriodView {
    #[schema(value_type = String, format = Date)]
    from: NaiveDate,
    /// Included.
    #[schema(value_type = String, format = Date)]
    to: NaiveDate,
    /// Enrolled on the last day of the period, today at the latest.
    households: u64,
    participating: u64,
    #[schema(required = true)]
    participation_rate: Option<f64>,
    correct_participating: u64,
    #[schema(required = true)]
    correct_participation_rate: Option<f64>,
    /// Over the observed windows.
    #[schema(required = true)]
    set_out_rate: Option<f64>,
    deposits: DepositsView,
    #[schema(required = true)]
    accuracy: Option<f64>,
    /// Share of deposits with a verdict: how much the accuracy speaks for.
    #[schema(required = true)]
    judged_coverage: Option<f64>,
    /// Share of deposits whose card is known: when low, participation is a lower bound.
    #[schema(required = true)]
    identified_coverage: Option<f64>,
    grams: GramsView,
    windows: WindowsView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Deposits)]
pub(super) struct DepositsView {
    total: u64,
    in_window: u64,
    makeup: u64,
    off_hours: u64,
    identified: u64,
    correct: u64,
    incorrect: u64,
    unjudged: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Grams)]
pub(super) struct GramsView {
    food: u64,
    residual: u64,
    recyclable: u64,
    hazardous: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Windows)]
pub(super) struct WindowsView {
    scheduled: u64,
    observed: u64,
}

impl From<Participation> for PeriodView {
    fn from(figures: Participation) -> Self {
        let grams = |stream| figures.grams.get(&stream).copied().unwrap_or(0);
        Self {
            from: figures.span.from,
            to: figures.span.to,
            households: figures.households,
            participating: figures.participating,
            participation_rate: rounded(figures.participation_rate()),
            correct_participating: figures.correct_participating,
            correct_participation_rate: rounded(figures.correct_participation_rate()),
            set_out_rate: rounded(figures.set_out_rate),
            deposits: DepositsView {
                total: figures.timing.total(),
                in_window: figures.timing.in_window,
                makeup: figures.timing.makeup,
                off_hours: figures.timing.off_hours,
                identified: figures.identified,
                correct: figures.verdict.correct,
                incorrect: figures.verdict.incorrect,
                unjudged: figures.verdict.unjudged,
            },
            accuracy: rounded(figures.accuracy()),
            judged_coverage: rounded(figures.judged_coverage()),
            identified_coverage: rounded(figures.identified_coverage()),
            grams: GramsView {
                food: grams(Stream::Food),
                residual: grams(Stream::Residual),
                recyclable: grams(Stream::Recyclable),
                hazardous: grams(Stream::Hazardous),
            },
            windows: WindowsView { scheduled: figures.windows_scheduled, observed: figures.windows_observed },
        }
    }
}

/// How many households take part, how well they sort, when and how much they bring.
#[utoipa::path(get, path = "/communities/{id}/participation", tag = "figures",
    params(("id" = String, Path), ParticipationQuery),
    responses((status = 200, body = ParticipationView), ReadProblems))]
pub(super) async fn participation(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<ParticipationQuery>,
) -> Result<Json<ParticipationView>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.clone();
    let now = app.clock.now();
    let today = today(community.zone, now);
    let span = span(query.from, query.to, today)?;
    let period = query.period.unwrap_or(Period::Range);
    let registry = Arc::clone(&access.registry);
    let read = app.store.read(move |connection| {
        let counts = figures::counts(connection, &registry, &community, span, now)?;
        let periods = period.cut(span).into_iter().map(|span| counts.participation(span, today).into());
        Ok(ParticipationView {
            definitions: DEFINITIONS,
            time_zone: community.zone.name().to_owned(),
            periods: periods.collect(),
            community: community.id,
        })
    });
    Ok(Json(read.await?))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Hours)]
pub(super) struct HoursView {
    /// 24 rows, from midnight.
    hours: Vec<HourView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Hour)]
pub(super) struct HourView {
    /// The local hour, 0 to 23.
    hour: usize,
    deposits: u64,
    in_window: u64,
    makeup: u64,
    off_hours: u64,
}

impl From<(usize, TimingCounts)> for HourView {
    fn from((hour, counts): (usize, TimingCounts)) -> Self {
        let TimingCounts { in_window, makeup, off_hours } = counts;
        Self { hour, deposits: counts.total(), in_window, makeup, off_hours }
    }
}

/// Deposits of a site by local hour of the day.
#[utoipa::path(get, path = "/sites/{id}/hours", tag = "figures", params(("id" = String, Path), SpanQuery),
    responses((status = 200, body = HoursView), ReadProblems))]
pub(super) async fn hours(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<SpanQuery>,
) -> Result<Json<HoursView>, Problem> {
    access.may_see(READERS)?;
    let site = access.site(&id)?.clone();
    let span = query.span(today(site.zone, app.clock.now()))?;
    let hours = app.store.read(move |connection| figures::hours(connection, &site, span)).await?;
    Ok(Json(HoursView { hours: hours.into_iter().enumerate().map(HourView::from).collect() }))
}
