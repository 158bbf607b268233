//! Other hours held against the deposits that were brought.

use fenlei::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, send};

/// Forty days of deposits at all hours at a site in Berlin, across the end of summer time, and one noted by a volunteer.
async fn lived_in() -> (Api, Value) {
    let api = Api::with_registry().await;
    api.put("sites/tor", json!({"community": "garden", "name": "Tor", "time_zone": "Europe/Berlin"})).await;
    api.put("devices/bin-3", json!({"site": "tor", "kind": "bin"})).await;
    let schedule = json!({"valid_from": "2026-01-01",
        "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": "07:30", "close": "09:00"},
                   {"days": ["mon", "wed"], "open": "17:00", "close": "20:15", "streams": ["food"]},
                   {"days": ["sun"], "open": "02:00", "close": "03:00", "makeup": true}],
        "dates": [{"date": "2026-11-01", "windows": []}]});
    assert_eq!(api.put("sites/tor/schedule", schedule.clone()).await.status, StatusCode::OK);
    let (now, mut random) = (api.clock.now(), 1u64);
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for batch in 0..4 {
        let events = (1..=500).map(|number| {
            let time = now - chrono::TimeDelta::minutes(i64::try_from(draw(40 * 24 * 60)).unwrap());
            let stream = ["food", "residual", "recyclable", "hazardous"][usize::try_from(draw(4)).unwrap()];
            json!({"boot": 1, "seq": batch * 500 + number, "time": time.to_rfc3339(), "type": "deposit",
                   "stream": stream, "grams": 1})
        });
        api.publish("tor/bin/bin-3", events.collect()).await.unwrap();
    }
    let noted = api.request(Method::POST, "sites/tor/deposits").header("Idempotency-Key", "1");
    let noted = send(noted.json(&json!({"stream": "food", "time": "2026-11-22T08:00:00+01:00"}))).await;
    assert_eq!(noted.body["timing"], "in_window");
    (api, schedule)
}

#[tokio::test]
async fn the_hours_in_force_give_what_was_and_others_what_would_have_been() {
    let (api, schedule) = lived_in().await;
    for span in ["from=2026-10-01&to=2026-11-23", "from=2026-10-25&to=2026-10-25", "from=2026-11-01&to=2026-11-22"] {
        let answer = api.post(&format!("sites/tor/schedule/what-if?{span}"), schedule.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.body["proposed"], answer.body["actual"], "{span}");
        let hours = api.get(&format!("sites/tor/hours?{span}")).await;
        assert_eq!(answer.body["actual"]["hours"], hours.body["hours"], "{span}");
    }
    let whole = "sites/tor/schedule/what-if?from=2026-10-01&to=2026-11-23";
    let never = api.post(whole, json!({"weekly": []})).await.body;
    assert_eq!((&never["proposed"]["deposits"], &never["proposed"]["off_hours"]), (&json!(2001), &json!(2001)));
    assert_eq!(never["proposed"]["shares"], json!({"in_window": 0.0, "makeup": 0.0, "off_hours": 1.0}));
    // Half a day, every day: the hours of its own rows decide.
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let half = json!({"weekly": [{"days": days, "open": "12:00", "close": "24:00"}]});
    let half = api.post(whole, half).await.body["proposed"].clone();
    let afternoon = half["hours"].as_array().unwrap().iter().skip(12);
    let afternoon: u64 = afternoon.map(|hour| hour["deposits"].as_u64().unwrap()).sum();
    assert_eq!(half["in_window"], afternoon);
    assert_eq!(api.get("sites/tor/schedule").await.body["versions"].as_array().unwrap().len(), 1, "nothing was stored");
}

#[tokio::test]
async fn mistakes_are_named() {
    let api = Api::with_registry().await;
    for (query, body, says) in [
        ("", json!({"weekly": [{"days": ["mon"], "open": "22:00", "close": "02:00"}]}), "weekly[0]"),
        ("", json!({}), "weekly"),
        ("?from=2026-11-23&to=2026-11-01", json!({"weekly": []}), "earlier date first"),
    ] {
        let refused = api.post(&format!("sites/gate/schedule/what-if{query}"), body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.detail().contains(says), "{}", refused.detail());
    }
    let empty = api.post("sites/gate/schedule/what-if", json!({"weekly": []})).await.body;
    assert_eq!(empty["proposed"]["shares"]["in_window"], json!(null));
}
