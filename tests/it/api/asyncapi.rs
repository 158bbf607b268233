//! The AsyncAPI document says what is spoken: every golden message is as its schema says, and what is not is no message.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, send};

async fn document() -> Value {
    let api = Api::start().await;
    // No token is needed to read it.
    let answer = send(api.client.get(format!("{}/api/v1/asyncapi.json", api.base))).await;
    assert_eq!((answer.status, answer.etag.is_some()), (StatusCode::OK, true));
    answer.body
}

fn golden() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/firmware/wire/tests/golden/v1");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = files.map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        (file.file_stem().unwrap().to_str().unwrap().to_owned(), serde_json::from_str(&text).unwrap())
    });
    read.collect()
}

/// The message that a golden file is one of.
fn message(file: &str, payload: &Value) -> String {
    match file.split('_').next().unwrap() {
        "event" => payload["type"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    }
}

fn valid(document: &Value, message: &str, payload: &Value) -> bool {
    let schema = &document["components"]["messages"][message]["payload"];
    assert!(schema["$ref"].is_string(), "{message} is not described");
    let schema = json!({"$ref": schema["$ref"], "components": document["components"]});
    jsonschema::validator_for(&schema).unwrap().is_valid(payload)
}

#[tokio::test]
async fn every_golden_message_is_as_described_and_an_example() {
    let document = document().await;
    let golden = golden();
    assert!(golden.len() > 20);
    for (file, payload) in &golden {
        let message = message(file, payload);
        assert!(valid(&document, &message, payload), "{file}");
        let examples = document["components"]["messages"][&message]["examples"].as_array().unwrap();
        assert!(examples.iter().any(|example| example["payload"] == *payload), "{file} is no example of {message}");
    }
    let events: Vec<_> = golden.iter().filter(|(file, _)| file.starts_with("event_")).map(|(_, event)| event).collect();
    assert!(valid(&document, "batch", &json!(events)));
    assert!(!valid(&document, "batch", &json!([])));
    assert!(!valid(&document, "batch", &json!([{"boot": 1}])));
}

#[tokio::test]
async fn what_lacks_a_field_or_has_a_wrong_one_is_no_message() {
    let document = document().await;
    for (file, payload) in golden() {
        let message = message(&file, &payload);
        let schema = &document["components"]["schemas"][&message];
        let Some(required) = schema["required"].as_array() else { continue };
        for field in required.iter().filter_map(Value::as_str) {
            let mut lacking = payload.clone();
            lacking.as_object_mut().unwrap().remove(field);
            assert!(!valid(&document, &message, &lacking), "{file} without {field}");
            let mut wrong = payload.clone();
            wrong[field] = json!({"no": "such value"});
            assert!(!valid(&document, &message, &wrong), "{file} with a wrong {field}");
        }
    }
    let deposit = json!({"boot": 7, "seq": 1, "time": "2026-11-20T08:15:30+08:00", "type": "deposit",
                         "stream": "food", "grams": 1});
    assert!(valid(&document, "deposit", &deposit));
    for (field, wrong) in [
        ("grams", json!(200_001)),
        ("grams", json!(-1)),
        ("seq", json!(0)),
        ("seq", json!(1u64 << 53)),
        ("stream", json!("Food")),
        ("verdict", json!("perhaps")),
        ("card", json!("x".repeat(65))),
        ("clock", json!("wrong")),
    ] {
        let mut mistaken = deposit.clone();
        mistaken[field] = wrong.clone();
        assert!(!valid(&document, "deposit", &mistaken), "{field}: {wrong}");
    }
    let mut timeless = deposit.clone();
    timeless.as_object_mut().unwrap().remove("time");
    assert!(!valid(&document, "deposit", &timeless));
    timeless["clock"] = "unsynced".into();
    assert!(valid(&document, "deposit", &timeless));
    assert!(!valid(
        &document,
        "judgement",
        &json!({"boot": 7, "seq": 1, "time": "2026-11-20T08:15:30Z",
                                                   "type": "judgement", "verdict": "correct"})
    ));
    assert!(!valid(&document, "command", &json!({"id": "c", "expires": "2026-11-20T08:15:30Z", "type": "display"})));
}

#[tokio::test]
async fn channels_say_who_speaks_and_what_is_retained() {
    let document = document().await;
    let mut said = Vec::new();
    for (name, operation) in document["operations"].as_object().unwrap() {
        let channel = operation["channel"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let mqtt = &operation["bindings"]["mqtt"];
        said.push(format!(
            "{name}: {} QoS {} retained {}",
            document["channels"][channel]["address"], mqtt["qos"], mqtt["retain"]
        ));
    }
    insta::assert_json_snapshot!(said, @r#"
    [
      "receive_event: \"fenlei/v1/{site}/{kind}/{device}/event\" QoS 1 retained false",
      "receive_state: \"fenlei/v1/{site}/{kind}/{device}/state\" QoS 1 retained true",
      "send_command: \"fenlei/v1/{site}/{kind}/{device}/command\" QoS 1 retained false",
      "send_config: \"fenlei/v1/{site}/{kind}/{device}/config\" QoS 1 retained true",
      "send_receipt: \"fenlei/v1/{site}/{kind}/{device}/receipt\" QoS 1 retained false"
    ]
    "#);
}
