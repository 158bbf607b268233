//! How a receiver knows who posts: the headers of Standard Webhooks, and the query of DingTalk's robots.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

/// What a key of Standard Webhooks may begin with.
const PREFIX: &str = "whsec_";
/// How many bytes it may have.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A new secret of Standard Webhooks.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(key)))
}

/// The key in a secret of Standard Webhooks: base64 of 24 to 64 bytes, with or without `whsec_` before it.
pub fn standard_key(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).ok()?;
    KEY_BYTES.contains(&key.len()).then_some(key)
}

/// The `webhook-signature` of a message: `v1,` and the base64 of the HMAC-SHA-256 of its id, its `webhook-timestamp` (Unix
/// seconds) and its body, joined by full stops.
pub fn standard(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp}.");
    format!("v1,{}", hmac(key, &[head.as_bytes(), body]))
}

/// The headers of Standard Webhooks: a signature by each key, and none without any.
pub fn standard_headers(keys: &[Vec<u8>], id: &str, timestamp: i64, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let signatures: Vec<_> = keys.iter().map(|key| standard(key, id, timestamp, body)).collect();
    let texts = [
        ("webhook-id", Some(id.to_owned())),
        ("webhook-timestamp", Some(timestamp.to_string())),
        ("webhook-signature", (!signatures.is_empty()).then(|| signatures.join(" "))),
    ];
    let headers = texts
        .into_iter()
        .filter_map(|(name, text)| Some((HeaderName::from_static(name), HeaderValue::try_from(text?).ok()?)));
    headers.collect()
}

/// The URL of a DingTalk robot, signed at `now` (Unix milliseconds): the HMAC-SHA-256 of time and secret, a line break
/// between them, under the secret.
pub fn dingtalk(url: &str, secret: &str, now: i64) -> String {
    let signature = hmac(secret.as_bytes(), &[format!("{now}\n{secret}").as_bytes()]);
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}timestamp={now}&sign={}", utf8_percent_encode(&signature, NON_ALPHANUMERIC))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mut mac| {
        parts.iter().for_each(|part| mac.update(part));
        STANDARD.encode(mac.finalize().into_bytes())
    });
    // A key of any length will do.
    mac.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_webhooks_sign_as_their_specification_has_it() {
        // The example of the specification.
        let key = standard_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = standard(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for bad in ["", "whsec_", "whsec_AAAA", "not base64!", &STANDARD.encode([7; 65])] {
            assert_eq!(standard_key(bad), None, "{bad}");
        }
    }
}
