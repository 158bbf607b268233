//! Every refusal of the API: RFC 9457 `application/problem+json` that says what to change.
//!
//! The one place where errors become statuses. A detail never holds a card, a secret or a household.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::domain::period::SpanError;
use crate::domain::rows::BadRow;
use crate::domain::schedule::ScheduleError;
use crate::store::StoreError;
use crate::store::registry::RegistryError;
use crate::store::roster::ImportError;

pub(super) const PROBLEM_JSON: &str = "application/problem+json";

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[schema(value_type = String)]
    r#type: &'static str,
    title: String,
    status: u16,
    /// What is wrong, and what to change.
    pub(super) detail: String,
    /// Of an import: every row that cannot be imported; row 0 is the document as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<BadRow>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { r#type: "about:blank", title, status: status.as_u16(), detail: detail.into(), errors: Vec::new() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The same words whether it is not there or not to be seen: they tell nothing apart.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such thing, or this token may not see it")
    }

    /// Who asks did not show who it is.
    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(super) fn bad_rows(errors: Vec<BadRow>) -> Self {
        let detail =
            "rows cannot be imported and nothing was changed: mend what `errors` names and send all rows again";
        Self { errors, ..Self::bad_request(detail) }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let extra: Option<(HeaderName, &'static str)> = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"fenlei\"")),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "5")),
            _ => None,
        };
        let mut response = (status, axum::Json(&self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        // A page shows it in its own form.
        response.extensions_mut().insert(self);
        response
    }
}

/// Of a panic.
pub(super) const MISTAKE: &str = "this is a mistake of the backend: see its log";

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // A store that fails is told of once, and not for each request that meets it.
        if error.is_told_of() {
            tracing::debug!(%error, "a request failed in the store");
        } else {
            tracing::error!(%error, "a request failed in the store");
        }
        match error {
            StoreError::Panicked => Self::new(StatusCode::INTERNAL_SERVER_ERROR, MISTAKE),
            StoreError::Corrupt(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the store contradicts itself: see the log of the backend")
            }
            // Only what was to be written finds the disk full, and then none of it is.
            error if error.is_full() => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "nothing was saved, the disk is full: try again later")
            }
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer: try again later"),
        }
    }
}

impl From<crate::store::sql::Error> for Problem {
    fn from(error: crate::store::sql::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => error.into(),
            RegistryError::Unknown(detail) => Self::bad_request(detail),
            RegistryError::Conflict(detail) => Self::conflict(detail),
            RegistryError::Stale => Self::new(StatusCode::PRECONDITION_FAILED, error.to_string()),
            RegistryError::Missing => Self::not_found(),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => error.into(),
            ImportError::Rows(errors) => Self::bad_rows(errors),
        }
    }
}

impl From<SpanError> for Problem {
    fn from(error: SpanError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// What any read may answer instead of its result, for the OpenAPI document.
pub(super) struct ReadProblems;
/// What any change may answer instead of its result.
pub(super) struct WriteProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        documented(&[
            (400, "The query is wrong: `detail` says what to change"),
            (401, "A bearer token is missing, unknown or revoked"),
            (404, "There is no such thing, or this token may not see it"),
            (503, "The store does not answer: try again later"),
        ])
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        documented(&[
            (400, "The request is wrong: `detail` says what to change"),
            (401, "A bearer token is missing, unknown or revoked"),
            (403, "The token may see this but not do it"),
            (404, "There is no such thing, or this token may not see it"),
            (409, "Something depends on it, or it has gone too far to be changed"),
            (412, "It was changed since it was read: `If-Match` no longer holds"),
            (413, "The body is too large"),
            (415, "The `Content-Type` is none that is read here"),
            (503, "Nothing can be stored, or the store does not answer: try again later"),
        ])
    }
}

pub(super) fn documented(answers: &[(u16, &str)]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let response = |about: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(about).content(PROBLEM_JSON, content).build()
    };
    answers.iter().map(|(status, about)| (status.to_string(), response(about).into())).collect()
}
