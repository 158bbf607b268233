//! Reading requests: like axum's own extractors, but every rejection is a problem that says what to change.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate};
use fenlei_wire::limits::is_id;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::App;
use super::explain::explain;
use super::problem::Problem;
pub(super) use crate::domain::object::{Object, object, optional_object};
use crate::domain::period::parse_date;
use crate::domain::rows::Rows;
pub(super) use crate::domain::zone::rfc3339;
use crate::sheets::XLSX;

/// JSON in and out.
#[derive(Debug)]
pub(super) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if media_type(request.headers()) != "application/json" {
            return Err(unsupported("application/json"));
        }
        let bytes = body(request, state).await?;
        let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer).map_err(|error| {
            let (path, error) = (error.path().to_string(), error.into_inner());
            if error.is_data() {
                return Problem::bad_request(explain(&path, &error.to_string()));
            }
            // Where another kind of value was expected the parser may call it a mistake of the JSON, which it is not.
            let is_json = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
            if is_json { Problem::bad_request(explain(&path, "")) } else { no_json(&error) }
        })?;
        deserializer.end().map_err(|error| no_json(&error))?;
        Ok(Self(value.0))
    }
}

fn no_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not JSON: look at line {}, column {}", error.line(), error.column()))
}

/// The bytes of a body, as far as the route takes them.
async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large: send it in smaller parts")
        }
        _ => Problem::bad_request("the body broke off: send it again"),
    })
}

/// The rows of an import, read as its `Content-Type` says.
pub(super) async fn rows<T: Send + 'static>(
    request: Request,
    app: &App,
    json: fn(&[u8]) -> Rows<T>,
    csv: fn(&[u8]) -> Rows<T>,
    xlsx: fn(&[u8]) -> Rows<T>,
) -> Result<Rows<T>, Problem> {
    let read = match media_type(request.headers()).as_str() {
        "application/json" => json,
        "text/csv" => csv,
        XLSX => xlsx,
        _ => return Err(unsupported(&format!("application/json, text/csv or {XLSX}"))),
    };
    let bytes = body(request, app).await?;
    let rows = tokio::task::spawn_blocking(move || read(&bytes)).await;
    rows.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the rows could not be read"))
}

fn unsupported(expected: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the `Content-Type` must be {expected}"))
}

/// The media type of the body, in lower case and without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The query; a name that is not known is an error, so that a mistyped filter never passes for none.
#[derive(Debug)]
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.split_once("query string: ").map_or(text.as_str(), |(_, text)| text);
                let (path, message) = text.split_once(": ").unwrap_or(("?", text));
                let whole = message.contains("invalid digit") || message.contains("number too");
                let message = if whole { "expected a whole number" } else { message };
                Err(Problem::bad_request(explain(path, message).replace("the body", "the query")))
            }
        }
    }
}

/// One segment of the path.
pub(super) struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(segment)| Self(segment)).map_err(|_| Problem::not_found())
    }
}

/// What a new thing may be called.
pub(super) fn check_id(id: &str) -> Result<(), Problem> {
    if is_id(id) { Ok(()) } else { Err(Problem::bad_request("the id in the path must match [a-z0-9][a-z0-9_-]{0,47}")) }
}

/// A name as people write it: something, and no novel.
pub(super) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    let fits = !text.trim().is_empty() && text.len() <= 200;
    if fits { Ok(()) } else { Err(Problem::bad_request(format!("`{field}` must be a text of 1 to 200 bytes"))) }
}

/// A local date, exactly `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date(pub NaiveDate);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_date(&text).map(Self).ok_or_else(|| D::Error::custom("expected a date as YYYY-MM-DD"))
    }
}

/// An instant, RFC 3339, as Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant(pub i64);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An unescaped `+` of an offset reaches us as a blank: what was meant is plain.
        let text = String::deserialize(deserializer)?.trim().replace(' ', "+");
        let instant = DateTime::parse_from_rfc3339(&text);
        instant.map(|instant| Self(instant.timestamp_millis())).map_err(|_| {
            D::Error::custom("expected an instant as RFC 3339 with an offset, such as 2026-11-20T08:15:30+08:00")
        })
    }
}
