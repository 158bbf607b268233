//! Somebody else's server, that takes what it is posted or does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::ports::free_port;

const PATIENCE: Duration = Duration::from_secs(60);

/// What came, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    /// What was answered.
    pub status: u16,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// A value of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub retry_after: Option<&'static str>,
    pub location: Option<&'static str>,
    pub body: &'static str,
}

pub(crate) const OK: Reply =
    Reply { status: 200, retry_after: None, location: None, body: r#"{"errcode":0,"errmsg":"ok"}"# };
pub(crate) const BROKEN: Reply = Reply { status: 503, retry_after: None, location: None, body: "" };

struct Shared {
    posted: Mutex<Vec<Posted>>,
    reply: Mutex<Box<dyn FnMut() -> Reply + Send>>,
}

pub(crate) struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    running: Option<DropGuard>,
}

impl Receiver {
    pub async fn start() -> Self {
        let mut receiver = Self::down();
        receiver.up().await;
        receiver
    }

    /// One that nobody can connect to yet.
    pub fn down() -> Self {
        let shared = Arc::new(Shared { posted: Mutex::default(), reply: Mutex::new(Box::new(|| OK)) });
        Self { port: free_port(), shared, running: None }
    }

    pub async fn up(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&self.shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        self.running = Some(stop.drop_guard());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub fn reply(&self, reply: Reply) {
        self.replies(move || reply.clone());
    }

    /// Each post is answered as this says.
    pub fn replies(&self, reply: impl FnMut() -> Reply + Send + 'static) {
        *self.shared.reply.lock().unwrap() = Box::new(reply);
    }

    /// All that came so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.shared.posted.lock().unwrap().clone()
    }

    /// Comes back once so much came.
    pub async fn until(&self, count: usize) -> Vec<Posted> {
        let waiting = async {
            while self.posted().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "only {} came", self.posted().len());
        self.posted()
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let (path, body) = (uri.to_string(), String::from_utf8(body.to_vec()).unwrap());
    let reply = (shared.reply.lock().unwrap())();
    shared.posted.lock().unwrap().push(Posted { path, headers, body, status: reply.status });
    let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
    for (name, value) in [("retry-after", reply.retry_after), ("location", reply.location)] {
        response
            .headers_mut()
            .extend(value.map(|value| (HeaderName::from_static(name), HeaderValue::from_static(value))));
    }
    response
}
