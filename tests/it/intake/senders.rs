//! Devices that are unknown, on a foreign topic, of the wrong kind, or refused without end.

use fenlei::domain::refusal::Reason;
use fenlei::store::quarantine::{self};
use fenlei::store::registry::{self, DeviceFields};
use fenlei::store::writer::Session;
use fenlei_wire::vocabulary::DeviceKind;
use serde_json::json;

use super::bench::*;

#[tokio::test]
async fn strangers_wrong_topics_and_wrong_kinds_are_refused_receipted_and_used_up() {
    let bench = Bench::new().await;
    let judgement = json!({"type": "judgement", "verdict": "correct", "confidence": 1, "bin": "bin-2"});
    for (topic, sent, reason) in [
        ("fenlei/v1/gate/bin/stranger/event", deposit(1), Reason::UnknownDevice),
        ("fenlei/v1/yard/bin/bin-1/event", deposit(1), Reason::TopicMismatch),
        ("fenlei/v1/gate/camera/bin-1/event", deposit(2), Reason::TopicMismatch),
        (CAMERA, deposit(1), Reason::WrongKind),
        (PROJECTOR, deposit(1), Reason::WrongKind),
        (CAMERA, event(2, judgement), Reason::UnknownTarget),
    ] {
        let (boot, seq) = (sent["boot"].as_u64().unwrap(), sent["seq"].as_u64().unwrap());
        let committed = bench.publish(topic, sent.to_string()).await;
        assert!(committed.receipts.iter().any(|receipt| receipt.covers(boot as u32, seq)), "{topic}");
        assert_eq!(committed.from.unwrap().topic(fenlei_wire::vocabulary::Channel::Event), topic);
        let items = bench.quarantine().await;
        let item = items.last().unwrap();
        assert_eq!((item.reason.as_str(), item.topic.as_str()), (reason.as_str(), topic));
        assert_eq!((item.boot, item.seq, item.first), (Some(boot as u32), Some(seq as i64), NOW));
    }
    // Used up: what comes later under these names is not stored.
    for seq in [1, 2] {
        bench.publish(BIN, deposit(seq).to_string()).await;
    }
    assert_eq!(bench.stored().await, 0);
    for topic in [
        "fenlei/v1/gate/bin/bin-1/config",
        "fenlei/v1/gate/bin/bin-1/evnt",
        "",
        "elsewhere/bin-1",
        "fenlei/v2/a/bin/b/event",
    ] {
        assert!(bench.publish(topic, deposit(3).to_string()).await.receipts.is_empty(), "{topic}");
        assert_eq!(bench.quarantine().await.last().unwrap().reason, Reason::TopicMismatch.as_str());
    }
    assert_eq!(settled(&bench.publish(BIN, deposit(3).to_string()).await), [(1, 3)]);
    assert_eq!(bench.stored().await, 1);
}

#[tokio::test]
async fn beyond_its_cap_a_devices_refusals_are_only_counted_and_nobody_else_is_hurt() {
    let bench = Bench::with_cap(3).await;
    for number in 0..10 {
        bench.publish(BIN, format!("broken {number}")).await;
    }
    // An item that is known goes on counting.
    bench.publish(BIN, "broken 0").await;
    let mut refused = deposit(1);
    refused["grams"] = json!(-1);
    assert_eq!(settled(&bench.publish(BIN, refused.to_string()).await), [(1, 1)], "receipted without a place");
    bench.publish(CAMERA, "broken").await;
    let totals = bench.store.read(quarantine::totals).await.unwrap();
    assert_eq!(totals, (4, 5, 8), "items, refusals among them, overflow");
    assert_eq!(settled(&bench.publish(BIN, deposit(2).to_string()).await), [(1, 2)]);
    assert_eq!(bench.stored().await, 1);
}

#[tokio::test]
async fn a_device_registered_again_goes_on_with_the_names_it_used() {
    let bench = Bench::new().await;
    let stray = "fenlei/v1/gate/bin/bin-9/event";
    let put = |session: &mut Session<'_>| {
        let device = DeviceFields {
            id: "bin-9",
            site: "gate",
            kind: DeviceKind::Bin,
            name: None,
            streams: None,
            password: "$7$",
        };
        registry::put_device(session.connection, &session.registry, &device)
    };
    let mut refused = deposit(1);
    refused["grams"] = json!(-1);
    for seq in 1..4 {
        refused["seq"] = json!(seq);
        bench.store.write(put).await.unwrap();
        assert_eq!(settled(&bench.publish(stray, refused.to_string()).await), [(1, seq)]);
        bench
            .store
            .write(|session| registry::delete(session.connection, registry::Kind::Device, "bin-9"))
            .await
            .unwrap();
        assert_eq!(settled(&bench.publish(stray, refused.to_string()).await), [(1, seq)]);
    }
}
