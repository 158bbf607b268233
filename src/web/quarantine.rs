//! `/quarantine`: refused input, why it was refused, and trying it again after a mend.
//!
//! Who sees an item: whoever sees the device, or, while no such device is registered, the site that the topic names.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fenlei_wire::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::access::{Access, OPERATORS};
use super::extract::{Id, Json, Query, rfc3339};
use super::paging::Page;
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::{App, words};
use crate::domain::decode::{Element, decode_kept};
use crate::domain::inbound::Sender;
use crate::domain::quarantine::CARD_HASH;
use crate::domain::refusal::Reason;
use crate::store::quarantine::{self, Filter, Item};
use crate::store::{Retried, audit};

#[derive(Serialize, ToSchema)]
#[schema(as = QuarantineItem)]
pub(super) struct ItemView {
    pub id: i64,
    /// As the topic names it.
    pub device: String,
    pub topic: String,
    pub boot: Option<u32>,
    pub seq: Option<i64>,
    pub reason: String,
    /// What to mend.
    pub detail: String,
    /// The known fields without any card, or base64 of the first bytes of what is no JSON.
    pub content: Content,
    /// How many equal refusals this item stands for.
    pub count: i64,
    /// When the first and the last of them came.
    #[schema(format = DateTime)]
    pub first: String,
    #[schema(format = DateTime)]
    pub last: String,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = QuarantineContent)]
pub(super) enum Content {
    #[schema(value_type = Object)]
    Fields(Map<String, Value>),
    Raw(String),
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        let content = match (item.fields, item.raw) {
            (Some(mut fields), _) => {
                // Even its hash follows one household around.
                fields.remove(CARD_HASH);
                Content::Fields(fields)
            }
            (None, raw) => Content::Raw(STANDARD.encode(raw.unwrap_or_default())),
        };
        Self {
            id: item.id,
            device: item.device,
            topic: item.topic,
            boot: item.boot,
            seq: item.seq,
            reason: item.reason,
            detail: item.detail,
            content,
            count: item.count,
            first: rfc3339(item.first),
            last: rfc3339(item.last),
        }
    }
}

/// What the caller sees of the quarantine in all.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = QuarantineTotals)]
pub(super) struct Totals {
    pub items: i64,
    /// Refused events; equal ones of a device are one item.
    pub refusals: i64,
    /// Refused beyond the cap of a device, and not kept.
    pub overflow: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = QuarantineList)]
pub(super) struct QuarantineView {
    pub items: Vec<ItemView>,
    /// The `cursor` of the next page, null at the end.
    #[schema(required = true)]
    pub next: Option<String>,
    pub totals: Totals,
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineQuery {
    pub device: Option<String>,
    #[param(schema_with = words::refusal, required = false)]
    pub reason: Option<String>,
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    pub cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Lists refused input in the order in which it first came.
#[utoipa::path(get, path = "/quarantine", tag = "quarantine", params(QuarantineQuery),
    responses((status = 200, body = QuarantineView), ReadProblems))]
pub(super) async fn list_quarantine(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<QuarantineQuery>,
) -> Result<Json<QuarantineView>, Problem> {
    access.may_see(OPERATORS)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let reasons = Reason::ALL.map(Reason::as_str);
    if query.reason.as_deref().is_some_and(|reason| !reasons.contains(&reason)) {
        return Err(Problem::bad_request(format!("`reason` must be one of {}", reasons.join(", "))));
    }
    let batch = u32::try_from(page.probe()).unwrap_or(u32::MAX);
    let filter = Filter { device: query.device, reason: query.reason, after: page.after_row()?, limit: batch };
    let probe = page.probe();
    let read = app.store.read(move |connection| {
        let mut filter = filter;
        let mut found: Vec<Item> = Vec::new();
        while found.len() < probe {
            let items = quarantine::list(connection, &filter)?;
            let Some(last) = items.last().map(|item| item.id) else { break };
            filter.after = last;
            found.extend(items.into_iter().filter(|item| sees(&access, &item.device, &item.topic)));
        }
        found.truncate(probe);
        let mut totals = Totals::default();
        for held in quarantine::held(connection)? {
            if sees(&access, &held.device, &held.topic) {
                totals.items += held.items;
                totals.refusals += held.refusals;
            }
        }
        let overflow = quarantine::overflow(connection)?.into_iter();
        totals.overflow = overflow.filter(|(device, _)| sees(&access, device, "")).map(|(_, count)| count).sum();
        Ok((found, totals))
    });
    let (found, totals) = read.await?;
    let (items, next) = page.cut(found, |item| item.id.to_string()).map(ItemView::from).into_parts();
    Ok(Json(QuarantineView { items, next, totals }))
}

