//! The doorstep list: exactly those whom the figure does not count, and those whom nobody went to see.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, deposit};

const PATH: &str = "communities/garden/households";
const WEEK: &str = "from=2026-11-16&to=2026-11-22";

async fn lived_in() -> Api {
    let api = Api::with_registry().await;
    let row = |id: &str, until: Option<&str>| {
        let mut row = json!({"household": id, "enrolled_from": "2026-01-01", "cards": [format!("card-{id}")]});
        row["enrolled_until"] = until.into();
        row
    };
    let rows = json!([
        row("early", None),
        row("late", None),
        row("left", Some("2026-11-20")),
        row("night", None),
        row("quiet", None)
    ]);
    api.post(PATH, rows).await;
    let events = json!([
        deposit(1, "2026-11-17T08:30:00+08:00", "card-early"),
        deposit(2, "2026-11-17T08:30:00+08:00", "card-left"),
        deposit(3, "2026-11-18T23:30:00+08:00", "card-night"),
        deposit(4, "2026-11-15T08:30:00+08:00", "card-late")
    ]);
    api.publish("gate/bin/bin-1", events).await.unwrap();
    let visit = |household| json!({"household": household, "date": "2026-11-19", "kind": "visit", "outcome": "absent"});
    api.post("communities/garden/visits", json!([visit("early"), visit("left"), visit("quiet")])).await;
    api
}

async fn listed(api: &Api, query: &str) -> Vec<Value> {
    api.get(&format!("{PATH}?{query}")).await.each("household")
}

#[tokio::test]
async fn those_who_did_not_take_part_and_those_whom_nobody_saw() {
    let api = lived_in().await;
    let figure = &api.get(&format!("communities/garden/participation?{WEEK}")).await.body["periods"][0];
    assert_eq!((&figure["households"], &figure["participating"]), (&json!(4), &json!(1)));
    assert_eq!(listed(&api, &format!("participating=false&{WEEK}")).await, ["late", "night", "quiet"]);
    assert_eq!(listed(&api, &format!("participating=true&{WEEK}")).await, ["early"]);
    assert_eq!(listed(&api, &format!("visited=false&{WEEK}")).await, ["late", "night"]);
    assert_eq!(listed(&api, &format!("visited=true&{WEEK}")).await, ["early", "quiet"]);
    assert_eq!(listed(&api, &format!("participating=false&visited=false&{WEEK}")).await, ["late", "night"]);
    // The household that left was in the figure while it was there.
    let while_there = "participating=true&from=2026-11-16&to=2026-11-20";
    assert_eq!(listed(&api, while_there).await, ["early", "left"]);
    // Without a period, the 28 days up to today, as the figure has it.
    assert_eq!(listed(&api, "participating=false").await, ["night", "quiet"]);
    assert_eq!(listed(&api, "visited=false&from=2026-11-20").await, ["early", "late", "night", "quiet"]);
}

#[tokio::test]
async fn the_list_pages_says_what_is_wrong_and_is_in_the_audit_log() {
    let api = lived_in().await;
    let first = api.get(&format!("{PATH}?participating=false&{WEEK}&limit=2")).await;
    assert_eq!(first.each("household"), ["late", "night"]);
    let cursor = first.body["next"].as_str().unwrap();
    let rest = api.get(&format!("{PATH}?participating=false&{WEEK}&limit=2&cursor={cursor}")).await;
    assert_eq!((rest.each("household"), &rest.body["next"]), (vec![json!("quiet")], &Value::Null));
    for (query, says) in [
        ("from=2026-11-16", "`participating` or `visited`"),
        ("participating=no", "`participating`"),
        ("visited=false&from=2026-11-23&to=2026-11-22", "`from` is after `to`"),
    ] {
        let refused = api.get(&format!("{PATH}?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(refused.detail().contains(says), "{query}: {}", refused.detail());
    }
    let looks = api.store.read(|connection| {
        let count = "SELECT count(*) FROM audit WHERE action = 'households.doorstep' AND subject = 'garden'";
        Ok(connection.query_row(count, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(looks.await.unwrap(), 2);
}
