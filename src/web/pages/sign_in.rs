//! `/sign-in`, `/sign-out`, `/language/{lang}`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::form::Sent;
use super::frame::{outside, see_other};
use crate::domain::account::LOCKED_MS;
use crate::entrance::refused;
use crate::passwords;
use crate::store::{accounts, audit, sessions};
use crate::web::App;
use crate::web::language::Language;
use crate::web::problem::Problem;
use crate::web::session::{Session, check_origin};

/// How many passwords are checked at once: each takes 19 MiB and tens of milliseconds.
const AT_ONCE: usize = 2;
/// How long an attempt waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The turns in which passwords are checked.
pub(in crate::web) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

#[derive(Deserialize)]
pub(super) struct Next {
    /// The page to go to afterwards.
    next: Option<String>,
}

pub(super) async fn show(lang: Language, Query(query): Query<Next>) -> Response {
    page(lang, StatusCode::OK, query.next.as_deref(), None)
}

fn page(lang: Language, status: StatusCode, next: Option<&str>, error: Option<&str>) -> Response {
    let next = next.map(own_path);
    let main = html! {
        @if let Some(error) = error { div.error role="alert" { p { (error) } } }
        form.narrow method="post" action="/sign-in" {
            @if let Some(next) = &next { input type="hidden" name="next" value=(next); }
            div.field { label for="name" { (lang.t("用户名", "Name")) } input #name name="name" required autocomplete="username" maxlength="48" autocapitalize="none" spellcheck="false"; }
            div.field { label for="password" { (lang.t("密码", "Password")) } input #password name="password" type="password" required autocomplete="current-password" maxlength="256"; }
            button type="submit" { (lang.t("登录", "Sign in")) }
        }
        p.note { (lang.t("没有账号?请联系系统管理员。", "No account? Ask your administrator for one.")) }
        p.note { a href="/privacy" { (lang.t("个人信息处理说明", "What is kept of people, and why")) } }
        p.note {
            (lang.t("给程序员:", "For programs: ")) a href="/api/v1/openapi.json" { (lang.t("接口文档(OpenAPI 3.1)", "the API (OpenAPI 3.1)")) }
        }
    };
    let here = next.map_or_else(|| "/sign-in".to_owned(), |next| format!("/sign-in?next={}", escaped(&next)));
    outside(lang, status, lang.t("登录 Fenlei 垃圾分类", "Sign in to Fenlei"), &here, &main)
}

fn too_many(lang: Language, next: Option<&str>, wait: Duration) -> Response {
    let words = lang.t("尝试次数过多,请 15 分钟后再试。", "Too many attempts: try again in 15 minutes.");
    let retry = [(header::RETRY_AFTER, wait.as_secs().max(1).to_string())];
    (retry, page(lang, StatusCode::TOO_MANY_REQUESTS, next, Some(words))).into_response()
}

/// For a query.
pub(super) fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A path of our own, whatever somebody asked for: never another host.
fn own_path(path: &str) -> String {
    let own = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n', '\t']);
    if own && !path.starts_with("/sign-") { path.to_owned() } else { "/".to_owned() }
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    name: String,
    password: String,
    next: Option<String>,
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(turns): Extension<Arc<Turns>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    lang: Language,
    headers: HeaderMap,
    axum::Form(SignIn { name, password, next }): axum::Form<SignIn>,
) -> Result<Response, Problem> {
    check_origin(&headers)?;
    let name = name.trim().to_owned();
    let attempts = &app.limits.sign_ins;
    if let Some(wait) = attempts.wait(peer.ip(), &name, Instant::now()) {
        refused("sign_in", "attempts_per_address");
        return Ok(too_many(lang, next.as_deref(), wait));
    }
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many people sign in at once: try again");
    let _turn = tokio::time::timeout(PATIENCE, turns.0.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())?;
    let (now, key) = (app.clock.now().timestamp_millis(), app.card_key.hash(&name).0);
    let asked = name.clone();
    let (failures, found) = app
        .store
        .read(move |connection| Ok((accounts::failures(connection, &key)?, accounts::find(connection, &asked)?)))
        .await?;
    if failures.lock(now) {
        metrics::counter!("fenlei_sign_ins_total", "result" => "locked").increment(1);
        refused("sign_in", "attempts_per_account");
        return Ok(too_many(lang, next.as_deref(), Duration::from_millis(LOCKED_MS.unsigned_abs())));
    }
    let (account, stored) = found.unzip();
    let checked = tokio::task::spawn_blocking(move || passwords::verify(stored.as_deref(), &password));
    let right = checked.await.unwrap_or(false);
    let Some(account) = account.filter(|_| right) else {
        attempts.failed(peer.ip(), &name, Instant::now());
        app.store.write(move |session| accounts::failed(session.connection, &key, now)).await?;
        metrics::counter!("fenlei_sign_ins_total", "result" => "refused").increment(1);
        let words = lang.t("用户名或密码不正确。", "The name or the password is wrong.");
        return Ok(page(lang, StatusCode::UNAUTHORIZED, next.as_deref(), Some(words)));
    };
    attempts.succeeded(peer.ip(), &name);
    let begun = app.store.write(move |session| {
        accounts::succeeded(session.connection, &key)?;
        audit::note(session.connection, now, &format!("account:{name}"), "account.sign_in", "")?;
        sessions::begin(session.connection, account, now)
    });
    let session = Session::new(begun.await?);
    metrics::counter!("fenlei_sign_ins_total", "result" => "accepted").increment(1);
    let cookie = [(header::SET_COOKIE, session.held(&headers))];
    Ok((cookie, see_other(&own_path(next.as_deref().unwrap_or("/")))).into_response())
}

/// A form without fields.
#[derive(Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Sent { .. }: Sent<Nothing>,
) -> Result<Response, Problem> {
    if let Some(session) = Session::of(&headers) {
        app.store.write(move |store| sessions::end(store.connection, session.text())).await?;
    }
    Ok(([(header::SET_COOKIE, Session::forgotten(&headers))], see_other("/sign-in")).into_response())
}

#[derive(Deserialize)]
pub(super) struct Back {
    back: Option<String>,
}

pub(super) async fn choose_language(
    Path(lang): Path<Language>,
    Query(query): Query<Back>,
    headers: HeaderMap,
) -> Response {
    let back = query.back.unwrap_or_else(|| "/".to_owned());
    let back = if back.starts_with("/sign-in") { back } else { own_path(&back) };
    ([(header::SET_COOKIE, lang.chosen(&headers))], see_other(&back)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host() {
        assert_eq!(own_path("/communities/a?x=1"), "/communities/a?x=1");
        for path in ["//evil.cn", "https://evil.cn", "/\\evil.cn", "evil", "", "/a\r\nSet-Cookie: x", "/sign-out"] {
            assert_eq!(own_path(path), "/", "{path:?}");
        }
    }
}
