//! `/projectors/messages`: what projectors are asked to show, and what became of it at each of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use chrono::{DateTime, NaiveDate, Utc};
use fenlei_wire::vocabulary::DeviceKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Access, SCHEDULERS, SITE_READERS};
use super::extract::{Date, Id, Instant, Json, Query, optional_object, rfc3339};
use super::paging::{List, Page};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::{App, words};
use crate::domain::projection::{MAX_SECONDS, Message, Start, Target, check_place};
use crate::domain::projection_text::{check_text, fill};
use crate::domain::registry::{Registry, Site};
use crate::domain::zone::today;
use crate::store::commands::{self, Life};
use crate::store::messages::{self, Asked, Stored, Times};
use crate::store::sql::Connection;
use crate::store::{StoreError, audit, campaigns, fillings};

/// How long a message shows where that is not said.
const DEFAULT_SECONDS: u32 = 600;

/// A message: shown now for `seconds`, or from `at`, or `daily` from `from` to `until`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessage, example = json!({"text": "垃圾分类,因为你", "target": {"community": "xinhua"},
    "daily": {"start": "sunset+00:15", "seconds": 7200}, "from": "2026-12-01", "until": "2026-12-31"}))]
pub(super) struct NewMessage {
    /// 1 to 256 bytes of letters, digits and punctuation. `{participation}`, `{accuracy}`, `{participating}`,
    /// `{households}` (of the community's last full week, rounded, and withheld where small), `{community}`, `{site}`
    /// and `{date}` are filled in when it is sent.
    #[schema(min_length = 1, max_length = 256)]
    pub text: String,
    pub target: Target,
    /// 1 to 86400; absent: 600.
    #[schema(minimum = 1, maximum = 86_400)]
    pub seconds: Option<u32>,
    /// When it begins; absent: now.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Instant>,
    #[serde(default, deserialize_with = "optional_object")]
    pub daily: Option<DailyBody>,
    /// The first and the last local day of a daily message, both included; absent: from today, without end.
    #[schema(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    #[schema(value_type = Option<String>, format = Date)]
    pub until: Option<Date>,
}

/// Every day from a local time or from sunset at the site.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Daily)]
pub(super) struct DailyBody {
    /// `18:30`, `sunset`, `sunset+00:15` or `sunset-00:30`.
    #[schema(
        example = "sunset+00:15",
        pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|sunset([+-](0[0-5]:[0-5][0-9]|06:00))?)$"
    )]
    pub start: String,
    /// 1 to 86400.
    #[schema(minimum = 1, maximum = 86_400)]
    pub seconds: u32,
}

impl NewMessage {
    fn read(self, registry: &Registry, now: DateTime<Utc>) -> Result<Asked, Problem> {
        let invalid = |detail: &str| Err(Problem::bad_request(detail));
        let seconds = |name: &str, seconds: u32| match seconds {
            1..=MAX_SECONDS => Ok(seconds),
            _ => Err(Problem::bad_request(format!("`{name}` must be a whole number from 1 to {MAX_SECONDS}"))),
        };
        let times = match self.daily {
            Some(daily) => {
                if self.at.is_some() || self.seconds.is_some() {
                    return invalid("a `daily` message has its own `seconds`, and no `at`");
                }
                if Start::parse(&daily.start).is_none() {
                    return invalid(
                        "`daily.start` must be a local time such as 18:30, or sunset, sunset+00:15 (at most 6 hours)",
                    );
                }
                let Date(from) = self.from.unwrap_or_else(|| Date(first_day(registry, &self.target, now)));
                let until = self.until.map(|Date(until)| until);
                if until.is_some_and(|until| until < from) {
                    return invalid("`until` is before `from`: give the earlier date first");
                }
                Times::Daily { start: daily.start, seconds: seconds("daily.seconds", daily.seconds)?, from, until }
            }
            None => {
                if self.from.is_some() || self.until.is_some() {
                    return invalid("`from` and `until` are of a `daily` message; give `at` for one moment");
                }
                let now = now.timestamp_millis();
                let at = self.at.map_or(now, |Instant(at)| at);
                let seconds = seconds("seconds", self.seconds.unwrap_or(DEFAULT_SECONDS))?;
                if at + i64::from(seconds) * 1000 <= now {
                    return invalid("`at` is so long ago that nothing would be shown");
                }
                Times::Once { at, seconds }
            }
        };
        Ok(Asked { text: self.text, target: self.target, times })
    }
}

