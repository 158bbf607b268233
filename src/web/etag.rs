//! Strong entity tags: `If-None-Match` spares a reader what it has, `If-Match` keeps one writer from undoing another.
//!
//! A tag is the digest of the body. Where a body also shows what nobody edits (a device's status, the schedule
//! of today), the tag has two parts, `{edited}.{body}`: `If-Match` is held against the first alone, or every heartbeat
//! would make a correction of a device's name fail.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::store::registry::RegistryError;

/// Of what can be edited in an answer, where that is not the whole of it.
#[derive(Clone, Debug)]
pub(super) struct Edited(String);

impl Edited {
    pub(super) fn of(representation: &impl Serialize) -> Self {
        Self(tag_of(representation))
    }
}

/// The tag of a representation as the API would send it.
pub(super) fn tag_of(representation: &impl Serialize) -> String {
    // What is sent has been serialized the same way; what cannot be is not sent, and matches nothing.
    digest(&serde_json::to_vec(representation).unwrap_or_default())
}

fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..12])
}

/// The `If-Match` of a change.
#[derive(Clone, Debug)]
pub(super) struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// As if a request had carried it, or none.
    pub(super) fn of(tag: Option<String>) -> Self {
        Self(tag.map(|tag| vec![tag]))
    }

    /// Whether the change may go ahead; `present` is what it changes, as it stands inside the transaction.
    pub(super) fn check(&self, present: Option<&impl Serialize>) -> Result<(), RegistryError> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let Some(present) = present else { return Err(RegistryError::Stale) };
        let present = tag_of(present);
        let holds = tags.iter().any(|tag| tag == "*" || tag.split('.').next() == Some(&present));
        if holds { Ok(()) } else { Err(RegistryError::Stale) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parts.headers.contains_key(header::IF_MATCH);
        Ok(Self(given.then(|| tags(&parts.headers, &header::IF_MATCH, false))))
    }
}

/// The tags of all headers of a name.
fn tags(headers: &HeaderMap, name: &HeaderName, weak_too: bool) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| tags_of(value, weak_too)).collect()
}

/// The tags of a header without their quotes. A weak tag says nothing to `If-Match`, and the same to `If-None-Match`.
pub fn tags_of(header: &str, weak_too: bool) -> Vec<String> {
    let tags = header.split(',').map(str::trim);
    let strong = tags.filter_map(|tag| match tag.strip_prefix("W/") {
        Some(tag) => weak_too.then_some(tag),
        None => Some(tag),
    });
    strong.map(|tag| tag.trim_matches('"').to_owned()).collect()
}

/// Tags every JSON answer to a GET, and answers 304 where the asker has it already.
pub(super) async fn tag_reads(request: Request, next: Next) -> Response {
    let known = (request.method() == Method::GET).then(|| tags(request.headers(), &header::IF_NONE_MATCH, true));
    let response = next.run(request).await;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let (Some(known), true, StatusCode::OK) = (known, is_json, response.status()) else { return response };
    let (mut parts, body) = response.into_parts();
    // The body is in memory already: there is nothing here to bound.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be put together").into_response();
    };
    let tag = match parts.extensions.get::<Edited>() {
        Some(Edited(edited)) => format!("{edited}.{}", digest(&bytes)),
        None => digest(&bytes),
    };
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        parts.headers.insert(header::ETAG, value);
    }
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if known.iter().any(|known| *known == tag || known == "*") {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// An answer of which only a part can be edited.
pub(super) struct Tagged<T> {
    pub edited: Edited,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.body).into_response();
        response.extensions_mut().insert(self.edited);
        response
    }
}
