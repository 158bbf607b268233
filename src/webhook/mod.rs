//! Posting to other people's servers: bounded in time and in what is read back, never redirected, never by a proxy, and
//! without a word about the URL in what it says, because a URL may be a secret.

pub mod signature;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

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
    #[error("no connection")]
    Unreachable,
    #[error("no answer within {0} s")]
    TooSlow(u64),
    #[error("the answer is broken or over {MAX_ANSWER} bytes")]
    Unreadable,
}

/// Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client(hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// Trusts the certificates that the system trusts.
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        // It is asked for https URLs as well.
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls()).https_or_http().enable_http1();
        let mut client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE).pool_max_idle_per_host(MAX_IDLE);
        client.pool_timer(hyper_util::rt::TokioTimer::new());
        Self(client.build(connector.wrap_connector(tcp)))
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
        let request = Request::builder().method(Method::POST).uri(uri).header(USER_AGENT, AGENT);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| NoAnswer::BadUrl)?;
        let answer = tokio::time::timeout(within, self.exchange(request)).await;
        answer.map_err(|_| NoAnswer::TooSlow(within.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let response = self.0.request(request).await.map_err(|_| NoAnswer::Unreachable)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_| NoAnswer::Unreadable)?.to_bytes().to_vec();
        Ok(Answer { status, retry_after, body })
    }
}

fn tls() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        tracing::warn!("the system has no trusted certificates: no https webhook can be reached");
    }
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS);
    match versions {
        Ok(versions) => versions.with_root_certificates(roots).with_no_client_auth(),
        // ring knows both versions of TLS: this is never so.
        Err(_) => ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
    }
}