/// Today; where the sites of a target have several zones, as the last of them has it.
fn first_day(registry: &Registry, target: &Target, now: DateTime<Utc>) -> NaiveDate {
    let days = sites_of(registry, target).into_iter().map(|site| today(site.zone, now));
    days.min().unwrap_or(now.date_naive())
}

/// A message and what became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView {
    pub id: String,
    pub text: String,
    pub target: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<DailyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub from: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub until: Option<NaiveDate>,
    #[schema(format = DateTime)]
    pub created: String,
    /// A command for each projector and time, by when it is due: of the coming 24 hours and of the past, at most 500.
    pub commands: Vec<CommandView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Command)]
pub(super) struct CommandView {
    id: String,
    pub device: String,
    /// As it was sent; null until then.
    text: Option<String>,
    #[schema(format = DateTime)]
    pub due: String,
    #[schema(format = DateTime)]
    pub expires: String,
    /// `queued`, `sent`, `accepted`, `displayed` (of a bin `done`), `expired`, `refused` or `failed`.
    pub state: String,
    pub steps: Vec<StepView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommandStep)]
pub(super) struct StepView {
    pub state: String,
    #[schema(format = DateTime)]
    pub at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<Life> for CommandView {
    fn from(life: Life) -> Self {
        let step = |step: commands::Step| StepView { state: step.state, at: rfc3339(step.at), detail: step.detail };
        Self {
            id: life.id,
            device: life.device,
            text: life.text,
            due: rfc3339(life.due),
            expires: rfc3339(life.expires),
            state: life.state,
            steps: life.steps.into_iter().map(step).collect(),
        }
    }
}

impl MessageView {
    fn read(connection: &Connection, stored: Stored) -> Result<Self, StoreError> {
        let commands = commands::of_message(connection, stored.number)?.into_iter().map(CommandView::from).collect();
        let Asked { text, target, times } = stored.asked;
        let (seconds, at, daily, from, until) = match times {
            Times::Once { at, seconds } => (Some(seconds), Some(rfc3339(at)), None, None, None),
            Times::Daily { start, seconds, from, until } => {
                (None, None, Some(DailyBody { start, seconds }), Some(from), until)
            }
        };
        let (id, created) = (stored.id, rfc3339(stored.created));
        Ok(Self { id, text, target, seconds, at, daily, from, until, created, commands })
    }
}

/// Asks projectors to show a message. Where several ask for one projector, the message that began last shows; of those
/// that began together the one with the narrower target, of these the newer; when it ends, an earlier one that still
/// lasts goes on.
#[utoipa::path(post, path = "/projectors/messages", tag = "projectors", request_body = NewMessage,
    responses((status = 201, body = MessageView), WriteProblems))]
pub(super) async fn post_message(
    State(app): State<Arc<App>>,
    access: Access,
    Json(body): Json<NewMessage>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<MessageView>), Problem> {
    access.may_see(SITE_READERS)?;
    access.may_do(SCHEDULERS)?;
    let now = app.clock.now();
    let asked = asked(&access, body, now)?;
    let registry = Arc::clone(&access.registry);
    let stored = app.store.write(move |session| {
        check_target(session.connection, &registry, &asked, now)?;
        let id = messages::add(session.connection, &asked, now.timestamp_millis())?;
        campaigns::plan(session.connection, &session.registry, now)?;
        audit::note(session.connection, now.timestamp_millis(), &access.caller.who, "message.create", &id)?;
        let stored = messages::get(session.connection, &id)?.ok_or(StoreError::Corrupt("a message vanished"))?;
        Ok::<_, Problem>(MessageView::read(session.connection, stored)?)
    });
    let stored = stored.await?;
    let location = format!("/api/v1/projectors/messages/{}", stored.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(stored)))
}

/// What is asked for, if the caller may ask it.
fn asked(access: &Access, body: NewMessage, now: DateTime<Utc>) -> Result<Asked, Problem> {
    let asked = body.read(&access.registry, now)?;
    if !sees(access, &asked.target) {
        return Err(Problem::bad_request("`target` must name a community, site or projector that this token sees"));
    }
    Ok(asked)
}

/// The text of a message that is not made yet, as it would be today at each site (its id) that it is for.
pub(super) async fn preview(app: &App, access: &Access, body: NewMessage) -> Result<Vec<(String, String)>, Problem> {
    access.may_see(SITE_READERS)?;
    access.may_do(SCHEDULERS)?;
    let now = app.clock.now();
    let asked = asked(access, body, now)?;
    let registry = Arc::clone(&access.registry);
    app.store.read(move |connection| Ok(filled(connection, &registry, &asked, now))).await?
}

