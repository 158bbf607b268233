//! Where the ledger is exported to. Without a URL it is exported nowhere, and then nothing else need be set.

use std::time::Duration;

use url::Url;

use super::integer;
use super::layers::{Layers, Value};
use crate::influx::{Options, Token};

const EXPECTED: &str = "http://host:port or https://host:port, or empty to export nothing";
const MAX_NAME: usize = 256;

/// Reads the section. `None`: there is a mistake; `Some(None)`: nothing is exported.
pub(super) fn read(layers: &mut Layers) -> Option<Option<Options>> {
    let url = layers.read("influx.url", url);
    let org = layers.read("influx.org", name);
    let bucket = layers.read("influx.bucket", name);
    let token = layers.read("influx.token", token);
    let batch = layers.read("influx.batch", |value| integer(value, 1, 50_000));
    let timeout = layers.read("influx.timeout_seconds", |value| integer(value, 1, 600));
    let (url, org, bucket, token) = (url?, org?, bucket?, token?);
    let Some(url) = url else { return Some(None) };
    let wanted =
        [("influx.org", org.is_empty()), ("influx.bucket", bucket.is_empty()), ("influx.token", token.is_none())];
    for (key, _) in wanted.iter().filter(|(_, missing)| *missing) {
        layers.contradiction("influx.url", &format!("is set, so `{key}` must be set too"));
    }
    let timeout = Duration::from_secs(timeout?.into());
    Some(Some(Options { url, org, bucket, token: token?, timeout, batch: batch? as usize }))
}

fn url(value: &Value) -> Result<Option<Url>, String> {
    let text = value.text().ok_or(EXPECTED)?;
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(EXPECTED.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{EXPECTED}, without user and password: `influx.token` is for that"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{EXPECTED}, without ? and #"));
    }
    Ok(Some(url))
}

/// Empty where it is not set.
fn name(value: &Value) -> Result<String, String> {
    let fits = |text: &&str| text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    value.text().filter(fits).map(str::to_owned).ok_or_else(|| format!("a text of up to {MAX_NAME} bytes"))
}

fn token(value: &Value) -> Result<Option<Token>, String> {
    let expected = || "1 to 512 visible ASCII characters, without blanks".to_owned();
    let text = value.text().ok_or_else(expected)?;
    if text.is_empty() { Ok(None) } else { Token::parse(text).map(Some).ok_or_else(expected) }
}
