//! `/alarms/webhooks`: who is told of alarms, and whether that works. A URL or a secret that was given is never shown
//! again: whoever has it can speak in the name of Fenlei.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, OPERATORS};
use super::extract::{Id, Json, Query, optional_object, rfc3339};
use super::hook_url;
use super::paging::{List, Page, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::{App, words};
use crate::domain::alarms::Severity;
use crate::domain::notices::{Format, Quiet};
use crate::store::alarm_hooks::{self, Asked, Hook};
use crate::store::{StoreError, audit};
use crate::webhook::{Reach, signature};

const MAX_SECRET: usize = 200;

/// A webhook that is told of alarms: when one is raised, and when it is over for good, an hour after it cleared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlarmWebhook, example = json!({"url": "https://alarms.example/fenlei", "format": "generic",
    "severity": "warning", "community": "xinhua", "quiet": {"from": "22:00", "until": "07:00"}}))]
pub(super) struct NewHook {
    /// http or https; the key of a group robot is in it.
    #[schema(format = "uri", max_length = 2000, pattern = "^https?://[^/@]+(/|$)")]
    url: String,
    format: Format,
    /// The least; absent: `warning`.
    severity: Option<Severity>,
    /// Only alarms of this community,
    #[schema(schema_with = words::id_or_null, required = false)]
    community: Option<String>,
    /// or of this site; absent: all that the token sees.
    #[schema(schema_with = words::id_or_null, required = false)]
    site: Option<String>,
    /// Local to the site of an alarm: what is not critical waits until they end.
    #[serde(default, deserialize_with = "optional_object")]
    quiet: Option<Quiet>,
    /// Of a generic webhook: the key of Standard Webhooks, base64 of 24 to 64 bytes with or without `whsec_` before it;
    /// of DingTalk: the robot's `SEC…`. Absent: nothing is signed.
    secret: Option<String>,
}

impl NewHook {
    fn read(self, access: &Access, reach: Reach) -> Result<Asked, Problem> {
        let invalid = |detail: &str| Err(Problem::bad_request(detail));
        let url = hook_url::read(&self.url, reach)?;
        match (self.format, &self.secret) {
            (_, None) => {}
            (Format::Generic, Some(secret)) if signature::standard_key(secret).is_some() => {}
            (Format::Dingtalk, Some(secret)) if (1..=MAX_SECRET).contains(&secret.len()) => {}
            (Format::Generic, _) => {
                return invalid("`secret` must be base64 of 24 to 64 bytes, with or without `whsec_` before it");
            }
            (Format::Dingtalk, _) => return invalid("`secret` must be the robot's own, at most 200 bytes"),
            (Format::Wecom, _) => return invalid("a robot of WeCom has no `secret`: its key is in the URL"),
        }
        if self.quiet.is_some_and(|quiet| quiet.from == quiet.until) {
            return invalid("`quiet.from` and `quiet.until` must differ");
        }
        if self.community.is_some() && self.site.is_some() {
            return invalid("give `community` or `site`, not both: a site is in one community");
        }
        if self.community.as_ref().is_some_and(|community| !access.sees_community(community)) {
            return invalid("`community` must name a community that this token sees");
        }
        if self.site.as_ref().is_some_and(|site| !access.sees_site(site)) {
            return invalid("`site` must name a site that this token sees");
        }
        Ok(Asked {
            url,
            format: self.format,
            severity: self.severity.unwrap_or(Severity::Warning),
            community: self.community,
            site: self.site,
            quiet: self.quiet,
            secret: self.secret,
        })
    }
}

/// A webhook, and whether what it is to be told reaches it.
#[derive(Serialize, ToSchema)]
#[schema(as = AlarmWebhook)]
pub(super) struct HookView {
    pub id: String,
    /// Scheme and host only; the rest may be a secret.
    #[schema(example = "https://qyapi.weixin.qq.com/…")]
    pub url: String,
    pub format: Format,
    pub severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// Whether what it is told is signed.
    pub signed: bool,
    #[schema(format = DateTime)]
    pub created: String,
    pub delivery: DeliveryView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AlarmDelivery)]
