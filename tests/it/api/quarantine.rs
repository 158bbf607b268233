//! Refused input: listed without cards, tried again after a mend, deleted.

use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, deposit, instant};

#[tokio::test]
async fn an_event_of_a_device_that_was_unknown_counts_once_it_is_registered() {
    let api = Api::with_registry().await;
    let rows = json!([{"household": "h1", "enrolled_from": "2026-01-01", "cards": ["secret-card"]}]);
    api.post("communities/garden/households", rows).await;
    for _ in 0..2 {
        let event = deposit(1, "2026-11-23T08:15:00+08:00", "secret-card");
        api.publish("gate/bin/bin-9", event).await.unwrap();
    }
    let listed = api.get("quarantine").await;
    assert!(!listed.body.to_string().contains("card"), "{listed:?}");
    insta::assert_json_snapshot!(listed.body, @r#"
    {
      "items": [
        {
          "boot": 1,
          "content": {
            "boot": 1,
            "grams": 1000,
            "seq": 1,
            "stream": "food",
            "time": "2026-11-23T00:15:00.000Z",
            "type": "deposit"
          },
          "count": 2,
          "detail": "no device of this id is registered",
          "device": "bin-9",
          "first": "2026-11-23T04:00:00.000Z",
          "id": 1,
          "last": "2026-11-23T04:00:00.000Z",
          "reason": "unknown_device",
          "seq": 1,
          "topic": "fenlei/v1/gate/bin/bin-9/event"
        }
      ],
      "next": null,
      "totals": {
        "items": 1,
        "overflow": 0,
        "refusals": 2
      }
    }
    "#);
    let retry = || api.post("quarantine/1/retry", json!({}));
    let refused = retry().await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.detail(), "it is still refused: no device of this id is registered");

    api.put("devices/bin-9", json!({"site": "gate", "kind": "bin"})).await;
    // By now it is long ago, but it was not when it came.
    api.clock.set(instant("2027-06-01T12:00:00+08:00"));
    assert_eq!(retry().await.status, StatusCode::NO_CONTENT);
    assert_eq!(retry().await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.get("quarantine").await.body["totals"], json!({"items": 0, "refusals": 0, "overflow": 0}));
    let events = api.get("events").await;
    assert_eq!(events.each("received"), ["2026-11-23T04:00:00.000Z"]);
    let day = api.get("communities/garden/participation?from=2026-11-23&to=2026-11-23").await;
    assert_eq!(day.body["periods"][0]["participating"], 1, "its card is known still");
    api.clock.set(instant("2026-11-23T12:00:00+08:00"));
    let next = api.publish("gate/bin/bin-9", deposit(2, "2026-11-23T08:16:00+08:00", "c")).await.unwrap();
    assert_eq!(next.receipts[0].through, 2);
}

#[tokio::test]
async fn a_lost_that_is_tried_again_closes_its_gap() {
    let api = Api::with_registry().await;
    let heartbeat = json!({"boot": 1, "seq": 5, "time": "2026-11-23T11:00:00+08:00", "type": "heartbeat"});
    let lost = json!({"boot": 1, "seq": 6, "time": "2026-11-23T11:00:00+08:00", "type": "lost", "of_boot": 1, "from": 1, "to": 4});
    for event in [heartbeat, lost] {
        api.publish("gate/bin/bin-9", event).await.unwrap();
    }
    api.put("devices/bin-9", json!({"site": "gate", "kind": "bin"})).await;
    for id in [1, 2] {
        let retried = api.post(&format!("quarantine/{id}/retry"), json!({})).await;
        assert_eq!(retried.status, StatusCode::NO_CONTENT, "{retried:?}");
    }
    let device = api.get("devices/bin-9").await.body;
    assert_eq!((&device["missing"], &device["lost"]), (&json!(0), &json!([{"boot": 1, "from": 1, "to": 4}])));
}

#[tokio::test]
async fn what_is_no_event_can_only_be_deleted() {
    let api = Api::with_registry().await;
    let inbound = Inbound::read("fenlei/v1/gate/bin/bin-1/event", b"\xff\xfe", 0, &CardKey::new([7; 32]));
    api.store.commit(inbound).await.unwrap();
    let listed = api.get("quarantine?reason=not_json").await;
    assert_eq!(listed.each("content"), ["//4="]);
    assert_eq!(api.post("quarantine/1/retry", json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(api.delete("quarantine/1").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.delete("quarantine/1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.get("quarantine?reason=because").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_filters_and_scopes() {
    let api = Api::with_registry().await;
    for (device, seq) in [("gate/bin/bin-1", 1), ("quay/bin/bin-2", 1), ("gate/bin/bin-1", 2), ("quay/bin/unknown", 1)]
    {
        let event = json!({"boot": 1, "seq": seq, "time": "2026-11-23T11:00:00+08:00", "type": "sighting"});
        api.publish(device, event).await.unwrap();
    }
    let first = api.get("quarantine?limit=3").await;
    assert_eq!(first.each("id"), [1, 2, 3]);
    let rest = api.get(&format!("quarantine?limit=3&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!((rest.each("id"), &rest.body["next"]), (vec![json!(4)], &Value::Null));
    assert_eq!(api.get("quarantine?device=bin-1").await.each("id"), [1, 3]);

    let south = api.token(Some("south"), &[Role::Operator]).await;
    let own = api.call(&south, Method::GET, "quarantine?limit=1", None).await;
    assert_eq!((own.each("device"), &own.body["totals"]["items"]), (vec![json!("bin-2")], &json!(2)));
    let next = format!("quarantine?limit=1&cursor={}", own.body["next"].as_str().unwrap());
    assert_eq!(api.call(&south, Method::GET, &next, None).await.each("device"), ["unknown"]);
    for method in [(Method::DELETE, "quarantine/1"), (Method::POST, "quarantine/1/retry")] {
        assert_eq!(api.call(&south, method.0, method.1, None).await.status, StatusCode::NOT_FOUND);
    }
}
