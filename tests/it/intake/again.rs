//! What was refused and comes again: counted, compared by what it says, taken in after a mend.

use fenlei::domain::decode::{Element, decode_kept};
use fenlei::domain::inbound::Sender;

use fenlei::store::intake::Retried;
use fenlei::store::registry::{self, DeviceFields};
use fenlei::store::writer::Session;
use fenlei::store::{events, fleet};
use fenlei_wire::vocabulary::{DeviceKind, Verdict};
use serde_json::json;

use super::bench::*;

#[tokio::test]
async fn equal_refusals_are_one_item_with_a_count() {
    let bench = Bench::new().await;
    let mut named = deposit(1);
    named["grams"] = json!(-1);
    for received in 0..5 {
        bench.publish_at(NOW + received, BIN, "not json").await;
        bench.publish_at(NOW + received, BIN, r#"{"boot":1,"type":"fill"}"#).await;
        bench.publish_at(NOW + received, BIN, named.to_string()).await;
        bench.publish_at(NOW + received, CAMERA, "not json").await;
    }
    let items = bench.quarantine().await;
    let counts: Vec<_> = items.iter().map(|item| (item.device.as_str(), item.count, item.first, item.last)).collect();
    let five = |device| (device, 5, NOW, NOW + 4);
    assert_eq!(counts, [five("bin-1"), five("bin-1"), five("bin-1"), five("cam-1")]);
}

#[tokio::test]
async fn an_event_refused_for_its_time_is_no_conflict_when_it_comes_again_in_time() {
    let bench = Bench::new().await;
    let mut early = deposit(1);
    early["time"] = stamp(NOW + 6 * 60_000).into();
    bench.publish(BIN, early.to_string()).await;
    bench.publish_at(NOW + 120_000, BIN, early.to_string()).await;
    let old = deposit(2);
    bench.publish(BIN, old.to_string()).await;
    bench.publish_at(NOW + 91 * DAY, BIN, old.to_string()).await;
    let mut unsynced = deposit(1);
    unsynced["clock"] = "unsynced".into();
    for received in [NOW, NOW + 1] {
        bench.publish_at(received, "fenlei/v1/gate/bin/stranger/event", unsynced.to_string()).await;
    }
    let conflicts = || {
        bench.store.read(|connection| {
            Ok(connection.query_row("SELECT sum(conflicts) FROM boot", [], |row| row.get::<_, i64>(0))?)
        })
    };
    assert_eq!(conflicts().await.unwrap(), 0);
    let mut other = deposit(2);
    other["grams"] = json!(501);
    bench.publish(BIN, other.to_string()).await;
    assert_eq!(conflicts().await.unwrap(), 1);
    assert_eq!(bench.stored().await, 1);
}

#[tokio::test]
async fn what_was_refused_is_taken_in_after_the_mend_with_all_that_follows_from_it() {
    let bench = Bench::new().await;
    let topic = "fenlei/v1/gate/bin/bin-9/event";
    let lost = json!({"type": "lost", "of_boot": 0, "from": 1, "to": 3});
    for sent in [event(1, lost), deposit(2), deposit(3)] {
        bench.publish(topic, sent.to_string()).await;
    }
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
    bench.store.write(put).await.unwrap();
    // Registered in between; what was refused is judged before it is tried again.
    let of = json!({"device": "bin-9", "boot": 1, "seq": 2});
    let judgement = json!({"type": "judgement", "verdict": "incorrect", "confidence": 1, "deposit": of});
    bench.publish(CAMERA, event(1, judgement).to_string()).await;
    for item in bench.quarantine().await {
        let from = Sender { site: "gate".into(), kind: DeviceKind::Bin, device: item.device.clone() };
        let Element::Event(event) = decode_kept(&item.fields.unwrap(), item.first) else { panic!("refused again") };
        for expected in [Retried::Stored, Retried::Known] {
            let (from, event) = (from.clone(), event.clone());
            let retried = bench.store.write(move |session| session.retry(&from, &event, item.first)).await.unwrap();
            assert_eq!(retried, expected);
        }
    }
    let device = bench.store.registry().devices["bin-9"].clone();
    let status = bench.store.read(move |connection| fleet::status(connection, &device)).await.unwrap();
    assert_eq!(status.lost, [fleet::Range { boot: 0, from: 1, to: 3 }]);
    assert_eq!(settled(&bench.publish(topic, deposit(4).to_string()).await), [(1, 4)]);
    let listed =
        bench.store.read(|connection| events::list(connection, &events::Filter { limit: 9, ..Default::default() }));
    let verdicts: Vec<_> = listed.await.unwrap().iter().map(|listed| (listed.event.seq, listed.verdict)).collect();
    assert_eq!(verdicts[2..], [(2, Some(Verdict::Incorrect)), (3, None), (4, None)]);
}
