//! `Idempotency-Key`: a client that got no answer sends its request again under the same key, and it is done once.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;

use super::App;
use super::access::Access;
use super::problem::Problem;
use crate::store::idempotency::{self, Fingerprint};
use crate::store::sql::Connection;

/// The key that a client sent, if it sent one.
pub(super) struct IdempotencyKey(Option<String>);

const MAX_KEY: usize = 200;

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = key.to_str().ok().map(str::trim).filter(|key| (1..=MAX_KEY).contains(&key.len()));
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(needed)
    }
}

fn needed() -> Problem {
    Problem::bad_request(
        "send an `Idempotency-Key` of 1 to 200 characters, new for each request: repeated, it is stored once",
    )
}

/// A request under its key. Both are kept as keyed hashes: the one may hold a card, the other whatever a client likes.
pub(super) struct Once {
    token: String,
    key: Fingerprint,
    fingerprint: Fingerprint,
}

impl IdempotencyKey {
    /// As if a request had carried it, or none.
    pub(super) fn of(key: Option<String>) -> Self {
        Self(key)
    }

    /// The name of a request for `asked`; `None`: it has no key, and is done as often as it comes.
    pub(super) fn once(self, app: &App, access: &Access, asked: &impl Serialize) -> Option<Once> {
        let asked = serde_json::to_string(asked).unwrap_or_default();
        let (token, hash) = (access.caller.who.clone(), |text: &str| app.card_key.hash(text).0);
        self.0.map(|key| Once { token, key: hash(&key), fingerprint: hash(&asked) })
    }

    /// Of a request that is not taken without a key.
    pub(super) fn required(self, app: &App, access: &Access, asked: &impl Serialize) -> Result<Once, Problem> {
        self.once(app, access, asked).ok_or_else(needed)
    }
}

impl Once {
    /// What came of it when it was done before: the row of the ledger, where there is one.
    pub(super) fn before(&self, connection: &Connection) -> Result<Option<Option<i64>>, Problem> {
        match idempotency::find(connection, (&self.token, self.key))? {
            Some((before, _)) if before != self.fingerprint => {
                let used = "this `Idempotency-Key` was used for another request: take a new one";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, used))
            }
            found => Ok(found.map(|(_, row)| row)),
        }
    }

    pub(super) fn done(&self, connection: &Connection, row: Option<i64>, now: i64) -> Result<(), Problem> {
        Ok(idempotency::remember(connection, (&self.token, self.key), &self.fingerprint, row, now)?)
    }
}
