//! `/sites/{id}/schedule`: the version in force, all versions, and a new one.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::{Access, OPERATORS, SITE_READERS};
use super::configs::{Follower, followers};
use super::etag::{Edited, IfMatch, Tagged};
use super::extract::{Date, Id, Json, Query};
use super::problem::{Problem, ReadProblems, WriteProblems};
use crate::domain::device_config;
use crate::domain::schedule::{Schedule, in_force};
use crate::domain::timetable::Timetable;
use crate::domain::zone::today;
use crate::store::{audit, registry};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ScheduleQuery {
    /// The day whose version is asked for; absent: today.
    #[param(value_type = Option<String>, format = Date)]
    pub on: Option<Date>,
}

/// The version in force on the day, with all versions.
#[derive(Serialize, ToSchema)]
pub(super) struct ScheduleView {
    #[serde(flatten)]
    pub in_force: Schedule,
    /// In the order in which they were stored; empty while the default hours hold.
    pub versions: Vec<Schedule>,
    /// The devices of the site, and which of them keep to this.
    pub devices: Vec<Follower>,
}

/// The version that was stored.
#[derive(Serialize, ToSchema)]
pub(super) struct SchedulePut {
    #[serde(flatten)]
    stored: Schedule,
    /// The devices of the site: each is told at once, and confirms when it is reached.
    devices: Vec<Follower>,
}

/// Reads a site's schedule. Before its first version the default hours hold. `If-Match` is held against the versions.
#[utoipa::path(get, path = "/sites/{id}/schedule", tag = "schedules", params(("id" = String, Path), ScheduleQuery),
    responses((status = 200, body = ScheduleView), ReadProblems))]
pub(super) async fn get_schedule(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<ScheduleQuery>,
) -> Result<Tagged<ScheduleView>, Problem> {
    access.may_see(SITE_READERS)?;
    let site = access.site(&id)?;
    let on = query.on.map_or_else(|| today(site.zone, app.clock.now()), |Date(on)| on);
    let versions = site.schedules.clone();
    let in_force = in_force(&versions, on).cloned().unwrap_or_else(Schedule::default_hours);
    let (edited, registry) = (Edited::of(&versions), Arc::clone(&access.registry));
    let devices = app.store.read(move |connection| followers(connection, &registry, &id)).await?;
    Ok(Tagged { edited, body: ScheduleView { in_force, versions, devices } })
}

/// Stores a new version. Old ones are kept and still judge the days they held on; one valid from a day that has
/// passed re-times the deposits since then before this answers.
#[utoipa::path(put, path = "/sites/{id}/schedule", tag = "schedules", params(("id" = String, Path)),
    request_body = Schedule, responses((status = 200, body = SchedulePut), WriteProblems))]
pub(super) async fn put_schedule(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
    Json(schedule): Json<Schedule>,
) -> Result<Json<SchedulePut>, Problem> {
    access.may_see(SITE_READERS)?;
    let site = access.site(&id)?;
    access.may_do(OPERATORS)?;
    schedule.check()?;
    let now = app.clock.now();
    let timetable = Timetable::new(site.zone, site.schedules.iter().chain([&schedule]));
    let first = schedule.valid_from.max(today(site.zone, now));
    device_config::check(&timetable, first).map_err(|error| Problem::bad_request(error.to_string()))?;
    let (now, site, who) = (now.timestamp_millis(), id.clone(), access.caller.who.clone());
    let stored = app.store.write(move |session| {
        let versions = session.registry.sites.get(&id).map(|site| &site.schedules);
        if_match.check(versions)?;
        registry::put_schedule(session.connection, &session.registry, session.rollups, &id, &schedule, now)?;
        audit::note(session.connection, now, &who, "site.schedule", &id)?;
        Ok::<_, Problem>(schedule)
    });
    let (stored, registry) = (stored.await?, app.store.registry());
    let devices = app.store.read(move |connection| followers(connection, &registry, &site)).await?;
    Ok(Json(SchedulePut { stored, devices }))
}
