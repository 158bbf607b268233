//! `/alarms`: what was raised, whether it still holds, and who has seen to it.

use std::sync::Arc;

use axum::extract;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::access::{Access, OPERATORS, READERS};
use super::extract::{Id, Json, Object, Query};
use super::paging::{List, Page};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::{App, words};
use crate::domain::alarms::{AlarmView, Kind, State};
use crate::store::alarms::{self, Filter};
use crate::store::audit;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlarmsQuery {
    #[param(inline)]
    pub state: Option<State>,
    #[param(inline)]
    pub kind: Option<Kind>,
    pub site: Option<String>,
    pub device: Option<String>,
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    pub cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Lists alarms, the newest first.
#[utoipa::path(get, path = "/alarms", tag = "alarms", params(AlarmsQuery),
    responses((status = 200, body = List<AlarmView>), ReadProblems))]
pub(super) async fn list_alarms(
    extract::State(app): extract::State<Arc<App>>,
    access: Access,
    Query(query): Query<AlarmsQuery>,
) -> Result<Json<List<AlarmView>>, Problem> {
    access.may_see(READERS)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let probe = page.probe();
    let filter = Filter {
        before: Some(page.after_row()?).filter(|before| *before > 0),
        open: query.state.map(|state| state == State::Open),
        device: query.device,
        site: query.site,
        kind: query.kind,
        limit: probe,
    };
    let read = app.store.read(move |connection| {
        let (mut filter, mut found) = (filter, Vec::new());
        while found.len() < probe {
            let some = alarms::list(connection, &filter)?;
            let Some(last) = some.last().map(|alarm| alarm.id) else { break };
            filter.before = Some(last);
            found.extend(some.into_iter().filter(|alarm| access.sees_site(&alarm.site)));
        }
        found.truncate(probe);
        Ok(found)
    });
    Ok(Json(page.cut(read.await?, |alarm| alarm.id.to_string()).map(|alarm| alarm.view())))
}

/// Reads an alarm.
#[utoipa::path(get, path = "/alarms/{id}", tag = "alarms", params(("id" = String, Path)),
    responses((status = 200, body = AlarmView), ReadProblems))]
pub(super) async fn get_alarm(
    extract::State(app): extract::State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<Json<AlarmView>, Problem> {
    access.may_see(READERS)?;
    let id = row(&id)?;
    let alarm = app.store.read(move |connection| alarms::get(connection, id)).await?;
    let alarm = alarm.filter(|alarm| access.sees_site(&alarm.site)).ok_or_else(Problem::not_found)?;
    Ok(Json(alarm.view()))
}

/// Who has seen to an alarm, and what they found.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledgement {
    /// At most 500 bytes.
    #[schema(max_length = 500, example = "已联系维修")]
    pub note: Option<String>,
}

const MAX_NOTE: usize = 500;

/// Says that somebody sees to an alarm. It stays open while its cause holds; acknowledged twice, the first stands.
#[utoipa::path(post, path = "/alarms/{id}/acknowledge", tag = "alarms", params(("id" = String, Path)),
    request_body(content = Option<Acknowledgement>, content_type = "application/json"),
    responses((status = 200, body = AlarmView), WriteProblems))]
pub(super) async fn acknowledge(
    extract::State(app): extract::State<Arc<App>>,
    access: Access,
    Id(id): Id,
    body: axum::body::Bytes,
) -> Result<Json<AlarmView>, Problem> {
    access.may_see(READERS)?;
    let body: Acknowledgement = match body.as_ref() {
        [] => Acknowledgement::default(),
        body => serde_json::from_slice(body)
            .map(|Object(acknowledgement)| acknowledgement)
            .map_err(|_| Problem::bad_request("the body must be {\"note\": a text of at most 500 bytes}, or absent"))?,
    };
    if body.note.as_ref().is_some_and(|note| note.len() > MAX_NOTE) {
        return Err(Problem::bad_request("`note` must be at most 500 bytes"));
    }
    let (id, now) = (row(&id)?, app.clock.now().timestamp_millis());
    let acknowledged = app.store.write(move |session| {
        let alarm = alarms::get(session.connection, id)?;
        alarm.filter(|alarm| access.sees_site(&alarm.site)).ok_or_else(Problem::not_found)?;
        access.may_do(OPERATORS)?;
        let who = &access.caller.who;
        alarms::acknowledge(session.connection, id, who, body.note.as_deref(), now)?;
        audit::note(session.connection, now, who, "alarm.acknowledge", &id.to_string())?;
        Ok::<_, Problem>(alarms::get(session.connection, id)?.ok_or_else(Problem::not_found)?.view())
    });
    Ok(Json(acknowledged.await?))
}

fn row(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| Problem::not_found())
}
