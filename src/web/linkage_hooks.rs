//! `/linkage/webhooks`: who is told of revisions of the linkage feed, as Standard Webhooks has it, and whether that works. A
//! secret is shown once, when it is made.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::access::{Access, LINKAGE};
use super::extract::{Id, Json, Query, rfc3339};
use super::hook_url;
use super::linkage::position;
use super::paging::{List, Page, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use crate::domain::revision::name;
use crate::store::linkage_hooks::{self, Delivery, Disabled, Hook};
use crate::store::writer::Session;
use crate::store::{StoreError, audit, linkage};
use crate::webhook::signature;

/// A webhook that is told of revisions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLinkageWebhook)]
pub(super) struct NewHook {
    /// http or https.
    #[schema(example = "https://linkage.example/fenlei")]
    url: String,
    /// It is told of what follows: the `cursor` of a snapshot, so that nothing lies in between. Absent: from now on.
    #[schema(example = "rev-17")]
    cursor: Option<String>,
}

/// From where a webhook is told again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkageReplay)]
pub(super) struct Replay {
    /// It is told of all that follows, in order and under the same ids. Absent: it goes on where it was.
    #[schema(example = "rev-17")]
    cursor: Option<String>,
}

/// A webhook, and whether what it is to be told reaches it.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkageWebhook)]
pub(super) struct HookView {
    id: String,
    /// Scheme and host only; the rest may be a secret.
    #[schema(example = "https://linkage.example/…")]
    url: String,
    #[schema(format = DateTime)]
    created: String,
    /// The last revision that it took, or is not to be told of.
    #[schema(example = "rev-17")]
    cursor: String,
    /// Why nothing is sent to it any more, until it is asked for with a replay; null: it is sent to.
    #[schema(required = true)]
    disabled: Option<Disabled>,
    /// How often it failed since it last succeeded, and since when.
    failures: u32,
    #[schema(format = DateTime, required = true)]
    failing_since: Option<String>,
    /// `ok`, or what was wrong the last time.
    #[schema(required = true)]
    last_status: Option<String>,
    #[schema(format = DateTime, required = true)]
    last_attempt: Option<String>,
    #[schema(format = DateTime, required = true)]
    last_success: Option<String>,
    /// Until when the secret before signs too.
    #[schema(format = DateTime, required = true)]
    former_secret_until: Option<String>,
}

impl HookView {
    fn new(hook: Hook, now: i64) -> Self {
        let former = hook.former.map(|(_, until)| until).filter(|until| now < *until);
        Self {
            id: hook.id,
            url: hook_url::shown(&hook.url),
            created: rfc3339(hook.created),
            cursor: name(hook.position),
            disabled: hook.disabled,
            failures: hook.attempts,
            failing_since: hook.failing.map(rfc3339),
            last_status: hook.status,
            last_attempt: hook.attempted.map(rfc3339),
            last_success: hook.succeeded.map(rfc3339),
            former_secret_until: former.map(rfc3339),
        }
    }
}

/// A webhook with its new secret, which is not shown again.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkageWebhookSecret)]
pub(super) struct Secret {
    #[serde(flatten)]
    hook: HookView,
    /// The key of Standard Webhooks.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

/// An attempt to tell a webhook of a revision.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkageDelivery)]
pub(super) struct DeliveryView {
    /// The revision, and the `webhook-id` that it was sent under.
    #[schema(example = "rev-17")]
    revision: String,
    #[schema(format = DateTime)]
    time: String,
    taken: bool,
    /// `ok`, or what was wrong.
    status: String,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let Delivery { revision, at, status, taken, .. } = delivery;
        Self { revision: name(revision), time: rfc3339(at), taken, status }
    }
}

fn new_secret() -> Result<String, Problem> {
    let unsafe_now = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "there are no random numbers: try again later");
    signature::new_secret().map_err(unsafe_now)
}

/// The position that a cursor names: none that is still to come.
fn position_until(session: &Session<'_>, cursor: Option<&str>) -> Result<Option<i64>, Problem> {
    let last = linkage::last(session.connection)?;
    let Some(position) = cursor.map(position).transpose()? else { return Ok(None) };
    if position > last {
        return Err(Problem::bad_request(format!("`cursor` is after {}, the last revision that there is", name(last))));
    }
    Ok(Some(position))
}

/// The webhook of this id, if the caller may see it.
fn find(session: &Session<'_>, access: &Access, id: &str) -> Result<Hook, Problem> {
    linkage_hooks::get(session.connection, id)?.filter(|hook| sees(access, hook)).ok_or_else(Problem::not_found)
}

fn sees(access: &Access, hook: &Hook) -> bool {
    access.bound_to().is_none_or(|organization| hook.organization.as_deref() == Some(organization))
}

/// A webhook as it stands after a change, which is noted.
fn changed(
    session: &Session<'_>,
    access: &Access,
    id: &str,
    action: &'static str,
    now: i64,
) -> Result<HookView, Problem> {
    audit::note(session.connection, now, &access.caller.who, action, id)?;
    let hook = linkage_hooks::get(session.connection, id)?.ok_or(StoreError::Corrupt("a webhook vanished"))?;
    Ok(HookView::new(hook, now))
}

/// Has a webhook told of revisions, of the communities of the token's organization or, with a token without one, of all.
#[utoipa::path(post, path = "/linkage/webhooks", tag = "linkage", request_body = NewHook,
    responses((status = 201, body = Secret), WriteProblems))]
