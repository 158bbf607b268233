//! `/communities/{id}/visits` and `/communities/{id}/awareness`: who was asked at the door, and what follows from it.

use std::sync::Arc;

use axum::extract::{Request, State};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::access::{Access, READERS, RECORDERS};
use super::extract::{Id, Json, Query, rows};
use super::figures::SpanQuery;
use super::once::IdempotencyKey;
use super::paging::{List, Page, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::words;
use crate::domain::DEFINITIONS;
use crate::domain::awareness::{Answers, Awareness, Visit};
use crate::domain::period::Span;
use crate::domain::statistics::rounded;
use crate::domain::zone::today;
use crate::rows::visits::{from_csv, from_json, from_xlsx};
use crate::store::{audit, visits};

/// A visit to a household, or a survey of it.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Visit, example = json!({"household": "xh-01-101", "date": "2026-09-02", "kind": "survey",
    "outcome": "answered", "claimed": true, "tested": null}))]
pub(super) struct VisitView {
    #[schema(schema_with = words::id)]
    household: String,
    /// The day at the community; none to come.
    #[schema(value_type = String, format = Date)]
    date: NaiveDate,
    #[schema(schema_with = words::visit_kind)]
    kind: String,
    #[schema(schema_with = words::outcome)]
    outcome: String,
    /// Whether the household says that it knows how to sort; null: no answer. Only where the outcome is `answered`.
    claimed: Option<bool>,
    /// Whether it showed that it does; null: no answer. Only where the outcome is `answered`.
    tested: Option<bool>,
}

impl From<Visit> for VisitView {
    fn from(visit: Visit) -> Self {
        Self {
            household: visit.household,
            date: visit.date,
            kind: visit.kind.as_str().to_owned(),
            outcome: visit.outcome.as_str().to_owned(),
            claimed: visit.claimed,
            tested: visit.tested,
        }
    }
}

/// One record or several.
#[derive(ToSchema)]
#[schema(as = Visits)]
#[expect(dead_code, reason = "states the JSON of a request for the OpenAPI document; `rows::visits` reads it")]
pub(super) enum VisitsBody {
    #[schema(title = "one")]
    One(VisitView),
    Several(Vec<VisitView>),
}

#[derive(Serialize, ToSchema)]
pub(super) struct Recorded {
    /// How many records the request held.
    recorded: usize,
}

/// Records visits and surveys: all rows or none, every bad row named. JSON (one object or an array), or CSV with the header
/// `household,date,kind,outcome,claimed,tested`; or an Excel workbook whose first sheet has those columns, where bad rows have the
/// numbers that Excel shows. There is one record for each household, date and kind: a later one
/// replaces it, so a request that is sent again counts once. Under an `Idempotency-Key` a repetition changes nothing at
/// all, even if the record was replaced since.
#[utoipa::path(post, path = "/communities/{id}/visits", tag = "households",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "New for each request; remembered for 7 days")),
    request_body(content((VisitsBody = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
    responses((status = 200, body = Recorded), (status = 422, body = Problem, content_type = "application/problem+json", description = "The key was used for another request"), WriteProblems))]
pub(super) async fn record_visits(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    key: IdempotencyKey,
    request: Request,
) -> Result<Json<Recorded>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.clone();
    access.may_do(RECORDERS)?;
    let rows = rows(request, &app, from_json, from_csv, from_xlsx).await?;
    let asked: Vec<VisitView> = rows.readable.iter().map(|(_, visit)| visit.clone().into()).collect();
    let once = key.once(&app, &access, &(&id, asked));
    let now = app.clock.now();
    let (today, now, who) = (today(community.zone, now), now.timestamp_millis(), access.caller.who.clone());
    let recorded = app.store.write(move |session| {
        let all = rows.readable.len();
        if rows.bad.is_empty()
            && let Some(once) = &once
            && once.before(session.connection)?.is_some()
        {
            return Ok(all);
        }
        visits::record(session.connection, community.key, rows, today)?;
        audit::note(session.connection, now, &who, "visits.record", &id)?;
        if let Some(once) = once {
            once.done(session.connection, None, now)?;
        }
        Ok::<_, Problem>(all)
    });
    Ok(Json(Recorded { recorded: recorded.await? }))
}

/// Lists the records of a community in the order in which they were made; that they were looked at is in the audit log.
#[utoipa::path(get, path = "/communities/{id}/visits", tag = "households",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = List<VisitView>), ReadProblems))]
pub(super) async fn list_visits(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<VisitView>>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.key;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let (after, probe) = (page.after_row()?, page.probe());
    let (now, who) = (app.clock.now().timestamp_millis(), access.caller.who.clone());
    let noted = app.store.write(move |session| audit::note(session.connection, now, &who, "visits.read", &id));
    noted.await?;
    let listed = app.store.read(move |connection| visits::list(connection, community, after, probe));
    Ok(Json(page.cut(listed.await?, |(id, _)| id.to_string()).map(|(_, visit)| visit.into())))
}

/// The awareness rate of a community, as households claim and as they were tested.
#[derive(Serialize, ToSchema)]
#[schema(as = Awareness)]
pub(super) struct AwarenessView {
    /// The version of the definitions that the figures follow.
    pub definitions: u32,
    pub community: String,
    #[schema(value_type = String, format = Date)]
    pub from: NaiveDate,
    /// Included.
    #[schema(value_type = String, format = Date)]
    pub to: NaiveDate,
    /// Households enrolled on the last day of the period, today at the latest.
    pub population: u64,
    pub claimed: AnswersView,
    pub tested: AnswersView,
    /// Households that gave no answer in the period and refused when they were last asked.
    pub refused: u64,
    /// Households that gave no answer in the period and were absent when they were last visited.
    pub absent: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AwarenessAnswers)]
pub(super) struct AnswersView {
    /// Households with an answer in the period; of each the latest counts.
    pub respondents: u64,
    pub aware: u64,
    #[schema(required = true)]
    pub rate: Option<f64>,
    /// The ends of the 95 % interval for the share of all households.
    #[schema(required = true)]
    pub low: Option<f64>,
    #[schema(required = true)]
    pub high: Option<f64>,
}

impl AwarenessView {
    pub(super) fn of(community: &str, span: Span, figure: Awareness) -> Self {
        Self {
            definitions: DEFINITIONS,
            community: community.to_owned(),
            from: span.from,
            to: span.to,
            population: figure.population,
            claimed: AnswersView::of(figure.claimed, figure.population),
            tested: AnswersView::of(figure.tested, figure.population),
            refused: figure.refused,
            absent: figure.absent,
        }
    }
}

impl AnswersView {
    fn of(answers: Answers, population: u64) -> Self {
        let (low, high) = answers.interval(population).unzip();
        let Answers { respondents, aware } = answers;
        Self { respondents, aware, rate: rounded(answers.rate()), low: rounded(low), high: rounded(high) }
    }
}

/// How many households know how to sort, as they say and as they showed, with the interval that the survey leaves open.
#[utoipa::path(get, path = "/communities/{id}/awareness", tag = "figures", params(("id" = String, Path), SpanQuery),
    responses((status = 200, body = AwarenessView), ReadProblems))]
pub(super) async fn awareness(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<SpanQuery>,
) -> Result<Json<AwarenessView>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.clone();
    let today = today(community.zone, app.clock.now());
    let span = query.span(today)?;
    let figure = app.store.read(move |connection| visits::figure(connection, &community, span, today)).await?;
    Ok(Json(AwarenessView::of(&id, span, figure)))
}
