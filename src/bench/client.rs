//! An HTTP client that says how long it waited.

use std::time::{Duration, Instant};

use anyhow::ensure;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderName;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Asks one backend, always as the same caller.
pub struct Client {
    hyper: Hyper<HttpConnector, Empty<Bytes>>,
    base: String,
    who: (HeaderName, String),
}

/// A whole answer, and how long it took from the question on.
pub struct Answer {
    pub body: Bytes,
    pub took: Duration,
}

impl Client {
    /// `base` is such as `http://127.0.0.1:8080`; the header says who asks.
    pub fn new(base: String, header: HeaderName, value: String) -> Self {
        Self { hyper: Hyper::builder(TokioExecutor::new()).build_http(), base, who: (header, value) }
    }

    /// # Errors
    /// Where the backend is not there, or answers anything but 200.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let begun = Instant::now();
        let body = self.open(path).await?.collect().await?.to_bytes();
        Ok(Answer { body, took: begun.elapsed() })
    }

    /// An answer as it comes.
    ///
    /// # Errors
    /// Where the backend is not there, or answers anything but 200.
    pub async fn open(&self, path: &str) -> anyhow::Result<Incoming> {
        let request = Request::get(format!("{}{path}", self.base)).header(&self.who.0, &self.who.1);
        let answer = self.hyper.request(request.body(Empty::new())?).await?;
        ensure!(answer.status() == StatusCode::OK, "{path} answers {}", answer.status());
        Ok(answer.into_body())
    }
}