pub(super) async fn post_linkage_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Json(body): Json<NewHook>,
) -> Result<impl IntoResponse, Problem> {
    access.may_see(LINKAGE)?;
    let url = hook_url::read(&body.url, app.webhooks)?;
    let (secret, now) = (new_secret()?, app.clock.now().timestamp_millis());
    let added = app.store.write(move |session| {
        let position = match position_until(session, body.cursor.as_deref())? {
            Some(position) => position,
            None => linkage::last(session.connection)?,
        };
        let id = linkage_hooks::add(session.connection, access.bound_to(), &url, &secret, position, now)?;
        let hook = changed(session, &access, &id, "linkage_webhook.create", now)?;
        Ok::<_, Problem>(Secret { hook, secret })
    });
    let made = added.await?;
    let location = format!("/api/v1/linkage/webhooks/{}", made.hook.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)))
}

/// Lists webhooks in the order in which they were made: those of the token's organization or, with a token without one,
/// all.
#[utoipa::path(get, path = "/linkage/webhooks", tag = "linkage", params(PageQuery),
    responses((status = 200, body = List<HookView>), ReadProblems))]
pub(super) async fn list_linkage_webhooks(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<HookView>>, Problem> {
    access.may_see(LINKAGE)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let (after, probe, now) = (page.after_row()?, page.probe(), app.clock.now().timestamp_millis());
    let read = app.store.read(move |connection| linkage_hooks::list(connection, access.bound_to(), after, probe));
    Ok(Json(page.cut(read.await?, |hook| hook.number.to_string()).map(|hook| HookView::new(hook, now))))
}

/// Reads a webhook, and whether what it is to be told reaches it.
#[utoipa::path(get, path = "/linkage/webhooks/{id}", tag = "linkage", params(("id" = String, Path)),
    responses((status = 200, body = HookView), ReadProblems))]
pub(super) async fn get_linkage_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<Json<HookView>, Problem> {
    access.may_see(LINKAGE)?;
    let now = app.clock.now().timestamp_millis();
    let hook = app.store.read(move |connection| linkage_hooks::get(connection, &id)).await?;
    let hook = hook.filter(|hook| sees(&access, hook)).ok_or_else(Problem::not_found)?;
    Ok(Json(HookView::new(hook, now)))
}

/// Deletes a webhook with its log.
#[utoipa::path(delete, path = "/linkage/webhooks/{id}", tag = "linkage", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_linkage_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    access.may_see(LINKAGE)?;
    let now = app.clock.now().timestamp_millis();
    let deleted = app.store.write(move |session| {
        let hook = find(session, &access, &id)?;
        linkage_hooks::delete(session.connection, hook.number)?;
        audit::note(session.connection, now, &access.caller.who, "linkage_webhook.delete", &id)?;
        Ok::<_, Problem>(())
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret. For a day what it is sent is signed by the one before too.
#[utoipa::path(post, path = "/linkage/webhooks/{id}/secret", tag = "linkage", params(("id" = String, Path)),
    responses((status = 200, body = Secret), WriteProblems))]
pub(super) async fn rotate_linkage_secret(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<Json<Secret>, Problem> {
    access.may_see(LINKAGE)?;
    let (secret, now) = (new_secret()?, app.clock.now().timestamp_millis());
    let rotated = app.store.write(move |session| {
        let hook = find(session, &access, &id)?;
        linkage_hooks::rotate(session.connection, hook.number, &secret, now)?;
        let hook = changed(session, &access, &id, "linkage_webhook.rotate", now)?;
        Ok::<_, Problem>(Secret { hook, secret })
    });
    Ok(Json(rotated.await?))
}

/// Tells a webhook again what follows a revision, at once, and even if it was disabled.
#[utoipa::path(post, path = "/linkage/webhooks/{id}/replay", tag = "linkage", params(("id" = String, Path)),
    request_body = Replay, responses((status = 200, body = HookView), WriteProblems))]
pub(super) async fn replay_linkage_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Json(body): Json<Replay>,
) -> Result<Json<HookView>, Problem> {
    access.may_see(LINKAGE)?;
    let now = app.clock.now().timestamp_millis();
    let replayed = app.store.write(move |session| {
        let hook = find(session, &access, &id)?;
        let position = position_until(session, body.cursor.as_deref())?.unwrap_or(hook.position);
        linkage_hooks::replay(session.connection, hook.number, position, now)?;
        changed(session, &access, &id, "linkage_webhook.replay", now)
    });
    Ok(Json(replayed.await?))
}

/// Lists the attempts of the last 30 days to tell a webhook, the latest first.
#[utoipa::path(get, path = "/linkage/webhooks/{id}/deliveries", tag = "linkage",
    params(("id" = String, Path), PageQuery), responses((status = 200, body = List<DeliveryView>), ReadProblems))]
pub(super) async fn list_linkage_deliveries(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<DeliveryView>>, Problem> {
    access.may_see(LINKAGE)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let before = if page.after.is_none() { i64::MAX } else { page.after_row()? };
    let probe = page.probe();
    let read = app.store.read(move |connection| {
        let Some(hook) = linkage_hooks::get(connection, &id)?.filter(|hook| sees(&access, hook)) else {
            return Ok(None);
        };
        linkage_hooks::deliveries(connection, hook.number, before, probe).map(Some)
    });
    let found = read.await?.ok_or_else(Problem::not_found)?;
    Ok(Json(page.cut(found, |delivery| delivery.number.to_string()).map(DeliveryView::from)))
}
