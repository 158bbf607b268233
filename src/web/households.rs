//! `/communities/{id}/households`: the roster. Cards go in and never come out; every look at it is in the audit log.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::access::{ADMINS, Access, READERS};
use super::extract::{Id, Json, Query, body, media_type, unsupported};
use super::paging::{List, Page, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use crate::household_rows::{from_csv, from_json};
use crate::store::{audit, roster};

/// The most bytes of an import.
pub(super) const MAX_IMPORT: usize = 8 * 1024 * 1024;

/// A row of an import.
#[derive(Deserialize, ToSchema)]
#[schema(as = HouseholdRow)]
#[expect(dead_code, reason = "states the JSON of a row for the OpenAPI document; `household_rows` reads it")]
pub(super) struct HouseholdFields {
    household: String,
    building: Option<String>,
    /// The first day of its enrolment.
    #[schema(value_type = String, format = Date)]
    enrolled_from: NaiveDate,
    /// The last day of its enrolment.
    #[schema(value_type = Option<String>, format = Date)]
    enrolled_until: Option<NaiveDate>,
    /// All its cards: one that a row leaves out is no longer its.
    cards: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Household)]
pub(super) struct HouseholdView {
    household: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    building: Option<String>,
    #[schema(value_type = String, format = Date)]
    enrolled_from: NaiveDate,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    enrolled_until: Option<NaiveDate>,
    /// How many it holds; which is never told.
    cards: u32,
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
    created: usize,
    updated: usize,
}

/// Puts households with their cards: all rows or none, every bad row named. JSON, or CSV with the header
/// `household,building,enrolled_from,enrolled_until,cards`, cards separated by `;`.
#[utoipa::path(post, path = "/communities/{id}/households", tag = "households", params(("id" = String, Path)),
    request_body(content((Vec<HouseholdFields> = "application/json"), (String = "text/csv"))),
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
    let read = match media_type(request.headers()).as_str() {
        "application/json" => from_json,
        "text/csv" => from_csv,
        _ => return Err(unsupported("application/json or text/csv")),
    };
    let bytes = body(request, &app).await?;
    let rows = tokio::task::spawn_blocking(move || read(&bytes)).await;
    let rows = rows.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the rows could not be read"))?;
    let (key, now, who) = (app.card_key.clone(), app.clock.now().timestamp_millis(), access.caller.token.clone());
    let imported = app.store.write(move |session| {
        let imported = roster::import_read(session.connection, community, rows, &key)?;
        audit::note(session.connection, now, &who, "households.import", &id)?;
        Ok::<_, Problem>(imported)
    });
    let roster::Imported { created, updated } = imported.await?;
    Ok(Json(Imported { created, updated }))
}

/// Lists the households of a community; that they were looked at is in the audit log.
#[utoipa::path(get, path = "/communities/{id}/households", tag = "households",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = List<HouseholdView>), ReadProblems))]
pub(super) async fn list_households(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<HouseholdView>>, Problem> {
    access.may_see(READERS)?;
    let community = access.community(&id)?.key;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let (now, who) = (app.clock.now().timestamp_millis(), access.caller.token.clone());
    let after = page.after.clone().unwrap_or_default();
    let probe = u32::try_from(page.probe()).unwrap_or(u32::MAX);
    let listed = app.store.write(move |session| {
        audit::note(session.connection, now, &who, "households.read", &id)?;
        roster::list(session.connection, community, &after, probe)
    });
    Ok(Json(page.cut(listed.await?, |listed| listed.household.clone()).map(HouseholdView::from)))
}
