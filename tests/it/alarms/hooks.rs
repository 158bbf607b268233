//! Who has webhooks told of alarms, of which, and what is said of them.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::world::{World, alarm};
use crate::support::api::Api;

const URL: &str = "https://qyapi.example/cgi-bin/webhook/send?key=693a91f6-secret";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn operators_manage_those_of_their_organization() {
    let api = Api::with_registry().await;
    let [north, south] =
        [api.token(Some("north"), &[Role::Operator]).await, api.token(Some("south"), &[Role::Operator]).await];
    let reader = api.token(Some("north"), &[Role::Organization]).await;
    let scheduler = api.token(None, &[Role::Scheduler]).await;
    let body = json!({"url": URL, "format": "wecom", "site": "gate", "quiet": {"from": "22:00", "until": "07:00"}});
    let made = api.call(&north, Method::POST, "alarms/webhooks", Some(body.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let path = format!("alarms/webhooks/{}", made.body["id"].as_str().unwrap());
    let read = api.call(&north, Method::GET, &path, None).await;
    assert_eq!(read.body, made.body);
    assert_eq!((&read.body["severity"], &read.body["quiet"]["from"]), (&json!("warning"), &json!("22:00")));
    assert_eq!((&read.body["url"], &read.body["signed"]), (&json!("https://qyapi.example/…"), &json!(false)));
    for token in [&south, &reader, &scheduler] {
        for (method, path) in [(Method::GET, path.as_str()), (Method::DELETE, path.as_str())] {
            assert_eq!(api.call(token, method, path, None).await.status, StatusCode::NOT_FOUND);
        }
    }
    assert_eq!(api.call(&reader, Method::GET, "alarms/webhooks", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        api.call(&reader, Method::POST, "alarms/webhooks", Some(body.clone())).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(api.call(&south, Method::GET, "alarms/webhooks", None).await.each("id").len(), 0);
    let foreign = api.call(&south, Method::POST, "alarms/webhooks", Some(body)).await;
    assert_eq!(
        (foreign.status, foreign.detail()),
        (StatusCode::BAD_REQUEST, "`site` must name a site that this token sees")
    );
    assert_eq!(api.get("alarms/webhooks").await.each("id").len(), 1, "who is bound to no organization sees all");
    assert_eq!(api.call(&north, Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.call(&north, Method::GET, &path, None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn mistakes_are_named_and_secrets_are_not() {
    let api = Api::with_registry().await;
    let generic = |extra: Value| {
        let mut body = json!({"url": URL, "format": "generic"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (body, says) in [
        (json!({"url": "ftp://example/x", "format": "generic"}), "`url` must be an http or https URL"),
        (json!({"url": "https://u:p@example/x", "format": "generic"}), "without user and password"),
        (json!({"url": URL}), "format"),
        (json!({"url": URL, "format": "feishu"}), "`format`"),
        (generic(json!({"severity": "grave"})), "severity"),
        (generic(json!({"quiet": {"from": "22:00"}})), "until"),
        (generic(json!({"quiet": {"from": "22:00", "until": "22:00"}})), "must differ"),
        (generic(json!({"quiet": {"from": "25:00", "until": "07:00"}})), "quiet.from"),
        (generic(json!({"secret": "short"})), "base64 of 24 to 64 bytes"),
        (json!({"url": URL, "format": "wecom", "secret": "x"}), "its key is in the URL"),
        (json!({"url": URL, "format": "dingtalk", "secret": ""}), "the robot's own"),
        (generic(json!({"site": "nowhere"})), "`site` must name"),
        (generic(json!({"community": "nowhere"})), "`community` must name"),
        (generic(json!({"community": "garden", "site": "gate"})), "not both"),
        (generic(json!({"level": "info"})), "an unknown name"),
    ] {
        let answer = api.post("alarms/webhooks", body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.detail().contains(says), "{body}: {}", answer.detail());
        assert!(!answer.detail().contains("693a91f6"));
    }
    let made = api.post("alarms/webhooks", generic(json!({"secret": SECRET}))).await;
    let listed = api.get("alarms/webhooks").await;
    for shown in [made.body.to_string(), listed.body.to_string()] {
        assert!(shown.contains("\"signed\":true"));
        assert!(!shown.contains("693a91f6") && !shown.contains("MfKQ9r8G"), "{shown}");
    }
}

#[tokio::test]
async fn each_is_told_of_its_own_communities_from_its_severity_on() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let south = world.api.token(Some("south"), &[Role::Operator]).await;
    let mut hooks = Vec::new();
    for (path, extra) in [
        ("all", json!({"severity": "info"})),
        ("warning", json!({})),
        ("critical", json!({"severity": "critical"})),
        ("garden", json!({"community": "garden"})),
        ("quay", json!({"site": "quay"})),
    ] {
        let mut body = json!({"url": receiver.url(path), "format": "generic"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        hooks.push(world.hook(body).await);
    }
    let body = json!({"url": receiver.url("south"), "format": "generic", "severity": "info"});
    let made = world.api.call(&south, Method::POST, "alarms/webhooks", Some(body)).await;
    hooks.push(made.body["id"].as_str().unwrap().to_owned());
    world.says("bin/bin-1", alarm("low_battery", true)).await;
    world.says("bin/bin-1", alarm("jam", true)).await;
    world.says("quay/bin/bin-2", alarm("fire", true)).await;
    receiver.until(9).await;
    for hook in &hooks {
        world.told(hook).await;
    }
    let mut told: Vec<_> = receiver
        .posted()
        .iter()
        .map(|posted| {
            let json = posted.json();
            format!("{} {}", posted.path, json["alarm"]["kind"].as_str().unwrap())
        })
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "/all fire",
            "/all jam",
            "/all low_battery",
            "/critical fire",
            "/garden jam",
            "/quay fire",
            "/south fire",
            "/warning fire",
            "/warning jam",
        ]
    );
}
