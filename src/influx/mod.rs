//! Writing lines to a server that speaks the write API of InfluxDB 2.
//!
//! The client is the `influxdb2` crate. It has no TLS that is still kept, no timeout and no compression for lines, and of
//! an answer it tells neither status nor `Retry-After` apart from text. So it is built without TLS and talks to a relay on
//! a loopback port of this process, which does all of that with the parts that webhooks are posted with.

mod relay;

use std::fmt;
use std::time::Duration;

use influxdb2::ClientBuilder;
use influxdb2::api::write::TimestampPrecision;
use serde::Deserialize;
use url::Url;

use crate::webhook::NoAnswer;
use relay::Relay;

/// How much of what a server says is kept, in characters.
const MAX_MESSAGE: usize = 300;
/// How much longer than the server the relay may take.
const MARGIN: Duration = Duration::from_secs(5);

/// Where to write, as what, and how much at once.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http` or `https`, with neither query nor login.
    pub url: Url,
    pub org: String,
    pub bucket: String,
    pub token: Token,
    /// How long a write may take with its answer.
    pub timeout: Duration,
    /// Events in a write.
    pub batch: usize,
}

/// A secret that no debug print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as a header can carry it: 1 to 512 visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why lines were not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("HTTP {status}{}", after_colon(.message))]
    Refused { status: u16, message: String, retry_after: Option<String> },
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Failure {
    /// Whether it is something in the lines: others may be taken all the same.
    pub fn is_of_the_lines(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 413 | 422, .. })
    }

    /// What the server asks to be waited, as it says it.
    pub fn retry_after(&self) -> Option<&str> {
        match self {
            Self::Refused { retry_after, .. } => retry_after.as_deref(),
            Self::NoAnswer(_) => None,
        }
    }

    /// A word for it, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoAnswer(NoAnswer::TooSlow(_)) => "timeout",
            Self::NoAnswer(_) => "unreachable",
            Self::Refused { status: 400 | 413 | 422, .. } => "lines",
            Self::Refused { status: 401 | 403, .. } => "token",
            Self::Refused { status: 404, .. } => "not_found",
            Self::Refused { status: 429, .. } => "throttled",
            Self::Refused { status: 500.., .. } => "server",
            Self::Refused { .. } => "other",
        }
    }

    /// Which setting it may come from.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoAnswer(NoAnswer::BadUrl | NoAnswer::Private | NoAnswer::Unreachable) => {
                "is `influx.url` right, and does the server run?"
            }
            Self::NoAnswer(NoAnswer::TooSlow(_)) => "`influx.timeout_seconds` says how long an answer may take",
            Self::Refused { status: 401 | 403, .. } => "may `influx.token` write to `influx.bucket`?",
            Self::Refused { status: 404, .. } => "are `influx.org` and `influx.bucket` there?",
            Self::Refused { status: 300..=399, .. } => "`influx.url` must be the address that answers itself",
            Self::NoAnswer(NoAnswer::Unreadable) | Self::Refused { .. } => "it is tried again",
        }
    }
}

/// Writes one batch after the other.
#[derive(Debug)]
pub struct Client {
    influx: influxdb2::Client,
    relay: Relay,
    options: Options,
}

impl Client {
    /// Connects to nothing yet.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let relay = Relay::start(&options).await?;
        // A proxy of the environment is for the world outside, not for a port of our own.
        let http = reqwest_of_influxdb2::ClientBuilder::new().no_proxy().timeout(options.timeout + MARGIN);
        let url = format!("http://{}", relay.address);
        let influx = ClientBuilder::with_builder(http, url, &options.org, &relay.password).build()?;
        Ok(Self { influx, relay, options })
    }

    /// Writes lines whose times are nanoseconds.
    pub async fn write(&mut self, lines: String) -> Result<(), Failure> {
        let Options { org, bucket, token, .. } = &self.options;
        self.relay.forget();
        let nanoseconds = TimestampPrecision::Nanoseconds;
        if self.influx.write_line_protocol_with_precision(org, bucket, lines, nanoseconds).await.is_ok() {
            return Ok(());
        }
        // The crate's own error says less: what the server answered, the relay knows.
        let answer = self.relay.answer().unwrap_or(Err(NoAnswer::Unreachable))?;
        let message = message(&answer.body, token);
        Err(Failure::Refused { status: answer.status, message, retry_after: answer.retry_after })
    }
}

/// What a server says, shortened, on one line and without our secret should it repeat that.
fn message(body: &[u8], token: &Token) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let text = String::from_utf8_lossy(body);
    let said = serde_json::from_str(&text).map_or_else(|_| text.into_owned(), |said: Said| said.message);
    let said = said.replace(&token.0, "…");
    said.trim().chars().take(MAX_MESSAGE).map(|one| if one.is_control() { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_visible_ascii_and_never_printed() {
        for bad in ["", "a b", "a\n", "é", &"a".repeat(513)] {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
        assert_eq!(format!("{:?}", Token::parse("s3cret==").unwrap()), "Token(..)");
    }

    #[test]
    fn what_a_server_says_is_kept_in_short_and_without_the_token() {
        let token = Token::parse("s3cret").unwrap();
        let said = |body: &str| message(body.as_bytes(), &token);
        assert_eq!(
            said(r#"{"code":"invalid","message":"unable to parse 'x y': missing field"}"#),
            "unable to parse 'x y': missing field"
        );
        assert_eq!(said("no token s3cret here\nat all\n"), "no token … here at all");
        assert_eq!(said(&"长".repeat(1_000)).chars().count(), MAX_MESSAGE);
        assert_eq!(said(""), "");
    }

    #[test]
    fn a_failure_says_what_was_answered() {
        let refused = |status, message: &str| Failure::Refused { status, message: message.into(), retry_after: None };
        assert_eq!(refused(503, "").to_string(), "HTTP 503");
        assert_eq!(refused(400, "bad").to_string(), "HTTP 400: bad");
        assert!(refused(422, "").is_of_the_lines() && refused(413, "").is_of_the_lines());
        assert!(![401, 404, 429, 500].iter().any(|status| refused(*status, "").is_of_the_lines()));
        assert_eq!(Failure::from(NoAnswer::TooSlow(30)).to_string(), "no answer within 30 s");
    }
}
