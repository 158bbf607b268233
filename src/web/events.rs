//! `/events`: the ledger in commit order. Never a card.

use std::sync::Arc;

use axum::extract::State;
use fenlei_wire::vocabulary::{EventType, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::access::{Access, READERS};
use super::extract::{Instant, Json, Query, rfc3339};
use super::paging::{List, Page};
use super::problem::{Problem, ReadProblems};
use super::{App, words};
use crate::domain::registry::VOLUNTEERS;
use crate::store::events::{self, Filter, Listed};

/// An event of the ledger; a deposit also has its `timing` and the `verdict` that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView {
    site: String,
    pub device: String,
    boot: u32,
    seq: u64,
    /// When it happened.
    #[schema(format = DateTime)]
    pub time: String,
    /// When it arrived.
    #[schema(format = DateTime)]
    received: String,
    #[schema(schema_with = words::event_type)]
    pub r#type: EventType,
    /// `unsynced`: the device's clock was not set, the time of arrival stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    clock: Option<&'static str>,
    /// The event's own fields.
    #[serde(flatten)]
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    pub fields: Map<String, Value>,
}

/// The word for a deposit without a verdict.
const UNJUDGED: &str = "unjudged";

impl From<Listed> for EventView {
    fn from(listed: Listed) -> Self {
        let event = listed.event;
        let mut fields = event.body.fields();
        if let Some(timing) = listed.timing {
            fields.insert("timing".to_owned(), timing.as_str().into());
            fields.insert("verdict".to_owned(), listed.verdict.map_or(UNJUDGED, Verdict::as_str).into());
        }
        Self {
            site: listed.site,
            device: listed.device,
            boot: event.boot,
            seq: event.seq,
            time: rfc3339(event.time),
            received: rfc3339(listed.received),
            r#type: event.body.event_type(),
            clock: event.unsynced.then_some("unsynced"),
            fields,
        }
    }
}

impl EventView {
    pub(super) fn event_type(&self) -> &'static str {
        self.r#type.as_str()
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    site: Option<String>,
    device: Option<String>,
    #[param(schema_with = words::event_type, required = false)]
    r#type: Option<EventType>,
    /// The first instant of `time`.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Instant>,
    /// The first instant of `time` that is no longer wanted.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Instant>,
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lists events in the order in which they were committed.
#[utoipa::path(get, path = "/events", tag = "events", params(EventsQuery),
    responses((status = 200, body = List<EventView>), ReadProblems))]
pub(super) async fn list_events(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<EventsQuery>,
) -> Result<Json<List<EventView>>, Problem> {
    access.may_see(READERS)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let filter = Filter {
        after: page.after_row()?,
        // A row that is numbered below a committed one may yet come from another backend: no cursor is to step over it.
        through: Some(*app.store.committed().borrow()),
        sites: sites(&access, query.site.as_deref(), query.device.as_deref()),
        device: query.device,
        types: query.r#type.into_iter().collect(),
        from: query.from.map(|Instant(from)| from),
        to: query.to.map(|Instant(to)| to),
        limit: page.probe(),
    };
    let found = app.store.read(move |connection| events::list(connection, &filter)).await?;
    Ok(Json(page.cut(found, |listed| listed.id.to_string()).map(EventView::from)))
}

/// The sites in which to look: no more than the caller sees, and no more than can hold what is asked for.
fn sites(access: &Access, site: Option<&str>, device: Option<&str>) -> Option<Vec<i64>> {
    let key = |site: &str| access.site(site).ok().map(|site| site.key);
    if device == Some(VOLUNTEERS) {
        return site.map_or_else(|| access.site_keys(), |site| Some(key(site).into_iter().collect()));
    }
    let of_device = |device: &str| access.device(device).ok().and_then(|device| key(&device.site));
    match (site.map(key), device.map(of_device)) {
        (None, None) => access.site_keys(),
        (Some(site), None) => Some(site.into_iter().collect()),
        (None, Some(device)) => Some(device.into_iter().collect()),
        (Some(site), Some(device)) => Some(site.filter(|_| site == device).into_iter().collect()),
    }
}
