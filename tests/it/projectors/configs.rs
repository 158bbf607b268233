//! What devices are told to keep to, as the jobs publish it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::line::{Line, neighbourhood, set};

async fn configs(line: &mut Line, count: usize) -> BTreeMap<String, Value> {
    let mut told = BTreeMap::new();
    while told.len() < count {
        let (device, message) = line.next("config").await;
        assert!(message.retain);
        told.insert(device, serde_json::from_slice(&message.payload).unwrap_or(Value::Null));
    }
    told
}

#[tokio::test]
async fn each_is_told_at_first_when_something_changes_and_when_the_broker_is_another() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let told = configs(&mut line, 5).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["beam-1", "beam-2", "bin-1", "bin-2", "cam-1"]);
    assert_eq!(told["beam-1"]["evening"], json!({"text": "垃圾分类", "start": "18:30", "seconds": 7200}));
    assert_eq!(told["bin-1"].get("evening"), None);
    let holiday = json!({"valid_from": "2026-11-01",
        "weekly": [{"days": ["mon", "tue", "wed"], "open": "08:00", "close": "09:00", "streams": ["food"]}],
        "dates": [{"date": "2026-11-25", "windows": []}]});
    api.put("sites/gate/schedule", holiday).await;
    let changed = configs(&mut line, 4).await;
    assert_eq!(changed["bin-1"]["version"], 2);
    assert_eq!(changed["bin-1"]["schedule"]["dates"], json!([{"date": "2026-11-25", "windows": []}]));
    assert!(!changed.contains_key("bin-2"), "another site's hours did not change");
    // Another broker may know nothing: it is told everything, under the versions that stand.
    line.connection.send_replace(Some(2));
    let again = configs(&mut line, 5).await;
    assert_eq!((&again["bin-1"]["version"], &again["bin-2"]["version"]), (&json!(2), &json!(1)));
    // The holiday is over: what a device keeps is no longer the same.
    set(&api, "26T00:01");
    assert_eq!(configs(&mut line, 4).await["bin-1"]["schedule"]["dates"], json!([]));
    assert_eq!(api.delete("devices/beam-2").await.status, 204);
    assert_eq!(configs(&mut line, 1).await["beam-2"], Value::Null, "what was retained is cleared");
}

#[tokio::test]
async fn hours_that_a_device_cannot_hold_are_refused() {
    let api = neighbourhood().await;
    let window =
        |hour: usize| json!({"days": ["mon"], "open": format!("{hour:02}:00"), "close": format!("{hour:02}:30")});
    let weekly: Vec<_> = (0..17).map(window).collect();
    let refused = api.put("sites/gate/schedule", json!({"valid_from": "2026-11-01", "weekly": weekly})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.detail().contains("at most 16 different windows"), "{}", refused.detail());
}
