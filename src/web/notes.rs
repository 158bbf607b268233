//! `/sites/{id}/deposits`: what a volunteer notes at the door of a garbage room, once, however often it is sent.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use fenlei_wire::limits::{MAX_CARD_BYTES, MAX_GRAMS, is_id};
use fenlei_wire::vocabulary::{Reason, Stream, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, READERS, RECORDERS};
use super::events::EventView;
use super::extract::{Id, Json, optional_object};
use super::once::IdempotencyKey;
use super::problem::{Problem, WriteProblems};
use super::{App, words};
use crate::domain::decode::{MAX_AHEAD_MS, MAX_BEHIND_MS};
use crate::domain::event::{Deposit, DepositRef};
use crate::store::events::{self, Filter};
use crate::store::notes::{NoteError, NotedDeposit, note_deposit, note_verdict};
use crate::store::sql::Connection;
use crate::store::{StoreError, audit};

/// A deposit seen (`stream` and what is known of it), or a verdict on one that is stored (`deposit` and `verdict`).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Note, example = json!({"stream": "food", "grams": 900, "verdict": "correct"}))]
pub(super) struct NoteBody {
    #[schema(schema_with = words::stream, required = false)]
    stream: Option<Stream>,
    /// 0 to 200000; absent: not weighed, and 0 in the figures.
    #[schema(minimum = 0, maximum = 200_000)]
    grams: Option<u32>,
    /// Opaque, at most 64 bytes; only its keyed hash is kept.
    #[schema(schema_with = words::card, required = false)]
    card: Option<String>,
    /// Who brought it, where no card was read.
    #[schema(schema_with = words::id, required = false)]
    household: Option<String>,
    /// When it happened; absent: now.
    #[schema(value_type = Option<String>, format = DateTime)]
    time: Option<String>,
    #[schema(schema_with = words::verdict, required = false)]
    verdict: Option<Verdict>,
    /// Of a deposit any text of at most 256 bytes; of a verdict `mixed`, `bagged`, `wrong_stream` or `contaminated`.
    #[schema(max_length = 256)]
    reason: Option<String>,
    /// The deposit that the verdict is on.
    #[serde(default, deserialize_with = "optional_object")]
    deposit: Option<DepositRef>,
}

enum Asked {
    Deposit(NotedDeposit),
    Verdict(DepositRef, (Verdict, Option<Reason>)),
}

const MAX_REASON: usize = 256;

impl NoteBody {
    fn read(self, app: &App, now: i64) -> Result<Asked, Problem> {
        let invalid = |detail: &str| Err(Problem::bad_request(detail));
        if let Some(deposit) = self.deposit {
            let others = self.stream.is_some() || self.grams.is_some() || self.time.is_some();
            if others || self.card.is_some() || self.household.is_some() {
                return invalid("a verdict on a stored deposit has `deposit`, `verdict` and `reason`, nothing else");
            }
            let Some(verdict) = self.verdict else { return invalid("`verdict` is missing: `correct` or `incorrect`") };
            let reason = self.reason.map(|reason| {
                let reasons = Reason::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
                Reason::parse(&reason).ok_or_else(|| Problem::bad_request(format!("`reason` must be one of {reasons}")))
            });
            return Ok(Asked::Verdict(deposit, (verdict, reason.transpose()?)));
        }
        let Some(stream) = self.stream else {
            return invalid("`stream` is missing (or `deposit`, for a verdict on one that is stored)");
        };
        if self.grams.is_some_and(|grams| grams > MAX_GRAMS) {
            return invalid("`grams` must be a whole number from 0 to 200000");
        }
        if self.card.is_some() && self.household.is_some() {
            return invalid("give `card` or `household`, not both");
        }
        if self.card.as_ref().is_some_and(|card| card.is_empty() || card.len() > MAX_CARD_BYTES) {
            return invalid("`card` must be 1 to 64 bytes");
        }
        if self.household.as_ref().is_some_and(|household| !is_id(household)) {
            return invalid("`household` must match [a-z0-9][a-z0-9_-]{0,47}");
        }
        if self.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON) {
            return invalid("`reason` must be at most 256 bytes");
        }
        let time = match self.time.as_deref().map(DateTime::parse_from_rfc3339) {
            None => now,
            Some(Ok(time)) => time.timestamp_millis(),
            Some(Err(_)) => {
                return invalid("`time` must be RFC 3339 with an offset, such as 2026-11-20T08:15:30+08:00");
            }
        };
        if !(now - MAX_BEHIND_MS..=now + MAX_AHEAD_MS).contains(&time) {
            return invalid("`time` must lie within the last 90 days, and at most 5 minutes ahead");
        }
        let card = self.card.map(|card| app.card_key.hash(&card));
        let deposit = Deposit { stream, grams: self.grams.unwrap_or(0), card, verdict: None, reason: self.reason };
        Ok(Asked::Deposit(NotedDeposit { time, deposit, household: self.household, verdict: self.verdict }))
    }
}

impl From<NoteError> for Problem {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Store(error) => error.into(),
            NoteError::NoHousehold | NoteError::NoDeposit => Self::bad_request(error.to_string()),
        }
    }
}

/// Stores a deposit that a volunteer saw, or a volunteer's verdict on a stored deposit, which stands before a camera's and
/// a bin's. Answers with the deposit as `/events` shows it; the same request under the same key is answered the same
/// again, and stored once.
#[utoipa::path(post, path = "/sites/{id}/deposits", tag = "events",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header, description = "New for each note; remembered for 7 days")),
    request_body = NoteBody,
    responses((status = 201, body = EventView), (status = 422, body = Problem, content_type = "application/problem+json", description = "The key was used for another request"), WriteProblems))]
pub(super) async fn note(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    key: IdempotencyKey,
    Json(body): Json<NoteBody>,
) -> Result<Response, Problem> {
    access.may_see(READERS)?;
    let site = access.site(&id)?.clone();
    access.may_do(RECORDERS)?;
    let now = app.clock.now().timestamp_millis();
    let once = key.required(&app, &access, &(&site.id, &body))?;
    let asked = body.read(&app, now)?;
    let who = access.caller.who.clone();
    let stored = app.store.write(move |session| {
        if let Some(row) = once.before(session.connection)?.flatten() {
            return Ok(shown(session.connection, row)?);
        }
        let (action, row) = match asked {
            Asked::Deposit(deposit) => ("deposit.note", note_deposit(session, &site, deposit, now)?),
            Asked::Verdict(of, verdict) => ("deposit.judge", note_verdict(session, &site, of, verdict, now)?),
        };
        audit::note(session.connection, now, &who, action, &site.id)?;
        once.done(session.connection, Some(row), now)?;
        Ok::<_, Problem>(shown(session.connection, row)?)
    });
    Ok((StatusCode::CREATED, Json(stored.await?)).into_response())
}

fn shown(connection: &Connection, row: i64) -> Result<EventView, StoreError> {
    let filter = Filter { after: row - 1, through: Some(row), limit: 1, ..Filter::default() };
    let found = events::list(connection, &filter)?.pop();
    Ok(found.ok_or(StoreError::Corrupt("a row of the ledger vanished"))?.into())
}
