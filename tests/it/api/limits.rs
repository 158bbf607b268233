//! Too much is answered by 429, and every answer says what is left.

use fenlei::web::Quotas;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::support::api::{Api, send};

fn asking(per_second: u32) -> Quotas {
    Quotas { requests_per_second: per_second.try_into().unwrap(), ..Quotas::UNLIMITED }
}

/// What is left by the `RateLimit` of an answer.
fn left(headers: &HeaderMap) -> u32 {
    let field = headers["ratelimit"].to_str().unwrap();
    let left = field.split(';').find_map(|part| part.strip_prefix("r=")).unwrap();
    left.parse().unwrap()
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_back() {
    let api = Api::limited(asking(1)).await;
    let refused = loop {
        let answer = api.request(Method::GET, "organizations").send().await.unwrap();
        assert_eq!(answer.headers()["ratelimit-policy"], "\"default\";q=2;w=2");
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert_eq!(answer.status(), StatusCode::OK);
    };
    assert_eq!(left(refused.headers()), 0);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    // What counts in the store has the limit too; whether it lives has none.
    let counted = api.client.get(format!("{}/metrics", api.base)).send().await.unwrap();
    assert_eq!((counted.status(), left(counted.headers())), (StatusCode::OK, 1), "and one of its own");
    for _ in 0..5 {
        let healthy = api.client.get(format!("{}/healthz", api.base)).send().await.unwrap();
        assert_eq!((healthy.status(), healthy.headers().get("ratelimit")), (StatusCode::OK, None));
    }
}

#[tokio::test]
async fn every_token_has_its_own_and_whoever_has_none_shares() {
    let api = Api::limited(asking(1000)).await;
    let other = api.token(None, &[fenlei::domain::registry::Role::Admin]).await;
    let ask = async |token: &str| {
        let request = api.client.get(format!("{}/api/v1/organizations", api.base)).bearer_auth(token);
        let answer = request.send().await.unwrap();
        (answer.status(), left(answer.headers()))
    };
    // Not accepted yet, they count for the address.
    assert_eq!(ask(&api.admin).await.0, StatusCode::OK);
    assert_eq!(ask(&other).await.0, StatusCode::OK);
    assert_eq!(ask(&api.admin).await, (StatusCode::OK, 1999));
    assert_eq!(ask(&other).await, (StatusCode::OK, 1999));
    assert_eq!(ask("made-up").await.0, StatusCode::UNAUTHORIZED);
    // Refusals, unknown paths and 304 say it too.
    for path in ["organizations/none", "nothing/here", "openapi.json"] {
        let answer = api.request(Method::GET, path).send().await.unwrap();
        assert!(left(answer.headers()) > 0, "{path}");
    }
    let etag = send(api.request(Method::GET, "organizations")).await.etag.unwrap();
    let same = api.request(Method::GET, "organizations").header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert!(left(same.headers()) > 0);
}
