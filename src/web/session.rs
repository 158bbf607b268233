//! The session of whoever signed in, as a browser holds it: a cookie that no script reads, and beside it the token by which
//! every form shows that a page of ours was filled in.

use axum::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::store::sessions::LASTS_MS;

const COOKIE: &str = "fenlei_session";
/// In which a proxy, or our own listener with TLS, says how the browser came.
pub(super) const SCHEME: &str = "x-forwarded-proto";
/// In which a script sends the token.
pub(super) const CSRF_HEADER: &str = "x-csrf-token";

/// The text of a session. It has no `Debug`, so that it is in no log.
#[derive(Clone)]
pub(super) struct Session(String);

impl Session {
    /// As it was begun.
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        cookie(headers, COOKIE).map(Self)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// What a form of this session carries: it follows from the session, and the session does not follow from it.
    pub(super) fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("form of {}", self.0)))
    }

    /// Whether a request that changes something was made by a page of ours.
    pub(super) fn check(&self, headers: &HeaderMap, csrf: Option<&str>) -> Result<(), Problem> {
        check_origin(headers)?;
        let expected = self.csrf();
        if csrf.is_some_and(|csrf| csrf.as_bytes().ct_eq(expected.as_bytes()).into()) {
            return Ok(());
        }
        Err(Problem::forbidden("the form is of another session: load the page again and repeat what you did"))
    }

    /// Lets the browser hold it.
    pub(super) fn held(&self, headers: &HeaderMap) -> HeaderValue {
        let lasts = cookie::time::Duration::milliseconds(LASTS_MS);
        set(Cookie::build((COOKIE, self.0.as_str())).http_only(true).max_age(lasts), headers)
    }

    /// Lets the browser forget it.
    pub(super) fn forgotten(headers: &HeaderMap) -> HeaderValue {
        set(Cookie::build((COOKIE, "")).http_only(true).max_age(cookie::time::Duration::ZERO), headers)
    }
}

/// Whether a request came from a page of this very origin, as browsers say; what is no browser says nothing.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let host = text("host").unwrap_or_default();
    let same_origin = text("origin").is_none_or(|origin| origin.split_once("://").is_some_and(|(_, of)| of == host));
    if same_site && same_origin {
        return Ok(());
    }
    Err(Problem::forbidden("the request comes from a page of another site"))
}

/// The value of a cookie.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

/// Whether the browser came by HTTPS.
pub(super) fn is_https(headers: &HeaderMap) -> bool {
    headers.get(SCHEME).is_some_and(|scheme| scheme == "https")
}

/// A cookie for all pages and no other site. Set over HTTPS it is never sent over anything else.
pub(super) fn set(cookie: cookie::CookieBuilder<'_>, headers: &HeaderMap) -> HeaderValue {
    let cookie = cookie.path("/").same_site(SameSite::Lax).secure(is_https(headers)).build();
    HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_form_counts_only_with_its_own_session_and_from_our_own_pages() {
        let (one, other) = (Session::new("one".into()), Session::new("other".into()));
        let (own, csrf) = (headers(&[("host", "f.cn"), ("origin", "https://f.cn")]), one.csrf());
        assert!(one.check(&own, Some(&csrf)).is_ok());
        assert!(one.check(&own, Some(&other.csrf())).is_err());
        assert!(one.check(&own, None).is_err());
        for foreign in [
            headers(&[("host", "f.cn"), ("origin", "https://g.cn")]),
            headers(&[("host", "f.cn"), ("origin", "null")]),
            headers(&[("host", "f.cn"), ("sec-fetch-site", "cross-site")]),
            headers(&[("host", "f.cn"), ("sec-fetch-site", "same-site")]),
        ] {
            assert!(one.check(&foreign, Some(&csrf)).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn the_cookie_is_for_no_script_and_no_other_site() {
        let session = Session::new("text".into());
        let plain = session.held(&headers(&[]));
        let plain = plain.to_str().unwrap();
        assert_eq!(plain, "fenlei_session=text; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800");
        let behind = session.held(&headers(&[("x-forwarded-proto", "https")]));
        assert!(behind.to_str().unwrap().contains("Secure"));
        let found = Session::of(&headers(&[("cookie", "a=b; fenlei_session=text")]));
        assert_eq!(found.unwrap().text(), "text");
    }
}
