//! What volunteers note on the spot: it counts like what a bin sends, and a verdict of theirs stands before the others.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, deposit, send};

async fn lived_in() -> Api {
    let api = Api::with_registry().await;
    let rows = json!([{"household": "h1", "enrolled_from": "2026-01-01", "cards": ["c1"]},
                      {"household": "h2", "enrolled_from": "2026-01-01", "cards": []}]);
    api.post("communities/garden/households", rows).await;
    api
}

async fn note(api: &Api, key: &str, body: Value) -> Answer {
    send(api.request(Method::POST, "sites/gate/deposits").header("Idempotency-Key", key).json(&body)).await
}

async fn figures(api: &Api) -> Value {
    api.get("communities/garden/participation?from=2026-11-23&to=2026-11-23").await.body["periods"][0].clone()
}

#[tokio::test]
async fn a_noted_deposit_counts_by_card_or_by_household_and_shows_neither() {
    let api = lived_in().await;
    let by_card = json!({"stream": "food", "grams": 800, "card": "c1", "time": "2026-11-23T08:15:00+08:00"});
    let mut stored = note(&api, "a", by_card).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{stored:?}");
    // The number of the site.
    assert!(stored.body.as_object_mut().unwrap().remove("boot").is_some());
    insta::assert_json_snapshot!(stored.body, @r#"
    {
      "device": "volunteers",
      "grams": 800,
      "received": "2026-11-23T04:00:00.000Z",
      "seq": 1,
      "site": "gate",
      "stream": "food",
      "time": "2026-11-23T00:15:00.000Z",
      "timing": "in_window",
      "type": "deposit",
      "verdict": "unjudged"
    }
    "#);
    // The household has no card at all, before the note and after.
    let by_household = json!({"stream": "residual", "household": "h2", "verdict": "correct", "reason": "seen"});
    let stored = note(&api, "b", by_household).await;
    assert_eq!((&stored.body["timing"], &stored.body["verdict"]), (&json!("off_hours"), &json!("correct")));
    assert!(stored.body.get("card").is_none() && stored.body.get("household").is_none(), "{stored:?}");
    let households = api.get("communities/garden/households").await;
    assert_eq!(households.each("cards"), [1, 0]);
    let figures = figures(&api).await;
    assert_eq!(figures["deposits"]["total"], 2);
    assert_eq!(figures["deposits"]["identified"], 2);
    assert_eq!(figures["participating"], 1);
    // A volunteer was there, whether or not a bin reported.
    assert_eq!(figures["windows"]["observed"], 1);
    // An import of the household again does not take away what was noted of it.
    let again = json!([{"household": "h2", "enrolled_from": "2026-01-01", "cards": ["c9"]}]);
    api.post("communities/garden/households", again).await;
    assert_eq!(self::figures(&api).await["deposits"]["identified"], 2);
    let listed = api.get("events?device=volunteers&site=gate").await;
    assert_eq!(listed.each("type"), ["deposit", "deposit", "judgement"]);
    assert_eq!(api.get("events?device=volunteers&site=quay").await.each("type"), [] as [&str; 0]);
    assert_eq!(api.get("devices").await.each("id"), ["bin-1", "bin-2", "cam-1"]);
    assert_eq!(
        api.put("devices/volunteers", json!({"site": "gate", "kind": "bin"})).await.status,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn the_same_key_stores_once() {
    let api = lived_in().await;
    let body = json!({"stream": "food", "grams": 300});
    let (first, again) = (note(&api, "k", body.clone()).await, note(&api, "k", body).await);
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(figures(&api).await["deposits"]["total"], 1);
    let other = note(&api, "k", json!({"stream": "food", "grams": 301})).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(note(&api, "l", json!({"stream": "food", "grams": 300})).await.body["seq"], 2);
    let none = api.post("sites/gate/deposits", json!({"stream": "food"})).await;
    assert!(none.detail().contains("Idempotency-Key"), "{none:?}");
}

#[tokio::test]
async fn a_volunteers_verdict_stands_before_a_cameras_and_the_bins() {
    let api = lived_in().await;
    let mut own = deposit(1, "2026-11-23T08:30:00+08:00", "c1");
    own["verdict"] = "incorrect".into();
    api.publish("gate/bin/bin-1", own).await.unwrap();
    let verdict = |of: Value, verdict: &str| json!({"deposit": of, "verdict": verdict, "reason": "mixed"});
    let of = json!({"device": "bin-1", "boot": 1, "seq": 1});
    let stood = note(&api, "a", verdict(of.clone(), "correct")).await;
    assert_eq!((stood.status, &stood.body["verdict"]), (StatusCode::CREATED, &json!("correct")), "{stood:?}");
    let camera = json!({"boot": 1, "seq": 1, "time": "2026-11-23T08:30:02+08:00", "type": "judgement",
                        "bin": "bin-1", "verdict": "incorrect"});
    api.publish("gate/camera/cam-1", camera).await.unwrap();
    let counts = figures(&api).await["deposits"].clone();
    assert_eq!((&counts["correct"], &counts["incorrect"], &counts["unjudged"]), (&json!(1), &json!(0), &json!(0)));
    // Of several volunteers the first stands; the ledger holds what each said.
    assert_eq!(note(&api, "b", verdict(of, "incorrect")).await.body["verdict"], "correct");
    assert_eq!(api.get("events?type=judgement&device=volunteers").await.each("verdict"), ["correct", "incorrect"]);
    let noted = note(&api, "c", json!({"stream": "food"})).await.body;
    let named = json!({"device": "volunteers", "boot": noted["boot"], "seq": noted["seq"]});
    assert_eq!(note(&api, "d", verdict(named, "incorrect")).await.body["verdict"], "incorrect");
    // The hardware was replaced: what the earlier one took in is judged until the later one has such a deposit.
    let replaced = api.post("devices/bin-1/secret", json!({"replaced": true})).await;
    assert_eq!(replaced.status, StatusCode::OK, "{replaced:?}");
    let of = json!({"device": "bin-1", "boot": 1, "seq": 1});
    assert_eq!(note(&api, "r", verdict(of.clone(), "correct")).await.body["received"], stood.body["received"]);
    api.clock.set("2026-11-23T12:30:00+08:00".parse().unwrap());
    api.publish("gate/bin/bin-1", deposit(1, "2026-11-23T12:20:00+08:00", "c1")).await.unwrap();
    assert_eq!(note(&api, "s", verdict(of, "correct")).await.body["time"], "2026-11-23T04:20:00.000Z");
    for nothing in [
        json!({"device": "bin-1", "boot": 1, "seq": 2}),
        json!({"device": "bin-2", "boot": 1, "seq": 1}),
        json!({"device": "cam-1", "boot": 1, "seq": 1}),
        json!({"device": "volunteers", "boot": 4711, "seq": 1}),
    ] {
        let refused = note(&api, "e", verdict(nothing, "correct")).await;
        assert!(refused.detail().contains("no such deposit"), "{refused:?}");
    }
}

#[tokio::test]
async fn mistakes_are_named_and_rights_are_kept() {
    let api = lived_in().await;
    for (body, says) in [
        (json!({"grams": 1}), "`stream` is missing"),
        (json!({"stream": "food", "grams": 200_001}), "from 0 to 200000"),
        (json!({"stream": "food", "card": "c1", "household": "h1"}), "not both"),
        (json!({"stream": "food", "household": "h9"}), "no such household"),
        (json!({"stream": "food", "time": "2026-11-23T12:06:00+08:00"}), "5 minutes ahead"),
        (json!({"stream": "food", "time": "yesterday"}), "RFC 3339"),
        (json!({"deposit": {"device": "bin-1", "boot": 1, "seq": 1}}), "`verdict` is missing"),
        (
            json!({"deposit": {"device": "bin-1", "boot": 1, "seq": 1}, "verdict": "correct", "grams": 1}),
            "nothing else",
        ),
        (json!({"stream": "food", "weight": 1}), "known are `stream`, `grams`"),
    ] {
        let refused = note(&api, "m", body.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}: {refused:?}");
        assert!(refused.detail().contains(says), "{body}: {}", refused.detail());
    }
    assert_eq!(figures(&api).await["deposits"]["total"], 0);
    let post = async |token: &str| {
        let request = api.client.post(format!("{}/api/v1/sites/gate/deposits", api.base)).bearer_auth(token);
        send(request.header("Idempotency-Key", token).json(&json!({"stream": "food"}))).await.status
    };
    assert_eq!(post(&api.token(Some("north"), &[Role::Organization]).await).await, StatusCode::CREATED);
    assert_eq!(post(&api.token(Some("south"), &[Role::Organization]).await).await, StatusCode::NOT_FOUND);
    assert_eq!(post(&api.token(Some("north"), &[Role::Operator]).await).await, StatusCode::FORBIDDEN);
    assert_eq!(post(&api.token(Some("north"), &[Role::Linkage]).await).await, StatusCode::NOT_FOUND);
}
