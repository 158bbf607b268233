//! `/projectors/displays`: how long each projector displayed on each day, as proof.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use fenlei_wire::vocabulary::DeviceKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::{Access, SITE_READERS};
use super::extract::{Date, Json, Query};
use super::figures::SpanQuery;
use super::problem::{Problem, ReadProblems};
use crate::domain::period::Span;
use crate::domain::registry::{Device, Site};
use crate::domain::zone::{opens_at, today};
use crate::store::sql::Connection;
use crate::store::{StoreError, displays};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DisplaysQuery {
    pub site: Option<String>,
    pub device: Option<String>,
    /// The first local day, at most a year before `to`; absent: 27 days before `to`.
    #[param(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    /// The last local day, included; absent: today.
    #[param(value_type = Option<String>, format = Date)]
    pub to: Option<Date>,
}

/// The most days that are told of at once.
const MAX_DAYS: i64 = 366;

/// What projectors say that they displayed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Displays {
    /// By projector and day; a day without anything displayed has a row too.
    pub days: Vec<DisplayDay>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DisplayDay {
    pub device: String,
    site: String,
    /// On the site's calendar.
    #[schema(value_type = String, format = Date)]
    pub date: NaiveDate,
    /// Whole minutes in which something was displayed.
    pub minutes: i64,
    /// Of these, its own message of the evening.
    pub evening_minutes: i64,
    messages: Vec<DisplayedMessage>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DisplayedMessage {
    /// Its id.
    message: String,
    minutes: i64,
}

/// Counts displayed minutes. A display lasts from when its projector says so until it says the next thing, at most as long
/// as it was asked to.
#[utoipa::path(get, path = "/projectors/displays", tag = "projectors", params(DisplaysQuery),
    responses((status = 200, body = Displays), ReadProblems))]
pub(super) async fn get_displays(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<DisplaysQuery>,
) -> Result<Json<Displays>, Problem> {
    access.may_see(SITE_READERS)?;
    if let Some(site) = &query.site {
        access.site(site)?;
    }
    if let Some(device) = &query.device {
        access.device(device)?;
    }
    let now = app.clock.now();
    let registry = Arc::clone(&access.registry);
    let span = SpanQuery::new(query.from, query.to);
    let mut wanted = Vec::new();
    for device in registry.devices.values() {
        let asked = query.device.as_ref().is_none_or(|id| *id == device.id)
            && query.site.as_ref().is_none_or(|id| *id == device.site);
        if asked && device.kind == DeviceKind::Projector && access.sees_device(&device.id) {
            let Some(site) = registry.sites.get(&device.site) else { continue };
            let days = span.span(today(site.zone, now))?;
            if (days.to - days.from).num_days() >= MAX_DAYS {
                return Err(Problem::bad_request(
                    "`from` and `to` are more than 366 days apart: ask for a shorter period",
                ));
            }
            wanted.push((device.clone(), site.clone(), days));
        }
    }
    let read = app.store.read(move |connection| {
        let days = wanted.iter().map(|(device, site, days)| of_projector(connection, device, site, *days, now));
        Ok(days.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
    });
    Ok(Json(Displays { days: read.await? }))
}

fn of_projector(
    connection: &Connection,
    device: &Device,
    site: &Site,
    days: Span,
    now: DateTime<Utc>,
) -> Result<Vec<DisplayDay>, StoreError> {
    let midnight = |date: NaiveDate| opens_at(site.zone, date, 0).timestamp_millis();
    let of_day = |date: NaiveDate| {
        let until = midnight(date.succ_opt().unwrap_or(date));
        let shown = displays::of_device(connection, device.key, (midnight(date), until), now.timestamp_millis())?;
        let (mut all, mut evening, mut messages) = (0, 0, BTreeMap::<String, i64>::new());
        for span in shown {
            let length = span.end - span.start;
            all += length;
            match span.message {
                Some(message) => *messages.entry(message).or_default() += length,
                None => evening += length,
            }
        }
        let minutes = |millis: i64| millis / 60_000;
        Ok(DisplayDay {
            device: device.id.clone(),
            site: site.id.clone(),
            date,
            minutes: minutes(all),
            evening_minutes: minutes(evening),
            messages: messages
                .into_iter()
                .map(|(message, shown)| DisplayedMessage { message, minutes: minutes(shown) })
                .collect(),
        })
    };
    days.dates().map(of_day).collect()
}
