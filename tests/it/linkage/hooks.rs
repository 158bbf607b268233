//! Webhooks of the feed: who makes them, how what they are sent is signed, when they are given up, and how they are told
//! again.

use fenlei::clock::{Clock, SystemClock};
use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::week::{hook_until, publish, told_all};
use super::world::{changes, linkage, look, pass};
use crate::alarms::receiver::{BROKEN, OK, Posted, Receiver, Reply};
use crate::projectors::line::Line;
use crate::support::api::Api;

async fn make(api: &Api, body: Value) -> (String, String) {
    let made = api.post("linkage/webhooks", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let text = |field: &str| made.body[field].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

fn verifies(secret: &str, posted: &Posted) -> bool {
    let reference = standardwebhooks::Webhook::new(secret).unwrap();
    reference.verify(posted.body.as_bytes(), &posted.headers).is_ok()
}

fn ids(posted: &[Posted]) -> Vec<String> {
    posted.iter().map(|posted| posted.header("webhook-id").to_owned()).collect()
}

#[tokio::test]
async fn a_receiver_verifies_what_it_is_sent_and_both_secrets_hold_for_a_day() {
    let api = Api::with_registry().await;
    // The public library checks the time too.
    api.clock.set(SystemClock.now());
    look(&api).await;
    let (receiver, line) = (Receiver::start().await, Line::start(&api));
    let (id, first) = make(&api, json!({"url": receiver.url("in?key=k")})).await;
    publish(&api, 1).await;
    let posted = receiver.until(1).await.remove(0);
    assert_eq!((posted.path.as_str(), posted.header("content-type")), ("/in?key=k", "application/json; charset=utf-8"));
    assert!(verifies(&first, &posted));
    let revision = changes(&api, &api.admin, None).await.pop().unwrap();
    assert_eq!(posted.json(), json!({"type": "linkage.revision", "timestamp": revision["time"], "data": revision}));
    assert_eq!(posted.header("webhook-id"), revision["id"]);
    let rotated = api.post(&format!("linkage/webhooks/{id}/secret"), json!({})).await;
    let second = rotated.body["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert!(rotated.body["former_secret_until"].is_string());
    publish(&api, 2).await;
    let posted = receiver.until(2).await.remove(1);
    assert!(verifies(&first, &posted) && verifies(&second, &posted));
    assert!(!verifies("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &posted));
    pass(&api, 24);
    publish(&api, 3).await;
    let posted = receiver.until(3).await.remove(2);
    assert!(!posted.header("webhook-signature").contains(' '), "one signature, by the new secret");
    told_all(&api, &id).await;
    let shown = api.get(&format!("linkage/webhooks/{id}")).await.body;
    assert_eq!((&shown["former_secret_until"], &shown["last_status"]), (&Value::Null, &json!("ok")));
    let listed = api.get("linkage/webhooks").await.body.to_string() + &shown.to_string();
    assert!(!listed.contains("whsec_") && !listed.contains("key=k"), "{listed}");
    line.stop().await;
}

#[tokio::test]
async fn one_that_is_gone_or_fails_for_days_is_told_nothing_until_it_asks() {
    let api = Api::with_registry().await;
    look(&api).await;
    let (receiver, line) = (Receiver::start().await, Line::start(&api));
    receiver.reply(Reply { status: 410, ..BROKEN });
    let (id, _) = make(&api, json!({"url": receiver.url("")})).await;
    let from = api.get(&format!("linkage/webhooks/{id}")).await.body["cursor"].as_str().unwrap().to_owned();
    publish(&api, 1).await;
    let gone = hook_until(&api, &id, |hook| hook["disabled"] == "gone").await;
    assert_eq!((&gone["failures"], &gone["last_status"]), (&json!(1), &json!("HTTP 410")));
    receiver.reply(OK);
    pass(&api, 48);
    publish(&api, 2).await;
    assert_eq!(receiver.posted().len(), 1, "nothing more is sent");
    let replay = format!("linkage/webhooks/{id}/replay");
    let asked = api.post(&replay, json!({})).await;
    assert_eq!((asked.status, &asked.body["disabled"]), (StatusCode::OK, &Value::Null));
    told_all(&api, &id).await;
    let taken = ids(&receiver.posted())[1..].to_vec();
    let all: Vec<_> = changes(&api, &api.admin, Some(&from)).await.iter().map(|one| one["id"].clone()).collect();
    assert_eq!(json!(taken), json!(all), "each, in order");

    receiver.reply(Reply { retry_after: Some("3600"), ..BROKEN });
    publish(&api, 3).await;
    hook_until(&api, &id, |hook| hook["failures"] == 1).await;
    pass(&api, 5 * 24 - 1);
    let failing = hook_until(&api, &id, |hook| hook["failures"] == 2).await;
    assert_eq!(failing["disabled"], Value::Null);
    pass(&api, 1);
    let failing = hook_until(&api, &id, |hook| hook["failures"] == 3).await;
    assert_eq!((&failing["disabled"], &failing["last_status"]), (&json!("failing"), &json!("HTTP 503")));
    // From a place of its own choice it is told everything again, under the same ids.
    receiver.reply(OK);
    let told = receiver.posted().len();
    let answer = api.post(&replay, json!({"cursor": from})).await;
    assert_eq!(answer.body["cursor"], from.as_str());
    told_all(&api, &id).await;
    let again = ids(&receiver.posted())[told..].to_vec();
    assert_eq!(again[..taken.len()], taken[..]);
    assert!(again.len() > taken.len());
    let log = api.get(&format!("linkage/webhooks/{id}/deliveries?limit=2")).await;
    assert_eq!(log.each("taken"), [json!(true), json!(true)]);
    let older = log.body["next"].as_str().unwrap();
    let rest = api.get(&format!("linkage/webhooks/{id}/deliveries?cursor={older}")).await;
    assert_eq!(rest.each("status").iter().filter(|status| *status == "HTTP 503").count(), 3);
    assert_eq!(rest.each("status").last(), Some(&json!("HTTP 410")));
    assert_eq!(rest.body["items"].as_array().unwrap().len() + 2, receiver.posted().len(), "every attempt is there");
    line.stop().await;
}

#[tokio::test]
async fn each_organization_manages_its_own_and_is_told_of_its_own() {
    let api = Api::with_registry().await;
    look(&api).await;
    let (receiver, line) = (Receiver::start().await, Line::start(&api));
    let [north, south] = [linkage(&api, Some("north")).await, linkage(&api, Some("south")).await];
    let reader = api.token(Some("north"), &[Role::Organization, Role::Operator]).await;
    let body = json!({"url": receiver.url("north")});
    let made = api.call(&north, Method::POST, "linkage/webhooks", Some(body.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let path = format!("linkage/webhooks/{id}");
    for token in [&south, &reader] {
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::POST, format!("{path}/secret")),
            (Method::POST, format!("{path}/replay")),
            (Method::GET, format!("{path}/deliveries")),
        ] {
            let body = (method == Method::POST).then(|| json!({}));
            assert_eq!(api.call(token, method, &path, body).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    assert_eq!(api.call(&south, Method::GET, "linkage/webhooks", None).await.each("id"), [""; 0]);
    assert_eq!(api.get("linkage/webhooks").await.each("id"), [id.as_str()]);
    for name in 0..3 {
        publish(&api, name).await;
        api.put("communities/river", json!({"name": format!("河 {name}"), "committee": "south"})).await;
        look(&api).await;
    }
    told_all(&api, &id).await;
    let told: Vec<_> = receiver.posted().iter().map(|posted| posted.json()["data"]["community"].clone()).collect();
    assert_eq!(told, ["garden", "garden", "garden"]);
    for (body, says) in [
        (json!({"url": "ftp://example/x"}), "`url` must be an http or https URL"),
        (json!({"url": "https://u:p@example/x"}), "without user and password"),
        (json!({}), "url"),
        (json!({"url": "https://example/", "cursor": "17"}), "`cursor` must be"),
        (json!({"url": "https://example/", "cursor": "rev-999999"}), "the last revision that there is"),
        (json!({"url": "https://example/", "secret": "x"}), "an unknown name"),
    ] {
        let answer = api.call(&north, Method::POST, "linkage/webhooks", Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.detail().contains(says), "{body}: {}", answer.detail());
    }
    assert_eq!(api.call(&north, Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.call(&north, Method::GET, &path, None).await.status, StatusCode::NOT_FOUND);
    line.stop().await;
}
