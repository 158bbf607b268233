//! HTTP on every entrance: how a connection is spoken with, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::{Extension, Router};
use futures::future::join_all;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;

use super::problem::{PROBLEM_JSON, Problem};
use super::session::SCHEME;
use crate::entrance::{Guest, Listener, refused};

/// How long requests under way may take to finish once the backend shuts down.
const DRAIN: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// What is said to whom there is no place for: as much of HTTP as can be said before a request was read.
pub fn farewell() -> Arc<[u8]> {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "there are too many connections: try again later");
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {PROBLEM_JSON}\r\nRetry-After: 5\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes().into()
}

/// Serves until `shutdown`, and then until the requests under way are answered or [`DRAIN`] is over. A head must be there
/// within `patience`, and a connection that nobody uses is kept no longer than that.
pub async fn serve(listeners: Vec<Listener>, patience: Duration, router: Router, shutdown: CancellationToken) {
    // Streams would never end by themselves: they listen for this.
    let service = TowerToHyperService::new(router.layer(Extension(shutdown.clone())));
    let all = listeners.into_iter().map(|listener| {
        let (service, stop) = (service.clone(), shutdown.clone());
        listener.run(shutdown.clone(), move |guest| speak(guest, service.clone(), patience, stop.clone()))
    });
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        _ = join_all(all) => {}
        () = drained => tracing::warn!("requests that were still under way are cut off"),
    }
}

async fn speak(guest: Guest, service: TowerToHyperService<Router>, patience: Duration, shutdown: CancellationToken) {
    let Guest { stream, peer, entrance, place, .. } = guest;
    let (sealed, asked) = (stream.is_sealed(), AtomicBool::new(false));
    let answer = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
        if sealed {
            // As a proxy would say it.
            request.headers_mut().insert(SCHEME, HeaderValue::from_static("https"));
        }
        service.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match ended {
        // One that was used before has only been idle.
        Err(error) if error.is_timeout() && !asked.load(Ordering::Relaxed) => refused(entrance, "slow"),
        Err(error) => tracing::debug!(entrance, %error, "a connection ended"),
        Ok(()) => {}
    }
    drop(place);
}
