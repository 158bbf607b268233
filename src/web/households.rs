//! `/communities/{id}/households`: the roster. Cards go in and never come out; every look at it is in the audit log.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{ADMINS, Access, READERS};
use super::extract::{Date, Id, Json, Query, rows};
use super::figures::span;
use super::paging::{List, Page};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::{App, words};
use crate::domain::zone::today;
use crate::rows::households::{from_csv, from_json, from_xlsx};
use crate::store::doorstep::{self, Doorstep};
use crate::store::{audit, erasure, roster};

/// A row of an import.
#[derive(Deserialize, ToSchema)]
#[schema(as = HouseholdRow, example = json!({"household": "new-1-101", "building": "1", "enrolled_from": "2026-09-01", "cards": ["04A2B9C1"]}))]
#[expect(dead_code, reason = "states the JSON of a row for the OpenAPI document; `rows::households` reads it")]
pub(super) struct HouseholdFields {
    #[schema(schema_with = words::id)]
    household: String,
    building: Option<String>,
    /// The first day of its enrolment.
    #[schema(value_type = String, format = Date)]
    enrolled_from: NaiveDate,
    /// The last day of its enrolment.
    #[schema(value_type = Option<String>, format = Date)]
    enrolled_until: Option<NaiveDate>,
    /// All its cards, each of 1 to 64 bytes: one that a row leaves out is no longer its.
    #[schema(schema_with = words::cards)]
    cards: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Household)]
pub(super) struct HouseholdView {
    pub household: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub building: Option<String>,
    #[schema(value_type = String, format = Date)]
    pub enrolled_from: NaiveDate,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub enrolled_until: Option<NaiveDate>,
    /// How many it holds; which is never told.
    pub cards: u32,
}

impl From<roster::Listed> for HouseholdView {
    fn from(listed: roster::Listed) -> Self {
        Self {
            household: listed.household,
            building: listed.building,
            enrolled_from: listed.enrolled_from.date(),
            enrolled_until: listed.enrolled_until.map(|day| day.date()),
            cards: listed.cards,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    pub created: usize,
    pub updated: usize,
}

/// Puts households with their cards: all rows or none, every bad row named. JSON, or CSV with the header
/// `household,building,enrolled_from,enrolled_until,cards`, cards separated by `;`; or
/// an Excel workbook whose first sheet has those columns, where bad rows have the numbers that Excel shows.
#[utoipa::path(post, path = "/communities/{id}/households", tag = "households", params(("id" = String, Path)),
    request_body(content((Vec<HouseholdFields> = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
    responses((status = 200, body = Imported), WriteProblems))]
pub(super) async fn import_households(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    request: Request,
) -> Result<Json<Imported>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.key;
    access.may_do(ADMINS)?;
    let rows = rows(request, &app, from_json, from_csv, from_xlsx).await?;
    let (key, now, who) = (app.card_key.clone(), app.clock.now().timestamp_millis(), access.caller.who.clone());
    let imported = app.store.write(move |session| {
        let imported = roster::import_read(session.connection, community, rows, &key)?;
        audit::note(session.connection, now, &who, "households.import", &id)?;
        Ok::<_, Problem>(imported)
    });
    let roster::Imported { created, updated } = imported.await?;
    Ok(Json(Imported { created, updated }))
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HouseholdsQuery {
    /// Of the households enrolled on the last day of the period, today at the latest: only those that count in its
    /// participation figure, or only those that do not.
    pub participating: Option<bool>,
    /// Of the same: only those with any record of a visit or survey in the period, or only those without.
    pub visited: Option<bool>,
    /// The first day of the period; absent: 27 days before `to`.
    #[param(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    /// The last day, included; absent: today.
    #[param(value_type = Option<String>, format = Date)]
    pub to: Option<Date>,
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    pub cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Lists the households of a community, or, with `participating` or `visited`, those to go and see; that they were looked
/// at is in the audit log.
#[utoipa::path(get, path = "/communities/{id}/households", tag = "households",
    params(("id" = String, Path), HouseholdsQuery),
    responses((status = 200, body = List<HouseholdView>), ReadProblems))]
pub(super) async fn list_households(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<HouseholdsQuery>,
) -> Result<Json<List<HouseholdView>>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.clone();
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let HouseholdsQuery { participating, visited, from, to, .. } = query;
    let (filtered, dated) = (participating.or(visited).is_some(), from.is_some() || to.is_some());
    if dated && !filtered {
        return Err(Problem::bad_request(
            "`from` and `to` go with `participating` or `visited`: give one of these too",
        ));
    }
    let now = app.clock.now();
    let span = span(from, to, today(community.zone, now))?;
    let asked = filtered.then_some(Doorstep { span, participating, visited });
    let who = access.caller.who.clone();
    let noted = app.store.write(move |session| {
        let action = if filtered { "households.doorstep" } else { "households.read" };
        audit::note(session.connection, now.timestamp_millis(), &who, action, &id)
    });
    noted.await?;
    let (after, probe) = (page.after.clone().unwrap_or_default(), page.probe());
    let registry = Arc::clone(&access.registry);
    let listed = app.store.read(move |connection| match asked {
        None => roster::list(connection, community.key, &after, probe, |_| true),
        Some(asked) => doorstep::list(connection, &registry, &community, asked, (&after, probe), now),
    });
    Ok(Json(page.cut(listed.await?, |listed| listed.household.clone()).map(HouseholdView::from)))
}

/// Erases a household: its name, building and cards are gone for ever, its visits and deposits stay without them, so that
/// every figure up to today is what it was. From tomorrow it is no longer enrolled; an import of the same id is a new
/// household, and a card of it that is read again is an unknown card.
#[utoipa::path(delete, path = "/communities/{id}/households/{household}", tag = "households",
    params(("id" = String, Path), ("household" = String, Path)),
    responses((status = 204, description = "Erased"), WriteProblems))]
pub(super) async fn erase_household(
    State(app): State<Arc<App>>,
    access: Access,
    Path((id, household)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.clone();
    access.may_do(ADMINS)?;
    let (now, who) = (app.clock.now(), access.caller.who.clone());
    let erased = app.store.write(move |session| {
        if !erasure::erase(session, &community, &household, now)? {
            return Err(Problem::not_found());
        }
        audit::note(session.connection, now.timestamp_millis(), &who, "households.erase", &id)?;
        Ok(())
    });
    erased.await?;
    // The erasure stands whatever comes of this; the hourly job does it again.
    if let Err(error) = app.store.scrub().await {
        tracing::warn!(%error, "the store's file could not be scrubbed after an erasure");
    }
    Ok(StatusCode::NO_CONTENT)
}