pub(super) struct DeliveryView {
    /// Notices that are not delivered yet.
    pub waiting: i64,
    /// Notices of the last weeks that were given up after three days.
    pub given_up: i64,
    /// How often it failed since it last succeeded.
    pub failures: u32,
    /// `ok`, or what was wrong the last time.
    pub last_status: Option<String>,
    #[schema(format = DateTime)]
    pub last_attempt: Option<String>,
    #[schema(format = DateTime)]
    pub last_success: Option<String>,
}

impl From<Hook> for HookView {
    fn from(hook: Hook) -> Self {
        let (asked, delivery) = (hook.asked, hook.delivery);
        Self {
            id: hook.id,
            url: hook_url::shown(&asked.url),
            format: asked.format,
            severity: asked.severity,
            community: asked.community,
            site: asked.site,
            quiet: asked.quiet,
            signed: asked.secret.is_some(),
            created: rfc3339(hook.created),
            delivery: DeliveryView {
                waiting: delivery.waiting,
                given_up: delivery.given_up,
                failures: delivery.attempts,
                last_status: delivery.status,
                last_attempt: delivery.attempted.map(rfc3339),
                last_success: delivery.succeeded.map(rfc3339),
            },
        }
    }
}

/// Has a webhook told of alarms, of the communities of the token's organization or, with a token without one, of all.
#[utoipa::path(post, path = "/alarms/webhooks", tag = "alarms", request_body = NewHook,
    responses((status = 201, body = HookView), WriteProblems))]
pub(super) async fn post_alarm_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Json(body): Json<NewHook>,
) -> Result<impl IntoResponse, Problem> {
    access.may_see(OPERATORS)?;
    let (asked, now) = (body.read(&access, app.webhooks)?, app.clock.now().timestamp_millis());
    let added = app.store.write(move |session| {
        let id = alarm_hooks::add(session.connection, access.bound_to(), &asked, now)?;
        audit::note(session.connection, now, &access.caller.who, "alarm_webhook.create", &id)?;
        let hook = alarm_hooks::get(session.connection, &id)?.ok_or(StoreError::Corrupt("a webhook vanished"))?;
        Ok::<_, Problem>(HookView::from(hook))
    });
    let hook = added.await?;
    let location = format!("/api/v1/alarms/webhooks/{}", hook.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(hook)))
}

/// Lists webhooks in the order in which they were made: those of the token's organization or, with a token without one,
/// all.
#[utoipa::path(get, path = "/alarms/webhooks", tag = "alarms", params(PageQuery),
    responses((status = 200, body = List<HookView>), ReadProblems))]
pub(super) async fn list_alarm_webhooks(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<HookView>>, Problem> {
    access.may_see(OPERATORS)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let (after, probe) = (page.after_row()?, page.probe());
    let read = app.store.read(move |connection| alarm_hooks::list(connection, access.bound_to(), after, probe));
    Ok(Json(page.cut(read.await?, |hook| hook.number.to_string()).map(HookView::from)))
}

/// Reads a webhook, and whether what it is to be told reaches it.
#[utoipa::path(get, path = "/alarms/webhooks/{id}", tag = "alarms", params(("id" = String, Path)),
    responses((status = 200, body = HookView), ReadProblems))]
pub(super) async fn get_alarm_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<Json<HookView>, Problem> {
    access.may_see(OPERATORS)?;
    let hook = app.store.read(move |connection| alarm_hooks::get(connection, &id)).await?;
    Ok(Json(hook.filter(|hook| sees(&access, hook)).ok_or_else(Problem::not_found)?.into()))
}

/// Deletes a webhook, with all that it was still to be told.
#[utoipa::path(delete, path = "/alarms/webhooks/{id}", tag = "alarms", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_alarm_webhook(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    access.may_see(OPERATORS)?;
    let now = app.clock.now().timestamp_millis();
    let deleted = app.store.write(move |session| {
        let hook = alarm_hooks::get(session.connection, &id)?.filter(|hook| sees(&access, hook));
        let hook = hook.ok_or_else(Problem::not_found)?;
        alarm_hooks::delete(session.connection, hook.number)?;
        audit::note(session.connection, now, &access.caller.who, "alarm_webhook.delete", &id)?;
        Ok::<_, Problem>(())
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

fn sees(access: &Access, hook: &Hook) -> bool {
    access.bound_to().is_none_or(|organization| hook.organization.as_deref() == Some(organization))
}
