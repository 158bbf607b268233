//! Proof of display: minutes for each projector and day, by the projectors' own word.

use serde_json::{Value, json};

use super::line::{Line, answer, neighbourhood, set};
use crate::support::api::Api;

async fn evening(api: &Api, seq: u64) {
    use fenlei::clock::Clock;
    let event = json!({"boot": 1, "seq": seq, "time": api.clock.now().to_rfc3339(), "type": "display",
                       "command": "evening", "status": "displayed"});
    api.publish("gate/projector/beam-1", event).await.unwrap();
}

async fn until(api: &Api, query: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let days = api.get(&format!("projectors/displays?{query}")).await.body["days"].clone();
            if wanted(&days) {
                return days;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), looking)
        .await
        .unwrap_or_else(|_| panic!("never so: {query}"))
}

#[tokio::test]
async fn minutes_are_counted_by_day_message_and_projector() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    line.next("config").await;
    // Its own message from 18:30 to 20:30, with another of ten minutes in between, and one over midnight.
    set(&api, "23T18:30");
    evening(&api, 1).await;
    set(&api, "23T19:00");
    let message = json!({"text": "明早停水", "target": {"device": "beam-1"}, "seconds": 600});
    let first = api.post("projectors/messages", message).await.body["id"].clone();
    let (_, command) = line.command().await;
    answer(&api, "beam-1", 2, &command, "accepted").await;
    answer(&api, "beam-1", 3, &command, "displayed").await;
    set(&api, "23T19:10");
    evening(&api, 4).await;
    set(&api, "23T23:30");
    let message = json!({"text": "通宵值守", "target": {"device": "beam-1"}, "seconds": 3600});
    let second = api.post("projectors/messages", message).await.body["id"].clone();
    let (_, command) = line.command().await;
    answer(&api, "beam-1", 5, &command, "displayed").await;
    // Until now only: what is still to come is no proof.
    let query = "from=2026-11-23&to=2026-11-24";
    set(&api, "23T23:40");
    until(&api, query, |days| days[0]["minutes"] == 130).await;
    set(&api, "24T08:00");
    let days = until(&api, query, |days| days[1]["minutes"] == 30).await;
    assert_eq!(
        days,
        json!([
            {"device": "beam-1", "site": "gate", "date": "2026-11-23", "minutes": 150, "evening_minutes": 110,
             "messages": by_id([(&first, 10), (&second, 30)])},
            {"device": "beam-1", "site": "gate", "date": "2026-11-24", "minutes": 30, "evening_minutes": 0,
             "messages": [{"message": second, "minutes": 30}]},
            {"device": "beam-2", "site": "gate", "date": "2026-11-23", "minutes": 0, "evening_minutes": 0, "messages": []},
            {"device": "beam-2", "site": "gate", "date": "2026-11-24", "minutes": 0, "evening_minutes": 0, "messages": []},
        ])
    );
    assert_eq!(api.get("projectors/displays?device=bin-2").await.body["days"], json!([]));
    assert_eq!(api.get("projectors/displays?site=nowhere").await.status, 404);
    assert_eq!(api.get("projectors/displays?from=2024-01-01&to=2026-01-01").await.status, 400);
}

fn by_id<const N: usize>(mut shown: [(&Value, i64); N]) -> Value {
    shown.sort_by_key(|(id, _)| id.as_str().map(str::to_owned));
    shown.iter().map(|(id, minutes)| json!({"message": id, "minutes": minutes})).collect()
}

#[tokio::test]
async fn a_message_taken_back_counts_until_it_was_cleared() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let message = json!({"text": "明早停水", "target": {"device": "beam-1"}, "seconds": 3600});
    let id = api.post("projectors/messages", message).await.body["id"].as_str().unwrap().to_owned();
    let (_, shown) = line.command().await;
    answer(&api, "beam-1", 1, &shown, "displayed").await;
    set(&api, "23T12:20");
    until(&api, "device=beam-1&from=2026-11-23", |days| days[0]["minutes"] == 20).await;
    assert_eq!(api.delete(&format!("projectors/messages/{id}")).await.status, 204);
    let (_, clear) = line.command().await;
    assert_eq!(clear["type"], "clear");
    answer(&api, "beam-1", 2, &clear, "displayed").await;
    set(&api, "23T14:00");
    until(&api, "device=beam-1&from=2026-11-23", |days| days[0]["minutes"] == 20).await;
}
