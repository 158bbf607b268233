//! A server that takes lines as InfluxDB 2 does: a field of a point written again replaces the one that was there. It does as a test says, and may stand before another server.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ledger::{Points, Written, series};
use super::one_line::{Field, read};
use crate::support::ports::free_port;

pub(crate) const TOKEN: &str = "s3cret-t0ken==";
const PATIENCE: Duration = Duration::from_secs(60);

/// A write as it came.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub uri: String,
    pub lines: String,
    pub at: Instant,
}

/// What is done with a write.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Take,
    /// Taken, and the answer never comes.
    TakeAndHang,
    Refuse(u16, Option<String>, &'static str),
}

type Script = Box<dyn FnMut(&Write) -> Reply + Send>;

struct Shared {
    points: Mutex<Points>,
    writes: Mutex<Vec<Write>>,
    script: Mutex<Script>,
    behind: Option<String>,
}

pub(crate) struct Influx {
    port: u16,
    shared: Arc<Shared>,
    _running: DropGuard,
}

impl Influx {
    pub async fn start() -> Self {
        Self::before(None).await
    }

    /// One that hands on what it takes to the server at a URL.
    pub async fn before(behind: Option<String>) -> Self {
        let shared = Arc::new(Shared {
            points: Mutex::default(),
            writes: Mutex::default(),
            script: Mutex::new(Box::new(|_| Reply::Take)),
            behind,
        });
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Self { port, shared, _running: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Each write is treated as this says.
    pub fn replies(&self, script: impl FnMut(&Write) -> Reply + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// These for the next writes, and then each is taken.
    pub fn replies_once(&self, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: Vec<_> = replies.into_iter().collect();
        replies.reverse();
        self.replies(move |_| replies.pop().unwrap_or(Reply::Take));
    }

    pub fn points(&self) -> Points {
        self.shared.points.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.shared.points.lock().unwrap().clear();
    }

    /// Everything that came, refused or not.
    pub fn writes(&self) -> Vec<Write> {
        self.shared.writes.lock().unwrap().clone()
    }

    /// Comes back once it holds these points.
    pub async fn until(&self, expected: &Points) {
        self.until_so(|influx| influx.points() == *expected, || format!("{:#?}", difference(expected, &self.points())))
            .await;
    }

    pub async fn until_so(&self, so: impl Fn(&Self) -> bool, otherwise: impl Fn() -> String) {
        let waiting = async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{}", otherwise());
    }
}

/// Some of what is in one and not the same in the other.
pub(crate) fn difference(expected: &Points, found: &Points) -> Vec<String> {
    let lacks = expected.iter().filter(|(name, fields)| found.get(*name) != Some(*fields));
    let lacks = lacks.map(|(name, fields)| format!("{name:?}: expected {fields:?}, found {:?}", found.get(name)));
    let more = found.keys().filter(|name| !expected.contains_key(*name)).map(|name| format!("{name:?} is too much"));
    lacks.take(3).chain(more.take(3)).collect()
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!((uri.path(), header("content-encoding")), ("/api/v2/write", "gzip"));
    if header("authorization") != format!("Token {TOKEN}") {
        return (StatusCode::UNAUTHORIZED, r#"{"code":"unauthorized","message":"unauthorized access"}"#)
            .into_response();
    }
    let mut lines = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut lines).unwrap();
    let write = Write { uri: uri.to_string(), lines, at: Instant::now() };
    let reply = (shared.script.lock().unwrap())(&write);
    shared.writes.lock().unwrap().push(write.clone());
    if let Reply::Refuse(status, retry_after, body) = reply {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        if let Some(value) = retry_after {
            response.headers_mut().insert("retry-after", value.parse().unwrap());
        }
        return response;
    }
    keep(&mut shared.points.lock().unwrap(), &write.lines);
    if let Some(behind) = &shared.behind {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{behind}{uri}")).header("content-encoding", "gzip").body(body);
        match request.send().await {
            Ok(answer) if answer.status() == StatusCode::NO_CONTENT => {}
            _ => return StatusCode::BAD_GATEWAY.into_response(),
        }
    }
    if let Reply::TakeAndHang = reply {
        std::future::pending::<()>().await;
    }
    StatusCode::NO_CONTENT.into_response()
}

fn keep(points: &mut Points, lines: &str) {
    for line in read(lines).unwrap() {
        let series = series(&line.measurement, line.tags.into_iter().collect());
        let point = points.entry((series, line.time)).or_default();
        for (key, value) in line.fields {
            let value = match value {
                #[expect(clippy::cast_precision_loss, reason = "numbers of events stay below 2^53")]
                Field::Integer(number) => Written::Number(number as f64),
                Field::Float(number) => Written::Number(number),
                Field::Text(text) => Written::Text(text),
            };
            point.insert(key, value);
        }
    }
}
