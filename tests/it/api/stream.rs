//! Server-sent events of what was just committed.

use std::time::Duration;

use fenlei::domain::registry::Role;
use fenlei::store::{StoreError, tokens};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::api::{Api, deposit};

/// Follows a stream, one event at a time.
struct Follower {
    response: Response,
    pending: String,
}

#[derive(Debug, PartialEq)]
struct Told {
    id: i64,
    event: String,
    data: Value,
}

impl Follower {
    async fn start(api: &Api, token: &str, last: Option<i64>) -> Self {
        let request = api.client.get(format!("{}/api/v1/stream", api.base)).bearer_auth(token);
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut follower = Self { response, pending: String::new() };
        // The first block is a comment: from here on nothing is missed.
        assert!(follower.block().await.unwrap().starts_with(": following"));
        follower
    }

    /// The next block of lines; `None`: the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.pending.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.pending = rest;
                return Some(block);
            }
            let chunk = timeout(Duration::from_secs(10), self.response.chunk()).await.expect("the stream is silent");
            self.pending.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    async fn next(&mut self) -> Option<Told> {
        let block = self.block().await?;
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let data = serde_json::from_str(&field("data: ")).unwrap();
        Some(Told { id: field("id: ").parse().unwrap(), event: field("event: "), data })
    }
}

fn heartbeat(seq: u64) -> Value {
    json!({"boot": 1, "seq": seq, "time": "2026-11-23T11:00:00+08:00", "type": "heartbeat"})
}

#[tokio::test]
async fn tells_what_is_committed_from_now_on_as_events_lists_it() {
    let api = Api::with_registry().await;
    api.publish("gate/bin/bin-1", heartbeat(1)).await.unwrap();
    let mut follower = Follower::start(&api, &api.admin, None).await;
    api.publish("gate/bin/bin-1", deposit(2, "2026-11-23T08:15:00+08:00", "secret-card")).await.unwrap();
    let told = follower.next().await.unwrap();
    assert_eq!((told.id, told.event.as_str()), (2, "deposit"));
    assert_eq!(told.data, api.get("events").await.body["items"][1]);
}

#[tokio::test]
async fn resumes_after_the_last_event_and_loses_none_however_many() {
    let api = Api::with_registry().await;
    for batch in 0..3u64 {
        let events: Vec<_> = (1..=300).map(|seq| heartbeat(batch * 300 + seq)).collect();
        api.publish("gate/bin/bin-1", events.into()).await.unwrap();
    }
    let mut follower = Follower::start(&api, &api.admin, Some(100)).await;
    for expected in 101..=900 {
        assert_eq!(follower.next().await.unwrap().data["seq"], expected);
    }
    let wrong = api.client.get(format!("{}/api/v1/stream", api.base)).bearer_auth(&api.admin);
    assert_eq!(wrong.header("Last-Event-ID", "x").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tells_each_organization_its_own() {
    let api = Api::with_registry().await;
    let south = api.token(Some("south"), &[Role::Organization]).await;
    let mut follower = Follower::start(&api, &south, None).await;
    api.publish("gate/bin/bin-1", heartbeat(1)).await.unwrap();
    api.publish("quay/bin/bin-2", heartbeat(7)).await.unwrap();
    let told = follower.next().await.unwrap();
    assert_eq!((&told.data["device"], told.id), (&json!("bin-2"), 2));
}

#[tokio::test]
async fn ends_when_its_token_is_revoked() {
    let api = Api::with_registry().await;
    let token = api.token(None, &[Role::Operator]).await;
    let mut follower = Follower::start(&api, &token, None).await;
    let revoke = api.store.write(|session| {
        for listed in tokens::list(session.connection)? {
            tokens::revoke(session.connection, &listed.id, 1)?;
        }
        Ok::<_, StoreError>(())
    });
    revoke.await.unwrap();
    api.publish("gate/bin/bin-1", heartbeat(1)).await.unwrap();
    assert_eq!(follower.next().await, None);
}

#[tokio::test]
async fn ends_when_the_server_stops_and_does_not_hold_it_up() {
    let api = Api::with_registry().await;
    let mut follower = Follower::start(&api, &api.admin, None).await;
    timeout(Duration::from_secs(5), api.stop()).await.expect("the stream holds the server up");
    assert_eq!(follower.next().await, None);
}
