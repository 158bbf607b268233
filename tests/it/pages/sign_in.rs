//! Signing in and out, and what keeps others from doing it for somebody.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::api::{Api, instant};
use crate::support::pages::{Browser, PASSWORD, account, csrf};

#[tokio::test]
async fn who_is_not_signed_in_is_asked_to_and_comes_back() {
    let api = Api::with_registry().await;
    account(&api, "王丽", None, &[Role::Admin]).await;
    let mut browser = Browser::new(&api);
    let sent = browser.get("/?x=1").await;
    assert_eq!((sent.status, sent.location.as_deref()), (StatusCode::SEE_OTHER, Some("/sign-in?next=%2F%3Fx%3D1")));
    let form = browser.see("/sign-in?next=%2F%3Fx%3D1").await;
    assert!(form.contains("<html lang=\"zh-CN\"") && form.contains("value=\"/?x=1\""), "{form}");
    let fields = [("name", "王丽"), ("password", PASSWORD), ("next", "/?x=1")];
    let signed = browser.send("/sign-in", &fields).await;
    assert_eq!((signed.status, signed.location.as_deref()), (StatusCode::SEE_OTHER, Some("/?x=1")));
    let cookie = signed.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    browser.keep(&signed);
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.body.contains("王丽"));
    browser.english();
    assert!(browser.see("/").await.contains("<html lang=\"en\""));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "li", None, &[Role::Admin]).await;
    assert_eq!(browser.send("/sign-out", &[]).await.status, StatusCode::FORBIDDEN, "a form of somebody else's");
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    let out = browser.submit("/", "/sign-out", &[]).await;
    assert_eq!((out.status, out.location.as_deref()), (StatusCode::SEE_OTHER, Some("/sign-in")));
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER, "the same cookie opens nothing");
}

#[tokio::test]
async fn five_failures_lock_a_name_whether_there_is_such_an_account_or_not() {
    let api = Api::with_registry().await;
    account(&api, "li", None, &[Role::Admin]).await;
    let mut browser = Browser::new(&api);
    for name in ["li", "nobody"] {
        for _ in 0..5 {
            let refused = browser.sign_in(name, "wrong horse battery").await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
            assert!(refused.body.contains("用户名或密码不正确") && !refused.headers.contains_key("set-cookie"));
        }
        assert_eq!(browser.sign_in(name, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
    api.clock.set(instant("2026-11-23T12:15:00+08:00"));
    assert_eq!(browser.sign_in("li", PASSWORD).await.status, StatusCode::SEE_OTHER, "a quarter of an hour later");
}

#[tokio::test]
async fn a_session_ends_after_a_week_and_with_its_account() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "li", None, &[Role::Admin]).await;
    api.clock.set(instant("2026-11-30T11:59:00+08:00"));
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    api.clock.set(instant("2026-11-30T12:00:00+08:00"));
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
    let other = Browser::signed_in(&api, "wang", None, &[Role::Admin]).await;
    api.store
        .write(|session| fenlei::store::accounts::set_disabled(session.connection, "wang", Some(1)))
        .await
        .unwrap();
    assert_eq!(other.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_opens_the_api_to_pages_of_ours_and_to_nobody_elses() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "li", Some("north"), &[Role::Organization]).await;
    let page = browser.see("/").await;
    let listed = browser.see("/api/v1/communities").await;
    assert!(listed.contains("garden") && !listed.contains("river"), "its own communities alone: {listed}");
    let visits = "/api/v1/communities/garden/visits";
    let row = json!([{"household": "h1", "date": "2026-11-20", "kind": "visit", "outcome": "absent"}]);
    let request = |token: Option<String>| {
        let request = browser.request(Method::POST, visits).json(&row);
        token.into_iter().fold(request, |request, token| request.header("x-csrf-token", token))
    };
    assert_eq!(request(None).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(request(Some("x".into())).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let foreign = request(Some(csrf(&page))).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let own = request(Some(csrf(&page))).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(own.status(), StatusCode::BAD_REQUEST, "it is read: there is no household h1");
}

#[tokio::test]
async fn what_is_nowhere_is_a_page_to_people_and_a_problem_to_programs() {
    let api = Api::with_registry().await;
    let mut browser = Browser::signed_in(&api, "li", Some("north"), &[Role::Organization]).await;
    let asked = async |browser: &Browser, path: &str| {
        let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
        let answer = browser.request(Method::GET, path).header("accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        (answer.headers()["content-type"].to_str().unwrap().to_owned(), answer.text().await.unwrap())
    };
    let (kind, page) = asked(&browser, "/comunities").await;
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(page.contains("没有这个页面") && page.contains("href=\"/fleet\""), "the way to the others stays: {page}");
    assert!(!page.contains("there is no such"), "it is said once, in one language: {page}");
    let (_, page) = asked(&Browser::new(&api), "/comunities").await;
    assert!(page.contains("没有这个页面") && !page.contains("href=\"/fleet\""), "{page}");
    assert_eq!(asked(&browser, "/api/v1/comunities").await.0, "application/problem+json");
    assert_eq!(browser.get("/comunities").await.headers["content-type"], "application/problem+json");
    // So it is with what others may see.
    browser.english();
    let page = browser.get("/communities/river").await.body;
    assert!(page.contains("There is no such page") && page.contains("href=\"/fleet\""), "{page}");
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_page_of_another_site() {
    let api = Api::with_registry().await;
    account(&api, "li", None, &[Role::Admin]).await;
    let browser = Browser::new(&api);
    let body = format!("name=li&password={}", PASSWORD.replace(' ', "+"));
    let request = browser.request(Method::POST, "/sign-in").header("origin", "https://evil.example");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}
