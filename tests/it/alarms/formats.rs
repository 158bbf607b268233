//! What is posted, to the byte.

use serde_json::json;

use super::receiver::{OK, Receiver, Reply};
use super::world::{World, alarm};

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DINGTALK_SECRET: &str = "SEC0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Posts one alarm that is raised and one that is over to a webhook, and gives what came.
async fn told(format: &str, secret: Option<&str>) -> Vec<super::receiver::Posted> {
    let mut world = World::start().await;
    world.api.put("devices/bin-1", json!({"site": "gate", "kind": "bin", "name": "厨余桶"})).await;
    let receiver = Receiver::start().await;
    let hook = world
        .hook(json!({"url": receiver.url("send?key=k"), "format": format, "severity": "info", "secret": secret}))
        .await;
    world.says("bin/bin-1", alarm("jam", true)).await;
    receiver.until(1).await;
    world.told(&hook).await;
    world.says("bin/bin-1", alarm("jam", false)).await;
    world.heard().await;
    world.wait(10);
    world.look().await;
    world.wait(60);
    world.look().await;
    let posted = receiver.until(2).await;
    world.told(&hook).await;
    posted
}

#[tokio::test]
async fn a_generic_webhook_is_posted_signed_json() {
    let posted = told("generic", Some(STANDARD_SECRET)).await;
    let reference = standardwebhooks::Webhook::new(STANDARD_SECRET).unwrap();
    for posted in &posted {
        assert_eq!(posted.path, "/send?key=k");
        assert_eq!(posted.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(posted.json()["id"], posted.header("webhook-id"));
        let (id, timestamp) = (posted.header("webhook-id"), posted.header("webhook-timestamp").parse().unwrap());
        let expected = reference.sign(id, timestamp, posted.body.as_bytes()).unwrap();
        assert_eq!(posted.header("webhook-signature"), expected);
    }
    assert_eq!(posted[0].header("webhook-timestamp"), "1795406400", "noon in Shanghai");
    let bytes: Vec<_> = posted.iter().map(|posted| posted.body.replace(posted.header("webhook-id"), "[id]")).collect();
    insta::assert_snapshot!(bytes.join("\n"), @r#"
    {"id":"[id]","event":"raised","alarm":{"id":"1","kind":"jam","severity":"warning","site":"gate","device":"bin-1","state":"open","raised":"2026-11-23T04:00:00.000Z","last":"2026-11-23T04:00:00.000Z","count":1,"cleared":null,"acknowledged":null,"note":null}}
    {"id":"[id]","event":"cleared","alarm":{"id":"1","kind":"jam","severity":"warning","site":"gate","device":"bin-1","state":"cleared","raised":"2026-11-23T04:00:00.000Z","last":"2026-11-23T04:00:00.000Z","count":1,"cleared":"2026-11-23T04:10:00.000Z","acknowledged":null,"note":null}}
    "#);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let posted = told("generic", None).await;
    assert!(posted.iter().all(|posted| !posted.headers.contains_key("webhook-signature")));
    assert_ne!(posted[0].header("webhook-id"), posted[1].header("webhook-id"));
}

#[tokio::test]
async fn a_wecom_robot_is_posted_markdown() {
    let posted = told("wecom", None).await;
    assert_eq!(posted[0].path, "/send?key=k");
    let bytes: Vec<_> = posted.iter().map(|posted| posted.body.as_str()).collect();
    insta::assert_snapshot!(bytes.join("\n"), @r#"
    {"markdown":{"content":"**垃圾分类告警**\n> 【警告】东门 厨余桶：卡住，2026年11月23日 12:00 起"},"msgtype":"markdown"}
    {"markdown":{"content":"**垃圾分类告警**\n> 【已解除】东门 厨余桶：卡住，2026年11月23日 12:00 至 2026年11月23日 12:10"},"msgtype":"markdown"}
    "#);
}

#[tokio::test]
async fn a_dingtalk_robot_is_posted_markdown_to_a_signed_url() {
    let posted = told("dingtalk", Some(DINGTALK_SECRET)).await;
    // Computed by Python's hmac: base64 of SHA-256 over time, line break and secret.
    let signed = "timestamp=1795406400000&sign=AN1XNoi%2FtY8QCAuaBNy2C0aosz6qjsDJvFKpDbe8TD0%3D";
    assert_eq!(posted[0].path, format!("/send?key=k&{signed}"));
    let bytes: Vec<_> = posted.iter().map(|posted| posted.body.as_str()).collect();
    insta::assert_snapshot!(bytes.join("\n"), @r#"
    {"markdown":{"text":"**垃圾分类告警**\n\n> 【警告】东门 厨余桶：卡住，2026年11月23日 12:00 起","title":"告警：东门 卡住"},"msgtype":"markdown"}
    {"markdown":{"text":"**垃圾分类告警**\n\n> 【已解除】东门 厨余桶：卡住，2026年11月23日 12:00 至 2026年11月23日 12:10","title":"告警：东门 卡住"},"msgtype":"markdown"}
    "#);
}

#[tokio::test]
async fn a_robot_that_says_no_with_status_200_is_told_again() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.reply(Reply { body: r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, ..OK });
    let hook = world.hook(json!({"url": receiver.url("send"), "format": "wecom"})).await;
    world.says("bin/bin-1", alarm("jam", true)).await;
    let failing = world.delivery(&hook, |delivery| delivery["failures"] == 1).await;
    assert_eq!((&failing["last_status"], &failing["waiting"]), (&json!("errcode 45009"), &json!(1)));
    assert_eq!(failing["last_success"], json!(null));
    receiver.reply(OK);
    world.wait(1);
    let told = world.told(&hook).await;
    assert_eq!((&told["failures"], &told["last_success"]), (&json!(0), &json!("2026-11-23T04:01:00.000Z")));
    let posted = receiver.posted();
    assert_eq!(posted.len(), 2);
    assert_eq!(posted[0].body, posted[1].body);
}
