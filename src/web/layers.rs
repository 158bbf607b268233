//! What happens to every request: it is counted, bounded in time, survives a panic, and is never refused in any other
//! form than a problem.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::{MISTAKE, Problem};
use super::session::is_https;

/// For a year a browser that came by HTTPS comes by nothing else.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// How long an answer may take to begin, its request's body included. `/stream` begins at once and then goes on.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn unknown_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such path: see /api/v1/openapi.json for those there are")
}

pub(super) async fn unknown_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method: see the `Allow` header")
}

pub(super) async fn count(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unknown".to_owned(),
    };
    let method = method(request.method());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::histogram!("fenlei_http_request_duration_seconds", "route" => route.clone()).record(begun.elapsed());
    metrics::counter!("fenlei_http_requests_total", "method" => method, "route" => route, "status" => status)
        .increment(1);
    response
}

/// The methods that are served; anybody may invent others, but not a label of ours.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

pub(super) async fn bound(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long: ask for less, or later")
            .into_response(),
    }
}

pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has said where; what it was about may hold what no log may hold.
    tracing::error!("a request handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, MISTAKE).into_response()
}

/// Turns what the framework refuses by itself into a problem, and tells browsers to take types at their word.
pub(super) async fn tidy(request: Request, next: Next) -> Response {
    let https = is_https(request.headers());
    let mut response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_none_or(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/plain")));
    if plain && (status.is_client_error() || status.is_server_error()) {
        let detail = "the request cannot be read: see /api/v1/openapi.json for what this path takes";
        response = Problem::new(status, detail).into_response();
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if https {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    response
}
