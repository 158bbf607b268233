//! Bytes that are no event, and JSON too deep, too long or too large to be one.

use fenlei::domain::refusal::Reason;

use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::bench::*;

#[tokio::test]
async fn bytes_that_are_no_json_are_kept_as_they_came_cut_to_4_kib() {
    let bench = Bench::new().await;
    let broken =
        [b"".as_slice(), b"\xff\xfe", b"{", b"{\"boot\":1,\"seq\":1", b"nonsense", b"[1,2", b"{\"boot\":1,\"seq\":1}x"];
    for bytes in broken {
        let committed = bench.publish(BIN, bytes).await;
        assert!(committed.receipts.is_empty(), "no name can be read in {bytes:?}");
    }
    bench.publish(BIN, vec![b'x'; 10_000]).await;
    let items = bench.quarantine().await;
    assert!(items.iter().all(|item| item.reason == Reason::NotJson.as_str() && item.fields.is_none()));
    let kept: Vec<_> = items.iter().map(|item| item.raw.clone().unwrap()).collect();
    assert_eq!(&kept[..broken.len()], broken.map(<[u8]>::to_vec).as_slice());
    assert_eq!(kept[broken.len()].len(), 4_096);
    assert_eq!((bench.stored().await, items.len()), (0, broken.len() + 1));
}

#[tokio::test]
async fn deep_json_is_refused_alone_and_never_costs_its_siblings() {
    let bench = Bench::new().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(bench.publish(BIN, &deep).await.receipts.is_empty());
    let array = format!("[{},{deep},{}]", deposit(1), deposit(2));
    assert_eq!(settled(&bench.publish(BIN, array).await), [(1, 2)]);
    assert_eq!(bench.stored().await, 2);
    // In a field that nobody knows it does no harm; in one that counts, the event's name can be read all the same.
    let time = stamp(NOW);
    let unknown = format!(r#"{{"boot":1,"seq":3,"time":"{time}","type":"heartbeat","extra":{deep}}}"#);
    assert_eq!(settled(&bench.publish(BIN, unknown).await), [(1, 3)]);
    let judgement = format!(
        r#"{{"boot":1,"seq":1,"time":"{time}","type":"judgement","verdict":"correct","confidence":1,"bin":"bin-1","extra":{deep}}}"#
    );
    assert_eq!(settled(&bench.publish(CAMERA, judgement).await), [(1, 1)]);
    assert_eq!(bench.stored().await, 4);
    let card =
        format!(r#"{{"boot":1,"seq":4,"time":"{time}","type":"deposit","stream":"food","grams":1,"card":{deep}}}"#);
    assert_eq!(settled(&bench.publish(BIN, card).await), [(1, 4)]);
    assert_eq!(bench.stored().await, 4);
}

#[tokio::test]
async fn an_array_holds_500_events_and_a_publish_256_kib() {
    let bench = Bench::new().await;
    let events: Vec<_> = (1..=501).map(|seq| event(seq, json!({"type": "heartbeat"}))).collect();
    assert_eq!(settled(&bench.publish(BIN, Value::from(events).to_string()).await), [(1, 501)]);
    let items = bench.quarantine().await;
    assert_eq!((items.len(), items[0].reason.as_str(), items[0].seq), (1, Reason::TooMany.as_str(), Some(501)));
    assert_eq!(bench.stored().await, 500);

    let padded = |size: usize| {
        let mut event = event(502, json!({"type": "heartbeat", "padding": ""}));
        let empty = event.to_string().len();
        event["padding"] = "x".repeat(size - empty).into();
        event.to_string()
    };
    assert_eq!(settled(&bench.publish(BIN, padded(256 * 1024 + 1)).await), [(1, 502)]);
    assert_eq!(bench.quarantine().await[1].reason, Reason::TooLarge.as_str());
    assert_eq!(bench.stored().await, 500);
    bench.publish(BIN, padded(256 * 1024).replace("\"seq\":502", "\"seq\":503")).await;
    assert_eq!(bench.stored().await, 501);
}

#[test]
fn random_bytes_lose_nothing_and_use_up_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(Bench::new());
    let fragment = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"boot\":1",
            "\"seq\":2",
            "\"card\":",
            "1e999",
            "null",
            "\\",
            "\""
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let payload = prop::collection::vec(fragment, 0..8).prop_map(|fragments| fragments.concat());
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    let (seq, names) = (Cell::new(0), RefCell::new(BTreeSet::new()));
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&payload, |payload| {
            // The fragments can name one event by chance: boot 1, seq 2 of the camera.
            let committed = runtime.block_on(bench.publish(CAMERA, &payload));
            names.borrow_mut().extend(committed.receipts.iter().flat_map(settled_seqs));
            seq.set(seq.get() + 1);
            let good = runtime.block_on(bench.publish(BIN, deposit(seq.get()).to_string()));
            prop_assert_eq!(settled(&good), [(1, seq.get())]);
            Ok(())
        })
        .unwrap();
    assert!(names.borrow().iter().all(|name| *name == (1, 2)), "{names:?}");
    assert_eq!(runtime.block_on(bench.stored()) as u64, seq.get());
}

fn settled_seqs(receipt: &fenlei::domain::marks::Receipt) -> Vec<(u32, u64)> {
    let ranges = [(1, receipt.through)].into_iter().chain(receipt.beyond.iter().copied());
    ranges.flat_map(|(first, last)| (first..=last).map(|seq| (receipt.boot, seq))).collect()
}
