//! URLs of webhooks: which may be given, and what is shown of them. The rest of a URL may be a secret.

use url::Url;

use super::problem::Problem;
use crate::webhook::Reach;

const MAX_URL: usize = 2_000;

/// The URL of a webhook, as it is kept.
pub(super) fn read(text: &str, reach: Reach) -> Result<String, Problem> {
    let url = Url::parse(text).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && plain
    });
    let Some(mut url) = url.filter(|_| text.len() <= MAX_URL) else {
        let wanted = "`url` must be an http or https URL of at most 2000 bytes, without user and password";
        return Err(Problem::bad_request(wanted));
    };
    if !reach.allows_url(&url) {
        let wanted = "`url` leads to a private address: webhooks may lead to public ones only, unless the settings of the \
                      backend say `webhooks.private_addresses`";
        return Err(Problem::bad_request(wanted));
    }
    url.set_fragment(None);
    Ok(url.into())
}

/// Scheme and host.
pub(super) fn shown(url: &str) -> String {
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    format!("{origin}/…")
}
