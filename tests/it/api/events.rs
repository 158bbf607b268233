//! The ledger in commit order.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, deposit};

async fn busy() -> Api {
    let api = Api::with_registry().await;
    let mut late = deposit(4, "2026-11-20T08:15:00+08:00", "secret-card");
    late["verdict"] = "incorrect".into();
    late["reason"] = "混投".into();
    api.publish("gate/bin/bin-1", json!([deposit(1, "2026-11-23T08:15:30.250+08:00", "secret-card"), late]))
        .await
        .unwrap();
    let fill = json!({"boot": 2, "seq": 1, "time": "2020-01-01T00:00:00Z", "clock": "unsynced", "type": "fill",
                      "stream": "food", "percent": 40.5});
    api.publish("quay/bin/bin-2", fill).await.unwrap();
    let judgement = json!({"boot": 1, "seq": 1, "time": "2026-11-23T08:15:31+08:00", "type": "judgement",
                           "verdict": "correct", "deposit": {"device": "bin-1", "boot": 1, "seq": 1}});
    api.publish("gate/camera/cam-1", judgement).await.unwrap();
    api
}

#[tokio::test]
async fn each_event_with_its_own_fields_and_never_a_card() {
    let api = busy().await;
    let listed = api.get("events").await;
    insta::assert_json_snapshot!(listed.body, @r#"
    {
      "items": [
        {
          "boot": 1,
          "device": "bin-1",
          "grams": 1000,
          "received": "2026-11-23T04:00:00.000Z",
          "seq": 1,
          "site": "gate",
          "stream": "food",
          "time": "2026-11-23T00:15:30.250Z",
          "timing": "in_window",
          "type": "deposit",
          "verdict": "correct"
        },
        {
          "boot": 1,
          "device": "bin-1",
          "grams": 1000,
          "reason": "混投",
          "received": "2026-11-23T04:00:00.000Z",
          "seq": 4,
          "site": "gate",
          "stream": "food",
          "time": "2026-11-20T00:15:00.000Z",
          "timing": "in_window",
          "type": "deposit",
          "verdict": "incorrect"
        },
        {
          "boot": 2,
          "clock": "unsynced",
          "device": "bin-2",
          "percent": 40.5,
          "received": "2026-11-23T04:00:00.000Z",
          "seq": 1,
          "site": "quay",
          "stream": "food",
          "time": "2026-11-23T04:00:00.000Z",
          "type": "fill"
        },
        {
          "boot": 1,
          "deposit": {
            "boot": 1,
            "device": "bin-1",
            "seq": 1
          },
          "device": "cam-1",
          "received": "2026-11-23T04:00:00.000Z",
          "seq": 1,
          "site": "gate",
          "time": "2026-11-23T00:15:31.000Z",
          "type": "judgement",
          "verdict": "correct"
        }
      ],
      "next": null
    }
    "#);
    assert!(!listed.body.to_string().contains("card"));
}

#[tokio::test]
async fn an_unjudged_deposit_says_so() {
    let api = Api::with_registry().await;
    api.publish("gate/bin/bin-1", deposit(1, "2026-11-23T08:15:00+08:00", "c")).await.unwrap();
    assert_eq!(api.get("events").await.each("verdict"), ["unjudged"]);
}

#[tokio::test]
async fn pages_and_filters() {
    let api = busy().await;
    let mut names = Vec::new();
    let mut path = "events?limit=1".to_owned();
    loop {
        let page = api.get(&path).await;
        names.extend(page.each("device").into_iter().zip(page.each("seq")));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("events?limit=1&cursor={next}");
    }
    assert_eq!(
        names,
        [("bin-1", 1), ("bin-1", 4), ("bin-2", 1), ("cam-1", 1)].map(|(id, seq)| (json!(id), json!(seq)))
    );
    let seqs = async |query: &str| api.get(&format!("events?{query}")).await.each("seq");
    assert_eq!(seqs("device=bin-1").await, [1, 4]);
    assert_eq!(seqs("site=quay").await, [1]);
    assert_eq!(seqs("site=quay&device=bin-1").await, [0; 0]);
    assert_eq!(seqs("device=nobody").await, [0; 0]);
    assert_eq!(seqs("type=judgement").await, [1]);
    assert_eq!(seqs("type=deposit&to=2026-11-23T08:15:30.250%2B08:00").await, [4], "`to` is no longer wanted");
    assert_eq!(seqs("type=deposit&from=2026-11-23T08:15:30.250+08:00").await, [1], "an offset that was not escaped");
    for wrong in ["limit=1001", "type=deposits", "from=2026-11-23", "cursor=!", "cursor=YQ"] {
        assert_eq!(api.get(&format!("events?{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn an_organization_reads_the_events_of_its_communities() {
    let api = busy().await;
    let south = api.token(Some("south"), &[Role::Organization]).await;
    let devices = async |query: &str| {
        let events = api.call(&south, Method::GET, &format!("events{query}"), None).await;
        events.each("device")
    };
    assert_eq!(devices("").await, ["bin-2"]);
    assert_eq!(devices("?device=bin-1").await, Vec::<Value>::new());
    assert_eq!(devices("?site=gate").await, Vec::<Value>::new());
}
