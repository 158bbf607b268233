//! Whatever is refused is refused as a problem that says what to change.

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::support::api::{Api, send};

#[tokio::test]
async fn what_is_refused_is_a_problem() {
    let api = Api::with_registry().await;
    let put = |body: &'static str| {
        let request = api.request(Method::PUT, "organizations/new").header(header::CONTENT_TYPE, "application/json");
        send(request.body(body))
    };
    let mut seen = Vec::new();
    for answer in [
        put("{").await,
        put("[]").await,
        put(r#"["x","committee"]"#).await,
        put(r#"{"name":"x"}"#).await,
        put(r#"{"name":7,"kind":"committee"}"#).await,
        put(r#"{"name":"x","kind":"secret-value"}"#).await,
        put(r#"{"name":"x","kind":7}"#).await,
        put(r#"{"name":"x","kind":"committee"} trailing"#).await,
        send(api.request(Method::PUT, "organizations/new").body("{}")).await,
        api.get("organizations/none").await,
        api.get("nothing/here").await,
        api.delete("organizations").await,
        api.get("events?limit=many").await,
        api.get("organizations/%ff").await,
        api.put("organizations/new", json!({"name": "x".repeat(2 * 1024 * 1024), "kind": "committee"})).await,
    ] {
        assert_eq!(answer.body["status"], answer.status.as_u16());
        assert!(!answer.detail().contains("secret-value"));
        seen.push(format!("{} {}", answer.status.as_u16(), answer.detail()));
    }
    insta::assert_json_snapshot!(seen, @r#"
    [
      "400 the body is not JSON: look at line 1, column 1",
      "400 the body must be a JSON object",
      "400 the body must be a JSON object",
      "400 `kind` is missing",
      "400 `name` must be a string",
      "400 `kind` must be one of `committee`, `social_organization`, `volunteer_group`, `operator`",
      "400 `kind` has a value that cannot be used",
      "400 the body is not JSON: look at line 1, column 33",
      "415 the `Content-Type` must be application/json",
      "404 there is no such thing, or this token may not see it",
      "404 there is no such path: see /api/v1/openapi.json for those there are",
      "405 this path does not take this method: see the `Allow` header",
      "400 `limit` must be a whole number",
      "404 there is no such thing, or this token may not see it",
      "413 the body is too large: send it in smaller parts"
    ]
    "#);
    insta::assert_json_snapshot!(api.get("organizations/none").await.body, @r#"
    {
      "detail": "there is no such thing, or this token may not see it",
      "status": 404,
      "title": "Not Found",
      "type": "about:blank"
    }
    "#);
}

#[tokio::test]
async fn a_method_that_is_not_taken_names_those_that_are() {
    let api = Api::start().await;
    let response = api.request(Method::PATCH, "organizations/x").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET,HEAD,PUT,DELETE");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}
