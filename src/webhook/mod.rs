//! Posting to other people's servers: bounded in time and in what is read back, to public addresses only unless the settings
//! say otherwise, never redirected, never by a proxy, and without a word about the URL in what it says, because a URL may be a secret.

mod reach;
pub mod signature;

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
pub use reach::Reach;
use reach::{Private, Resolver};

use crate::trust;

/// How long a connection may take,
const CONNECT: Duration = Duration::from_secs(5);
/// and all of a webhook's request with its answer.
const TOTAL: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const MAX_ANSWER: usize = 16 * 1024;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE: usize = 2;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("fenlei/", env!("CARGO_PKG_VERSION")));

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoAnswer {
    #[error("no http or https URL")]
    BadUrl,
    #[error("a private address: the settings of Fenlei allow public ones only")]
    Private,
    #[error("no connection")]
    Unreachable,
    #[error("no answer within {0} s")]
    TooSlow(u64),
    #[error("the answer is broken or over {MAX_ANSWER} bytes")]
    Unreadable,
}

/// Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    reach: Reach,
}

impl Client {
    /// Trusts the certificates that the system trusts.
    pub fn new(reach: Reach) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(reach));
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        // It is asked for https URLs as well.
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(trust::system()).https_or_http().enable_http1();
        let mut client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE).pool_max_idle_per_host(MAX_IDLE);
        client.pool_timer(hyper_util::rt::TokioTimer::new());
        Self { http: client.build(connector.wrap_connector(tcp)), reach }
    }

    /// Posts JSON.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<Answer, NoAnswer> {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        self.post_within(TOTAL, url, std::iter::once(&json).chain(headers), body).await
    }

    /// Posts anything; all of it, with the answer, is to take no longer than `within`.
    pub async fn post_within<'a>(
        &self,
        within: Duration,
        url: &str,
        headers: impl IntoIterator<Item = &'a (HeaderName, HeaderValue)>,
        body: Vec<u8>,
    ) -> Result<Answer, NoAnswer> {
        let uri: Uri = url.parse().map_err(|_| NoAnswer::BadUrl)?;
        // An address that stands there itself is looked up nowhere.
        let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']').parse());
        if matches!(host, Some(Ok(address)) if !self.reach.allows(address)) {
            return Err(NoAnswer::Private);
        }
        let request = Request::builder().method(Method::POST).uri(uri).header(USER_AGENT, AGENT);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| NoAnswer::BadUrl)?;
        let answer = tokio::time::timeout(within, self.exchange(request)).await;
        answer.map_err(|_| NoAnswer::TooSlow(within.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| if Private::caused(&error) { NoAnswer::Private } else { NoAnswer::Unreachable })?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_| NoAnswer::Unreadable)?.to_bytes().to_vec();
        Ok(Answer { status, retry_after, body })
    }
}
