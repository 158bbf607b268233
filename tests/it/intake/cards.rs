//! No card is ever kept in the clear where the JSON can be read.

use serde_json::{Value, json};

use super::bench::*;

#[tokio::test]
async fn no_stored_byte_shows_a_card_where_the_json_parses() {
    let bench = Bench::new().await;
    let secret = "SECRET0CARD";
    let with = |seq: u64, card: Value| {
        let mut sent = deposit(seq);
        sent["card"] = card;
        sent
    };
    let time = stamp(NOW);
    let deep = format!("{}\"{secret}\"{}", "[".repeat(300), "]".repeat(300));
    let head = format!(r#""boot":1,"time":"{time}","type":"deposit","stream":"food""#);
    let payloads = [
        with(1, json!(secret)).to_string(),
        with(2, json!(format!("{secret}{}", "x".repeat(64)))).to_string(),
        with(3, json!([secret])).to_string(),
        with(4, json!({"id": secret})).to_string(),
        format!(r#"{{{head},"seq":5,"grams":1,"card":{deep}}}"#),
        format!(r#"{{{head},"seq":6,"grams":1,"card":"{secret}","card":"{secret}"}}"#),
        format!(r#"{{{head},"seq":7,"grams":1e999,"card":"{secret}"}}"#),
        format!(r#"{{{head},"seq":8,"grams":-1,"c\u0061rd":"{secret}"}}"#),
        format!(r#"{{{head},"seq":8,"seq":9,"grams":1,"card":"{secret}"}}"#),
        format!(r#"{{{head},"seq":10,"grams":1,"card":"{secret}","stream":"{secret}x"}}"#).replace(&format!("{secret}x"), "none"),
        json!({"boot": 1, "seq": 11, "type": secret.len(), "card": secret, "note": secret}).to_string(),
        json!({"card": secret}).to_string(),
        json!(secret).to_string(),
        json!([secret, [secret], {"x": {"card": secret}}, {"card": secret, "deposit": {"card": secret}}]).to_string(),
        json!([[{"card": secret}]]).to_string(),
        json!({"boot": 1, "seq": 12, "time": stamp(NOW + DAY), "type": "deposit", "stream": "food", "grams": 1, "card": secret})
            .to_string(),
    ];
    let topics = [
        BIN,
        CAMERA,
        "fenlei/v1/gate/bin/stranger/event",
        "fenlei/v1/yard/bin/bin-1/event",
        "fenlei/v1/gate/bin/bin-1/state",
        "fenlei/v1/gate/bin/bin-1/command",
        "fenlei/v1/gate/bin/bin-1/evnt",
        "elsewhere",
    ];
    for topic in topics {
        for payload in &payloads {
            bench.publish(topic, payload).await;
        }
        bench.publish(topic, format!("[{}]", payloads.join(","))).await;
        let large = format!("{{\"card\":\"{secret}\",\"padding\":\"{}\"}}", "x".repeat(300_000));
        bench.publish(topic, large).await;
        assert!(!bench.shows(secret), "{topic}");
    }
    assert!(bench.shows("bin-1"), "the files hold what was stored");
    // What is no JSON is kept as it came.
    bench.publish(BIN, format!("{{\"card\":\"{secret}\"")).await;
    assert!(bench.shows(secret));
}