fn sees(access: &Access, device: &str, topic: &str) -> bool {
    if access.bound_to().is_none() || access.sees_device(device) {
        return true;
    }
    let unknown = !access.registry.devices.contains_key(device);
    unknown && Topic::parse(topic).is_some_and(|topic| access.sees_site(topic.site))
}

/// Tries a refused event again, as of its first arrival, or, refused for its time by then, as of now. Stored, it leaves the quarantine; still refused, it stays.
#[utoipa::path(post, path = "/quarantine/{id}/retry", tag = "quarantine", params(("id" = i64, Path)),
    responses((status = 204, description = "Stored in the ledger"), WriteProblems))]
pub(super) async fn retry_quarantined(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    access.may_see(OPERATORS)?;
    let (id, now) = (row(&id)?, app.clock.now().timestamp_millis());
    let retried = app.store.write(move |session| {
        let item = quarantine::get(session.connection, id)?;
        let item = item.filter(|item| sees(&access, &item.device, &item.topic)).ok_or_else(Problem::not_found)?;
        let (Some(fields), Some(from)) = (&item.fields, event_sender(&item.topic)) else {
            return Err(Problem::conflict("this is no event: it can only be deleted"));
        };
        // Refused for its time by a clock of ours that was wrong, it is judged by the clock as it is now.
        let (event, received) = match (decode_kept(fields, item.first), decode_kept(fields, now)) {
            (Element::Event(event), _) => (event, item.first),
            (Element::Refused(_), Element::Event(event)) => (event, now),
            (Element::Refused(refused), Element::Refused(_)) => {
                return Err(still_refused(&refused.refusal.detail));
            }
        };
        match session.retry(&from, &event, received)? {
            Retried::Stored => {}
            Retried::Known => {
                let known = "an event of the same boot and seq is stored already: this one can only be deleted";
                return Err(Problem::conflict(known));
            }
            Retried::Refused(refusal) => return Err(still_refused(&refusal.detail)),
        }
        quarantine::remove(session.connection, id)?;
        audit::note(session.connection, now, &access.caller.who, "quarantine.retry", &id.to_string())?;
        Ok(())
    });
    retried.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a refused event for good.
#[utoipa::path(delete, path = "/quarantine/{id}", tag = "quarantine", params(("id" = i64, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_quarantined(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    access.may_see(OPERATORS)?;
    let (id, now) = (row(&id)?, app.clock.now().timestamp_millis());
    let deleted = app.store.write(move |session| {
        let item = quarantine::get(session.connection, id)?;
        item.filter(|item| sees(&access, &item.device, &item.topic)).ok_or_else(Problem::not_found)?;
        quarantine::remove(session.connection, id)?;
        audit::note(session.connection, now, &access.caller.who, "quarantine.delete", &id.to_string())?;
        Ok::<_, Problem>(())
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

fn row(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| Problem::not_found())
}

fn event_sender(topic: &str) -> Option<Sender> {
    let topic = Topic::parse(topic).filter(|topic| topic.channel == fenlei_wire::vocabulary::Channel::Event)?;
    Some(Sender { site: topic.site.to_owned(), kind: topic.kind, device: topic.device.to_owned() })
}

fn still_refused(detail: &str) -> Problem {
    Problem::conflict(format!("it is still refused: {detail}"))
}
