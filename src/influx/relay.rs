//! A port of this process that the client writes to, and that writes on to the server: compressed, over TLS where the
//! server's URL is `https`, within a time, under the true token. It remembers what was answered.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use flate2::Compression;
use flate2::write::GzEncoder;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Options;
use crate::webhook::{self, Answer, NoAnswer, Reach};

const WRITE: &str = "/api/v2/write";

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    /// What opens the port, and nothing else: others on this machine may reach it too.
    pub(super) password: String,
    answered: Answered,
    _running: DropGuard,
}

type Answered = Arc<Mutex<Option<Result<Answer, NoAnswer>>>>;

struct Way {
    client: webhook::Client,
    url: String,
    within: Duration,
    authorization: HeaderValue,
    opens: String,
    answered: Answered,
}

impl Relay {
    pub(super) async fn start(options: &Options) -> anyhow::Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut authorization = HeaderValue::try_from(format!("Token {}", options.token.0))?;
        authorization.set_sensitive(true);
        let answered = Answered::default();
        let way = Way {
            client: webhook::Client::new(Reach::Anywhere),
            url: format!("{}{WRITE}", options.url.as_str().trim_end_matches('/')),
            within: options.timeout,
            authorization,
            opens: format!("Token {password}"),
            answered: Arc::clone(&answered),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // A batch is as large as its lines, and only we send one.
        let router = Router::new().fallback(forward).layer(DefaultBodyLimit::disable()).with_state(Arc::new(way));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Ok(Self { address, password, answered, _running: stop.drop_guard() })
    }

    /// What came of the last write since [`Relay::forget`]; `None`: it never came here.
    pub(super) fn answer(&self) -> Option<Result<Answer, NoAnswer>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn forget(&self) {
        self.answer();
    }
}

async fn forward(State(way): State<Arc<Way>>, uri: Uri, headers: HeaderMap, lines: Bytes) -> StatusCode {
    let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if uri.path() != WRITE || !bool::from(shown.ct_eq(way.opens.as_bytes())) {
        return StatusCode::FORBIDDEN;
    }
    let answer = way.write(uri.query().unwrap_or_default(), lines).await;
    let status = answer.as_ref().map_or(StatusCode::BAD_GATEWAY, |answer| match answer.status {
        // The client takes nothing else for a success.
        200..300 => StatusCode::NO_CONTENT,
        status => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
    });
    *way.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    status
}

impl Way {
    async fn write(&self, query: &str, lines: Bytes) -> Result<Answer, NoAnswer> {
        let compressed = tokio::task::spawn_blocking(move || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&lines).and_then(|()| encoder.finish())
        });
        // Writing to memory never fails.
        let Ok(Ok(body)) = compressed.await else { return Err(NoAnswer::Unreadable) };
        let headers: [(HeaderName, HeaderValue); 3] = [
            (AUTHORIZATION, self.authorization.clone()),
            (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ];
        self.client.post_within(self.within, &format!("{}?{query}", self.url), &headers, body).await
    }
}
