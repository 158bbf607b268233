//! Reading what a form sends. There is no other way for a page to change anything, and none of it is read unless the form
//! carried the token of its session and came from a page of ours.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use axum::http::StatusCode;
use maud::{Markup, html};
use serde::de::DeserializeOwned;

use super::visitor::Visitor;
use crate::web::App;
use crate::web::explain::explain;
use crate::web::problem::Problem;
use crate::web::session::Session;

/// The name of the field with the token.
const CSRF: &str = "csrf";

/// A form that posts to `action`: its fields are `body`, and the token goes with them.
pub(super) fn form(visitor: &Visitor, action: &str, body: &Markup) -> Markup {
    html! { form method="post" action=(action) { (token(visitor)) (body) } }
}

/// A form that may hold files.
pub(super) fn upload_form(visitor: &Visitor, action: &str, body: &Markup) -> Markup {
    html! { form method="post" action=(action) enctype="multipart/form-data" { (token(visitor)) (body) } }
}

fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(visitor.csrf); }
}

/// A form as it was sent, and who sent it. A field that was left empty is as if it were not there, so that an `Option`
/// is `None`; repeated fields (check boxes) are read into a `Vec` with `#[serde(default)]`.
pub(super) struct Sent<T> {
    pub visitor: Visitor,
    pub form: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (visitor, fields) = sent(request, app).await?;
        Ok(Self { visitor, form: read(&fields)? })
    }
}

/// The same, read as two: what a form is about, and what goes with it. (Flattening one into the other would lose
/// repeated fields.)
pub(super) struct SentBoth<T, U> {
    pub visitor: Visitor,
    pub form: T,
    pub beside: U,
}

impl<T: DeserializeOwned, U: DeserializeOwned> FromRequest<Arc<App>> for SentBoth<T, U> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (visitor, fields) = sent(request, app).await?;
        Ok(Self { visitor, form: read(&fields)?, beside: read(&fields)? })
    }
}

/// Who sent a form, and its fields without the token and without those left empty.
async fn sent(request: Request, app: &Arc<App>) -> Result<(Visitor, String), Problem> {
    let (mut parts, body) = request.into_parts();
    let visitor = Visitor::from_request_parts(&mut parts, app).await?;
    let headers = parts.headers.clone();
    let bytes = bytes(Request::from_parts(parts, body)).await?;
    let fields = form_urlencoded::parse(&bytes).filter(|(_, value)| !value.trim().is_empty());
    let (csrf, fields): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| name == CSRF);
    check(&headers, csrf.first().map(|(_, token)| token.as_ref()))?;
    Ok((visitor, form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()))
}

fn read<T: DeserializeOwned>(fields: &str) -> Result<T, Problem> {
    let form = serde_html_form::Deserializer::from_bytes(fields.as_bytes());
    serde_path_to_error::deserialize(form)
        .map_err(|error| Problem::bad_request(explain(&error.path().to_string(), &error.inner().to_string())))
}

/// A form with files as it was sent, and who sent it.
pub(super) struct Upload {
    pub visitor: Visitor,
    fields: HashMap<String, Bytes>,
}

impl Upload {
    /// The bytes of a field, of a file its content; `None`: it was left empty.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name).map(|bytes| &bytes[..]).filter(|bytes| !bytes.is_empty())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }
}

impl FromRequest<Arc<App>> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let headers = parts.headers.clone();
        let unreadable = |_| Problem::bad_request("the form cannot be read: send it again");
        let mut form = Multipart::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(|_| Problem::bad_request("the form must be sent as multipart/form-data"))?;
        let mut fields = HashMap::new();
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            let name = field.name().unwrap_or_default().to_owned();
            let bytes = field.bytes().await.map_err(|error| match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(error.status(), "the file is too large"),
                _ => unreadable(error),
            })?;
            // The token comes first, before anything that may be long.
            if fields.is_empty() {
                check(&headers, std::str::from_utf8(&bytes).ok().filter(|_| name == CSRF))?;
            }
            fields.insert(name, bytes);
        }
        if fields.is_empty() {
            check(&headers, None)?;
        }
        Ok(Self { visitor, fields })
    }
}

fn check(headers: &axum::http::HeaderMap, csrf: Option<&str>) -> Result<(), Problem> {
    let session = Session::of(headers).ok_or_else(|| Problem::unauthorized("sign in first"))?;
    session.check(headers, csrf)
}

async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let read = Bytes::from_request(request, &()).await;
    read.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large, or broke off"))
}
