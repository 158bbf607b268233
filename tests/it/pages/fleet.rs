//! Alarms that somebody sees to, devices as they stand, and refused input that is tried again.

use fenlei::domain::registry::Role;
use reqwest::StatusCode;
use serde_json::json;

use crate::projectors::line::Line;
use crate::support::api::Api;
use crate::support::pages::{Browser, Shown};

async fn with_fire() -> (Api, Line) {
    let api = Api::with_registry().await;
    let line = Line::start(&api);
    let event = |seq: u64, more: serde_json::Value| {
        let mut event = json!({"boot": 1, "seq": seq, "time": "2026-11-23T11:59:00+08:00"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let events = json!([
        event(1, json!({"type": "alarm", "alarm": "fire", "active": true})),
        event(2, json!({"type": "heartbeat", "millivolts": 3312, "celsius": 21.5})),
        event(3, json!({"type": "fill", "stream": "food", "percent": 43})),
        event(4, json!({"type": "no-such-thing"})),
    ]);
    api.publish("gate/bin/bin-1", events).await.unwrap();
    (api, line)
}

/// Comes back with the page once it says so.
async fn says(browser: &Browser, path: &str, words: &str) -> Shown {
    let looking = async {
        loop {
            let shown = browser.get(path).await;
            if shown.body.contains(words) {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("it says so in the end")
}

#[tokio::test]
async fn an_alarm_is_seen_to_by_whoever_runs_the_site_and_by_nobody_else() {
    let (api, _line) = with_fire().await;
    let operator = Browser::signed_in(&api, "operator", None, &[Role::Operator]).await;
    let shown = says(&operator, "/alarms", "火情").await.body;
    assert!(shown.contains("紧急") && shown.contains("东门") && shown.contains("2026年11月23日 11:59"), "{shown}");
    let member = Browser::signed_in(&api, "member", Some("north"), &[Role::Organization]).await;
    let seen = member.see("/alarms").await;
    assert!(seen.contains("火情") && !seen.contains("/acknowledge"), "{seen}");
    let id = api.get("alarms").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/alarms/{id}/acknowledge");
    assert_eq!(member.submit("/alarms", &path, &[]).await.status, StatusCode::FORBIDDEN);
    let done = operator.submit("/alarms", &path, &[("note", "已到现场 <b>无火</b>")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let shown = operator.see("/alarms").await;
    assert!(shown.contains("已确认") && shown.contains("已到现场 &lt;b&gt;"), "{shown}");
    assert!(operator.see("/alarms?state=cleared").await.contains("没有这样的告警"));
    assert!(operator.see("/alarms?site=quay").await.contains("没有这样的告警"));
    let south = Browser::signed_in(&api, "south", Some("south"), &[Role::Organization]).await;
    assert!(!south.see("/alarms?state=all").await.contains("火情"));
}

#[tokio::test]
async fn the_fleet_shows_what_devices_measured_and_what_was_refused() {
    let (api, _line) = with_fire().await;
    let mut operator = Browser::signed_in(&api, "operator", None, &[Role::Operator]).await;
    let shown = says(&operator, "/fleet", "3.31 V").await.body;
    assert!(shown.contains("电量低") && shown.contains("/fleet/bin-1/quarantine"), "{shown}");
    let vitals = api.get("devices/bin-1").await.body["vitals"].clone();
    assert_eq!((&vitals["millivolts"]["value"], &vitals["fill/food"]["value"]), (&json!(3312.0), &json!(43.0)));
    let refused = operator.see("/fleet/bin-1/quarantine").await;
    assert!(refused.contains("no-such-thing"), "{refused}");
    let id = api.get("quarantine").await.body["items"][0]["id"].to_string();
    let (page, retry, delete) =
        ("/fleet/bin-1/quarantine", format!("/quarantine/{id}/retry"), format!("/quarantine/{id}/delete"));
    assert_eq!(operator.submit(page, &retry, &[("device", "bin-1")]).await.status, StatusCode::CONFLICT);
    assert_eq!(operator.submit(page, &delete, &[("device", "bin-1")]).await.status, StatusCode::SEE_OTHER);
    assert!(operator.see(page).await.contains("没有被拒收的数据"));
    operator.english();
    assert!(operator.see("/fleet").await.contains("never online"));
    let member = Browser::signed_in(&api, "member", Some("north"), &[Role::Organization]).await;
    assert_eq!(member.get(page).await.status, StatusCode::NOT_FOUND);
    let seen = member.see("/fleet").await;
    assert!(seen.contains("bin-1") && !seen.contains("bin-2"), "{seen}");
}
