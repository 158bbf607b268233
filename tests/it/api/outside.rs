//! What lies outside the API.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::api::{Answer, Api, send};

async fn outside(api: &Api, path: &str) -> Answer {
    send(api.client.get(format!("{}{path}", api.base))).await
}

#[tokio::test]
async fn alive_and_ready() {
    let api = Api::start().await;
    assert_eq!(outside(&api, "/healthz").await.status, StatusCode::OK);
    let ready = outside(&api, "/readyz").await;
    assert_eq!(
        (ready.status, ready.body),
        (StatusCode::OK, json!({"ready": true, "mqtt": true, "store": true, "reasons": []}))
    );
    let api = Api::ready(false).await;
    assert_eq!(outside(&api, "/healthz").await.status, StatusCode::OK);
    let unready = outside(&api, "/readyz").await;
    assert_eq!(unready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        unready.body,
        json!({"ready": false, "mqtt": false, "store": true, "reasons": ["MQTT does not accept devices: there is no broker, or it does not take us"]})
    );
}

#[tokio::test]
async fn metrics_in_base_units_with_routes_for_labels() {
    let api = Api::with_registry().await;
    api.get("devices/bin-1").await;
    let event = json!({"boot": 1, "seq": 1, "time": "2026-11-23T11:00:00+08:00", "type": "heartbeat"});
    api.publish("gate/bin/bin-1", event).await.unwrap();
    let text = outside(&api, "/metrics").await.body;
    let text = text.as_str().unwrap();
    for line in [
        "fenlei_http_requests_total{method=\"GET\",route=\"/api/v1/devices/{id}\",status=\"200\"}",
        "fenlei_http_request_duration_seconds_bucket{route=\"/api/v1/devices/{id}\",le=\"0.1\"}",
        "# HELP fenlei_events_stored_total ",
        "fenlei_devices_online{kind=\"projector\"} 0",
        "fenlei_fault{part=\"store\"} 0",
        "fenlei_fault{part=\"mqtt\"} 0",
        "fenlei_fault{part=\"clock\"} 0",
        "fenlei_fault{part=\"export\"} 0",
        "fenlei_ledger_rows ",
        "fenlei_quarantine_items ",
    ] {
        assert!(text.contains(line), "{line} is missing of:\n{text}");
    }
    assert!(!text.contains("bin-1"), "an id is in a label");
}
