//! A receiver that fails at random for a week misses nothing, and knows what it was sent twice.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use fenlei::clock::Clock;
use serde_json::{Value, json};

use super::world::{Consumer, changes, look, pass};
use crate::alarms::receiver::{BROKEN, OK, Receiver, Reply};
use crate::projectors::line::Line;
use crate::support::api::Api;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Hours in a step of the week.
const STEP: i64 = 4;

/// Has a revision of the garden published: it is called otherwise.
pub async fn publish(api: &Api, name: i64) {
    api.put("communities/garden", json!({"name": format!("花园 {name}"), "committee": "north"})).await;
    // The job may have been faster.
    look(api).await;
}

/// Comes back with a webhook once it is as wanted.
pub async fn hook_until(api: &Api, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut seen = Value::Null;
    let looking = async {
        loop {
            seen = api.get(&format!("linkage/webhooks/{id}")).await.body;
            if wanted(&seen) {
                return seen.clone();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, looking).await;
    waited.unwrap_or_else(|_| panic!("never so: {}", api.base))
}

/// Comes back once a webhook was told all that there is to be told.
pub async fn told_all(api: &Api, id: &str) {
    let end = api.get("linkage/changes?limit=1000").await.body["cursor"].clone();
    hook_until(api, id, |hook| hook["cursor"] == end).await;
}

#[tokio::test]
async fn nothing_is_missed_and_what_comes_twice_has_the_same_id() {
    let mut api = Api::with_registry().await;
    look(&api).await;
    let receiver = Receiver::start().await;
    let mut chance = Rng::with_seed(20);
    receiver.replies(move || match chance.usize(0..10) {
        0..=4 => OK,
        5 => Reply { status: 429, retry_after: Some("900"), ..BROKEN },
        6 => Reply { status: 302, ..BROKEN },
        _ => BROKEN,
    });
    let snapshot = api.get("linkage/communities").await.body;
    let mut consumer = Consumer::default();
    consumer.begin(&api, &api.admin).await;
    let made = api.post("linkage/webhooks", json!({"url": receiver.url(""), "cursor": snapshot["cursor"]})).await;
    let (id, secret) = (made.body["id"].as_str().unwrap().to_owned(), made.body["secret"].as_str().unwrap().to_owned());
    let mut chance = Rng::with_seed(21);
    let mut line = Line::start(&api);
    for step in 0..7 * 24 / STEP {
        for name in 0..chance.i64(0..3) {
            publish(&api, 10 * step + name).await;
        }
        pass(&api, STEP);
        // It took all, or failed at this hour: with back-off nothing more comes of this hour.
        let (end, now) = (
            api.get("linkage/changes?limit=1000").await.body["cursor"].clone(),
            fenlei::domain::zone::rfc3339(api.clock.now().timestamp_millis()),
        );
        hook_until(&api, &id, |hook| {
            hook["cursor"] == end || (hook["failures"] != 0 && hook["last_attempt"] == now.as_str())
        })
        .await;
        if chance.usize(0..6) == 0 {
            line.stop().await;
            api = api.restart().await;
            line = Line::start(&api);
        }
    }
    receiver.reply(OK);
    pass(&api, STEP);
    told_all(&api, &id).await;
    line.stop().await;
    let posted = receiver.posted();
    let failed = posted.iter().filter(|posted| posted.status != 200).count();
    assert!(failed > 10, "it failed {failed} times");
    let reference = standardwebhooks::Webhook::new(&secret).unwrap();
    let mut bodies = BTreeMap::new();
    let mut taken: Vec<&str> = Vec::new();
    for posted in &posted {
        let id = posted.header("webhook-id");
        let known = bodies.entry(id.to_owned()).or_insert_with(|| posted.body.clone());
        assert_eq!(known, &posted.body, "what is sent again is the same");
        let timestamp = posted.header("webhook-timestamp").parse().unwrap();
        assert_eq!(posted.header("webhook-signature"), reference.sign(id, timestamp, posted.body.as_bytes()).unwrap());
        if posted.status == 200 && !taken.contains(&id) {
            taken.push(id);
            consumer.apply(&posted.json()["data"]);
        }
    }
    let from = snapshot["cursor"].as_str().unwrap();
    let published: Vec<_> = changes(&api, &api.admin, Some(from)).await.iter().map(|one| one["id"].clone()).collect();
    assert_eq!(json!(taken), json!(published), "each once, in order");
    consumer.assert_right(&api, &api.admin).await;
}