/// Whether the message can be shown at every site that it is for, as its text would be today.
fn check_target(
    connection: &Connection,
    registry: &Registry,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let invalid = |error: &dyn std::fmt::Display| Problem::bad_request(error.to_string());
    if let Target::Device(id) = &asked.target
        && registry.devices.get(id).is_some_and(|device| device.kind != DeviceKind::Projector)
    {
        return Err(Problem::bad_request(format!("device {id} is no projector")));
    }
    for (_, text) in filled(connection, registry, asked, now)? {
        check_text(&text).map_err(|error| invalid(&error))?;
    }
    let plain = fill(&asked.text, |_| "—".to_owned()).map_err(|error| invalid(&error))?;
    check_text(&plain).map_err(|error| invalid(&error))
}

fn filled(
    connection: &Connection,
    registry: &Registry,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Vec<(String, String)>, Problem> {
    let invalid = |error: &dyn std::fmt::Display| Problem::bad_request(error.to_string());
    let message: Message = Stored { number: 0, id: String::new(), asked: asked.clone(), created: 0 }.message()?;
    let mut texts = Vec::new();
    for site in sites_of(registry, &asked.target) {
        check_place(&message.when, site).map_err(|error| invalid(&error))?;
        let fillings = fillings::read(connection, registry, site, now, &asked.text)?;
        let text = fill(&asked.text, |name| fillings.value(name)).map_err(|error| invalid(&error))?;
        texts.push((site.id.clone(), text));
    }
    Ok(texts)
}

pub(super) fn sites_of<'a>(registry: &'a Registry, target: &'a Target) -> Vec<&'a Site> {
    match target {
        Target::Community(id) => registry.sites_of(id).collect(),
        Target::Site(id) => registry.sites.get(id).into_iter().collect(),
        Target::Device(id) => registry.place(id).map(|(_, site, _)| site).into_iter().collect(),
    }
}

pub(super) fn sees(access: &Access, target: &Target) -> bool {
    target.community(&access.registry).is_some_and(|community| access.sees_community(community))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MessagesQuery {
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lists the messages in the order in which they were made.
#[utoipa::path(get, path = "/projectors/messages", tag = "projectors", params(MessagesQuery),
    responses((status = 200, body = List<MessageView>), ReadProblems))]
pub(super) async fn list_messages(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<List<MessageView>>, Problem> {
    access.may_see(SITE_READERS)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let (mut after, probe) = (page.after_row()?, page.probe());
    let read = app.store.read(move |connection| {
        let mut found = Vec::new();
        while found.len() < probe {
            let some = messages::list(connection, after, probe)?;
            let Some(last) = some.last().map(|message| message.number) else { break };
            after = last;
            for stored in some.into_iter().filter(|stored| sees(&access, &stored.asked.target)) {
                found.push((stored.number, MessageView::read(connection, stored)?));
            }
        }
        found.truncate(probe);
        Ok(found)
    });
    Ok(Json(page.cut(read.await?, |(number, _)| number.to_string()).map(|(_, view)| view)))
}

/// Reads a message, with the state of every projector's command.
#[utoipa::path(get, path = "/projectors/messages/{id}", tag = "projectors", params(("id" = String, Path)),
    responses((status = 200, body = MessageView), ReadProblems))]
pub(super) async fn get_message(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<Json<MessageView>, Problem> {
    access.may_see(SITE_READERS)?;
    let read = app.store.read(move |connection| {
        let stored = messages::get(connection, &id)?.filter(|stored| sees(&access, &stored.asked.target));
        stored.map(|stored| MessageView::read(connection, stored)).transpose()
    });
    Ok(Json(read.await?.ok_or_else(Problem::not_found)?))
}

/// Takes a message back: what was not shown is not sent any more, and where it shows it is cleared.
#[utoipa::path(delete, path = "/projectors/messages/{id}", tag = "projectors", params(("id" = String, Path)),
    responses((status = 204, description = "Taken back"), WriteProblems))]
pub(super) async fn delete_message(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    access.may_see(SITE_READERS)?;
    let now = app.clock.now();
    let deleted = app.store.write(move |session| {
        let stored = messages::get(session.connection, &id)?.filter(|stored| sees(&access, &stored.asked.target));
        let stored = stored.ok_or_else(Problem::not_found)?;
        access.may_do(SCHEDULERS)?;
        campaigns::delete(session.connection, &session.registry, stored.number, now)?;
        audit::note(session.connection, now.timestamp_millis(), &access.caller.who, "message.delete", &id)?;
        Ok::<_, Problem>(())
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
