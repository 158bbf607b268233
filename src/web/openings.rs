//! `/sites/{id}/openings`: staff open a site at once, against its hours, for a stated reason and time.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, OPERATORS, SITE_READERS};
use super::extract::{Id, Json, Query, check_text, rfc3339};
use super::messages::CommandView;
use super::paging::{List, Page, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::{App, words};
use crate::store::openings::{self, Opening};
use crate::store::sql::Connection;
use crate::store::{StoreError, audit, commands, lids};

/// The shortest and the longest time for which a site is opened, in seconds.
const SECONDS: std::ops::RangeInclusive<u32> = 60..=24 * 60 * 60;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOpening, example = json!({"reason": "清运车晚到，居民在等候", "seconds": 1800}))]
pub(super) struct NewOpening {
    /// Why: 1 to 200 bytes.
    #[schema(schema_with = words::words)]
    pub reason: String,
    /// For how long: 60 to 86400.
    #[schema(minimum = 60, maximum = 86400)]
    pub seconds: u32,
}

/// A span in which staff hold a site open. What is deposited in it is timed by the hours all the same.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Opening)]
pub(super) struct OpeningView {
    pub id: i64,
    pub reason: String,
    #[schema(format = DateTime)]
    pub from: String,
    /// When the hours hold again.
    #[schema(format = DateTime)]
    pub until: String,
    /// The id of the token that opened it.
    by: String,
    /// What each bin was told, and what became of it.
    commands: Vec<CommandView>,
}

impl OpeningView {
    fn read(connection: &Connection, opening: Opening) -> Result<Self, StoreError> {
        let commands = commands::of_occasion(connection, &opening.occasion())?;
        Ok(Self {
            id: opening.id,
            from: rfc3339(opening.start),
            until: rfc3339(opening.until),
            reason: opening.reason,
            by: opening.by,
            commands: commands.into_iter().map(CommandView::from).collect(),
        })
    }
}

/// Opens a site now: every bin unlocks, and keeps its hours again afterwards by itself. An opening that lasts is replaced.
#[utoipa::path(post, path = "/sites/{id}/openings", tag = "sites", params(("id" = String, Path)),
    request_body = NewOpening, responses((status = 201, body = OpeningView), WriteProblems))]
pub(super) async fn post_opening(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Json(body): Json<NewOpening>,
) -> Result<impl IntoResponse, Problem> {
    access.may_see(SITE_READERS)?;
    let site = access.site(&id)?.key;
    access.may_do(OPERATORS)?;
    check_text("reason", &body.reason)?;
    if !SECONDS.contains(&body.seconds) {
        return Err(Problem::bad_request("`seconds` must be a whole number from 60 to 86400"));
    }
    let now = app.clock.now();
    let start = now.timestamp_millis();
    let until = start + i64::from(body.seconds) * 1000;
    let path = format!("/api/v1/sites/{id}/openings");
    let opened = app.store.write(move |session| {
        let by = &access.caller.who;
        let opening = openings::open(session.connection, site, &body.reason, (start, until), by)?;
        audit::note(session.connection, start, by, "site.open", &id)?;
        let plan = lids::plan(session.connection, &session.registry, Some(site), now)?;
        lids::apply(session.connection, &plan, start)?;
        OpeningView::read(session.connection, opening)
    });
    let opened = opened.await?;
    let location = format!("{path}/{}", opened.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(opened)))
}

/// Lists the openings of a site, the newest first.
#[utoipa::path(get, path = "/sites/{id}/openings", tag = "sites", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = List<OpeningView>), ReadProblems))]
pub(super) async fn list_openings(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<OpeningView>>, Problem> {
    access.may_see(SITE_READERS)?;
    let site = access.site(&id)?.key;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let before = Some(page.after_row()?).filter(|before| *before > 0);
    let probe = page.probe();
    let read = app.store.read(move |connection| {
        let openings = openings::list(connection, site, before, probe)?;
        openings.into_iter().map(|opening| OpeningView::read(connection, opening)).collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(page.cut(read.await?, |opening| opening.id.to_string())))
}

/// Ends an opening before its time; one that is over stays as it was.
#[utoipa::path(delete, path = "/sites/{id}/openings/{opening}", tag = "sites",
    params(("id" = String, Path), ("opening" = i64, Path)),
    responses((status = 204, description = "The hours hold again"), WriteProblems))]
pub(super) async fn delete_opening(
    State(app): State<Arc<App>>,
    access: Access,
    Path((id, opening)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    access.may_see(SITE_READERS)?;
    let site = access.site(&id)?.key;
    let opening: i64 = opening.parse().map_err(|_| Problem::not_found())?;
    let now = app.clock.now();
    let ended = app.store.write(move |session| {
        let found = openings::get(session.connection, site, opening)?.ok_or_else(Problem::not_found)?;
        access.may_do(OPERATORS)?;
        let millis = now.timestamp_millis();
        openings::end(session.connection, found.id, millis)?;
        audit::note(session.connection, millis, &access.caller.who, "site.close", &id)?;
        let plan = lids::plan(session.connection, &session.registry, Some(site), now)?;
        lids::apply(session.connection, &plan, millis)?;
        Ok::<_, Problem>(())
    });
    ended.await?;
    Ok(StatusCode::NO_CONTENT)
}
