//! What holds for every read of the API, whichever it is: it has a tag, it is spared who has it, and lists come in pages.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::api::{Api, send};

#[tokio::test]
async fn every_read_has_a_tag_and_every_list_a_cursor() {
    let api = Api::with_registry().await;
    let project = json!({"community": "garden", "organization": "north", "starts": "2026-10-01"});
    api.put("projects/sorting", project).await;
    api.put("devices/beam-1", json!({"site": "gate", "kind": "projector"})).await;
    let message = api.post("projectors/messages", json!({"text": "您好", "target": {"site": "gate"}})).await;
    let hook = api.post("alarms/webhooks", json!({"url": "https://alarms.example/", "format": "generic"})).await;
    let follower = api.post("linkage/webhooks", json!({"url": "https://platform.example/"})).await;
    let made = [message.status, hook.status, follower.status];
    assert_eq!(made, [StatusCode::CREATED; 3]);
    let ids = [
        ("/alarms/webhooks/{id}", hook.body["id"].as_str().unwrap()),
        ("/communities/{id}", "garden"),
        ("/devices/{id}", "bin-1"),
        ("/linkage/webhooks/{id}", follower.body["id"].as_str().unwrap()),
        ("/organizations/{id}", "north"),
        ("/projectors/messages/{id}", message.body["id"].as_str().unwrap()),
        ("/projects/{id}", "sorting"),
        ("/sites/{id}", "gate"),
    ];
    let document = api.get("openapi.json").await.body;
    let mut read = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get") else { continue };
        let answer = &operation["responses"]["200"]["content"];
        let schema = answer["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
        if schema.contains("/List_") {
            let parameters = operation["parameters"].as_array().unwrap();
            for name in ["cursor", "limit"] {
                assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{path} has no {name}");
            }
        }
        // A stream goes on, and nothing has raised an alarm here.
        if answer.get("text/event-stream").is_some() || path == "/api/v1/alarms/{id}" {
            continue;
        }
        let mut address = path.trim_start_matches("/api/v1/").to_owned();
        if let Some((pattern, id)) = ids.iter().find(|(pattern, _)| path.contains(pattern)) {
            address = address.replacen("{id}", id, 1);
            assert!(path.starts_with(&format!("/api/v1{pattern}")));
        }
        let first = send(api.request(Method::GET, &address)).await;
        assert_eq!(first.status, StatusCode::OK, "{address}: {first:?}");
        let etag = first.etag.unwrap_or_else(|| panic!("{address} has no tag"));
        let again = api.request(Method::GET, &address).header("If-None-Match", &etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{address}");
        assert_eq!(again.headers()["etag"], etag.as_str());
        assert!(again.bytes().await.unwrap().is_empty());
        read += 1;
    }
    assert!(read > 20, "{read} reads were looked at");
}
