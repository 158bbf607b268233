//! The figures, after events have come, and after what they are counted by has changed.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::api::{Api, deposit};

async fn lived_in() -> Api {
    let api = Api::with_registry().await;
    let rows = json!([{"household": "h1", "enrolled_from": "2026-01-01", "cards": ["c1"]},
                      {"household": "h2", "enrolled_from": "2026-01-01", "cards": ["c2"]},
                      {"household": "h3", "enrolled_from": "2026-01-01", "cards": []}]);
    api.post("communities/garden/households", rows).await;
    let mut judged = deposit(3, "2026-11-23T10:30:00+08:00", "c2");
    judged["verdict"] = "correct".into();
    let events =
        json!([deposit(1, "2026-11-23T08:30:00+08:00", "c1"), deposit(2, "2026-11-22T17:30:00+08:00", "x"), judged]);
    api.publish("gate/bin/bin-1", events).await.unwrap();
    api
}

#[tokio::test]
async fn participation_in_the_contracts_shape() {
    let api = lived_in().await;
    let figures = api.get("communities/garden/participation?from=2026-11-22&to=2026-11-23").await;
    insta::assert_json_snapshot!(figures.body, @r#"
    {
      "community": "garden",
      "definitions": 1,
      "periods": [
        {
          "accuracy": 1.0,
          "correct_participating": 0,
          "correct_participation_rate": 0.0,
          "deposits": {
            "correct": 1,
            "identified": 2,
            "in_window": 2,
            "incorrect": 0,
            "makeup": 0,
            "off_hours": 1,
            "total": 3,
            "unjudged": 2
          },
          "from": "2026-11-22",
          "grams": {
            "food": 3000,
            "hazardous": 0,
            "recyclable": 0,
            "residual": 0
          },
          "households": 3,
          "identified_coverage": 0.666667,
          "judged_coverage": 0.333333,
          "participating": 1,
          "participation_rate": 0.333333,
          "set_out_rate": 0.166667,
          "to": "2026-11-23",
          "windows": {
            "observed": 2,
            "scheduled": 4
          }
        }
      ],
      "time_zone": "Asia/Shanghai"
    }
    "#);
    let days = api.get("communities/garden/participation?from=2026-11-22&to=2026-11-23&period=day").await;
    let days = days.body["periods"].as_array().unwrap().clone();
    assert_eq!(days.iter().map(|day| day["participating"].clone()).collect::<Vec<_>>(), [0, 1]);
    let default = api.get("communities/garden/participation").await.body["periods"][0].clone();
    assert_eq!((&default["from"], &default["to"]), (&json!("2026-10-27"), &json!("2026-11-23")));
    let empty = api.get("communities/river/participation").await.body["periods"][0].clone();
    for rate in ["participation_rate", "correct_participation_rate", "set_out_rate", "accuracy", "judged_coverage"] {
        assert_eq!(empty.get(rate), Some(&json!(null)), "{rate}");
    }
    for (query, says) in [
        ("from=2026-11-23&to=2026-11-22", "give the earlier date first"),
        ("from=2026-11-3", "`from` must be a date as YYYY-MM-DD"),
        ("from=1900-01-01", "ask for a shorter period"),
        ("period=year", "`period` must be one of `day`, `week`, `month`, `range`"),
        ("form=2026-11-01", "known are `from`, `to`, `period`"),
    ] {
        let refused = api.get(&format!("communities/garden/participation?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(refused.detail().contains(says), "{query}: {}", refused.detail());
    }
}

#[tokio::test]
async fn a_backdated_schedule_re_times_before_it_is_answered() {
    let api = lived_in().await;
    let hours = |answer: &crate::support::api::Answer, hour: usize| answer.body["hours"][hour].clone();
    let before = api.get("sites/gate/hours?from=2026-11-23&to=2026-11-23").await;
    assert_eq!(before.body["hours"].as_array().unwrap().len(), 24);
    assert_eq!(hours(&before, 10), json!({"hour": 10, "deposits": 1, "in_window": 0, "makeup": 0, "off_hours": 1}));

    let schedule = json!({"valid_from": "2026-11-23", "reason": "居民会议",
        "weekly": [{"days": ["mon"], "open": "10:00", "close": "11:00"}],
        "dates": [{"date": "2027-01-01", "windows": []}]});
    let stored = api.put("sites/gate/schedule", schedule.clone()).await;
    assert_eq!((stored.status, &stored.body["weekly"]), (StatusCode::OK, &schedule["weekly"]));
    let after = api.get("sites/gate/hours?from=2026-11-23&to=2026-11-23").await;
    assert_eq!(hours(&after, 10)["in_window"], 1);
    assert_eq!(hours(&after, 8)["off_hours"], 1);
    let day = api.get("communities/garden/participation?from=2026-11-23").await.body["periods"][0].clone();
    assert_eq!((&day["participating"], &day["correct_participating"]), (&json!(1), &json!(1)));
    let timings = api.get("events?type=deposit").await.each("timing");
    assert_eq!(timings, ["off_hours", "in_window", "in_window"]);
}

#[tokio::test]
async fn the_schedule_in_force_depends_on_the_day() {
    let api = Api::with_registry().await;
    let default = api.get("sites/gate/schedule").await;
    assert_eq!(default.body["weekly"][0]["open"], "08:00");
    assert_eq!(default.body["versions"], json!([]));
    let version = |from: &str, open: &str| {
        json!({"valid_from": from, "dates": [],
               "weekly": [{"days": ["sat", "sun"], "open": open, "close": "24:00", "streams": ["food"], "makeup": true}]})
    };
    api.put("sites/gate/schedule", version("2026-12-01", "10:00")).await;
    api.put("sites/gate/schedule", version("2026-11-01", "11:00")).await;
    let open = async |query: &str| {
        let schedule = api.get(&format!("sites/gate/schedule{query}")).await;
        schedule.body["weekly"][0]["open"].as_str().unwrap().to_owned()
    };
    assert_eq!(open("").await, "11:00");
    assert_eq!(open("?on=2026-12-01").await, "10:00");
    assert_eq!(open("?on=2026-10-31").await, "08:00");
    let versions = api.get("sites/gate/schedule").await.body["versions"].clone();
    assert_eq!(versions, json!([version("2026-12-01", "10:00"), version("2026-11-01", "11:00")]));

    let put = |tag: String| {
        let request = api.request(reqwest::Method::PUT, "sites/gate/schedule").header("If-Match", tag);
        crate::support::api::send(request.json(&version("2026-11-02", "12:00")))
    };
    let tag = api.get("sites/gate/schedule?on=2026-12-01").await.etag.unwrap();
    assert_eq!(put(tag.clone()).await.status, StatusCode::OK);
    assert_eq!(put(tag).await.status, StatusCode::PRECONDITION_FAILED);

    for (wrong, says) in [
        (json!({"valid_from": "2026-11-01"}), "`weekly` is missing"),
        (json!({"valid_from": "2026-11-31", "weekly": []}), "`valid_from` must be a date"),
        (json!({"valid_from": "+12026-11-01", "weekly": []}), "years have four digits"),
        (
            json!({"valid_from": "2026-11-01", "weekly": [{"days": ["mo"], "open": "08:00", "close": "09:00"}]}),
            "`mon` `tue`",
        ),
        (json!({"valid_from": "2026-11-01", "weekly": [{"days": ["mon"], "open": "8", "close": "09:00"}]}), "HH:MM"),
        (
            json!({"valid_from": "2026-11-01", "weekly": [{"days": ["mon"], "open": "09:00", "close": "09:00"}]}),
            "within a day",
        ),
    ] {
        let refused = api.put("sites/gate/schedule", wrong).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.detail().contains(says), "{}", refused.detail());
    }
}
