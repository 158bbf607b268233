//! Events of which one field is missing, of the wrong type or out of range.

use fenlei::domain::refusal::Reason;

use serde_json::{Value, json};

use super::bench::*;

#[tokio::test]
async fn numbers_out_of_all_bounds() {
    let bench = Bench::new().await;
    let time = stamp(NOW);
    let with = |seq: &str, grams: &str| {
        format!(r#"{{"boot":1,"seq":{seq},"time":"{time}","type":"deposit","stream":"food","grams":{grams}}}"#)
    };
    for (seq, grams) in [(1, "1e999"), (2, "18446744073709551616"), (3, "1.0"), (4, "-1"), (5, "200001"), (6, "\"5\"")]
    {
        assert_eq!(settled(&bench.publish(BIN, with(&seq.to_string(), grams)).await), [(1, seq)], "grams {grams}");
    }
    for seq in ["0", "-1", "1.0", "9007199254740992", "18446744073709551616", "1e999", "null", "\"7\"", "[7]"] {
        assert!(bench.publish(BIN, with(seq, "5")).await.receipts.is_empty(), "seq {seq} is no name");
    }
    assert_eq!(bench.stored().await, 0);
    assert_eq!(
        settled(&bench.publish(BIN, with("9007199254740991", "0")).await),
        [(1, 6), (9007199254740991, 9007199254740991)]
    );
    assert_eq!(bench.stored().await, 1);
    let boot = with("1", "5").replace("\"boot\":1", "\"boot\":4294967296");
    assert!(bench.publish(BIN, boot).await.receipts.is_empty());
}

#[tokio::test]
async fn a_field_given_twice_is_refused_and_a_name_given_twice_is_no_name() {
    let bench = Bench::new().await;
    let time = stamp(NOW);
    let twice = format!(r#"{{"boot":1,"seq":1,"time":"{time}","type":"deposit","stream":"food","grams":1,"grams":2}}"#);
    assert_eq!(settled(&bench.publish(BIN, twice).await), [(1, 1)]);
    let name = format!(r#"{{"boot":1,"seq":2,"seq":3,"time":"{time}","type":"heartbeat"}}"#);
    assert!(bench.publish(BIN, name).await.receipts.is_empty());
    assert_eq!((bench.stored().await, bench.quarantine().await.len()), (0, 2));
}

#[tokio::test]
async fn an_event_is_in_time_from_90_days_back_to_5_minutes_ahead() {
    let bench = Bench::new().await;
    let (ahead, behind) = (5 * 60_000, 90 * DAY);
    for (seq, offset, refused) in [
        (1, ahead, None),
        (2, ahead + 1, Some(Reason::TimeAhead)),
        (3, -behind, None),
        (4, -behind - 1, Some(Reason::TimeBehind)),
    ] {
        let mut sent = deposit(seq);
        sent["time"] = stamp(NOW + offset).into();
        let before = bench.stored().await;
        assert_eq!(settled(&bench.publish(BIN, sent.to_string()).await), [(1, seq)]);
        assert_eq!(bench.stored().await - before, usize::from(refused.is_none()), "{offset} ms");
        let last = bench.quarantine().await.last().map(|item| item.reason.clone());
        assert!(refused.is_none_or(|reason| last.as_deref() == Some(reason.as_str())));
    }
    let mut unsynced = deposit(5);
    unsynced["time"] = "1970-01-01T00:00:00Z".into();
    unsynced["clock"] = "unsynced".into();
    bench.publish(BIN, unsynced.to_string()).await;
    assert_eq!(bench.stored().await, 3);
}

/// A field, and values that it must not have.
type BadValues = (&'static str, Vec<Value>);

/// Of every type: a valid event, and for each field the values that must be refused (`null` stands for: missing).
fn table() -> Vec<(&'static str, Value, Vec<BadValues>)> {
    let missing = Value::Null;
    let text = || json!("unheard_of");
    let share = || vec![json!(-0.01), json!(1.01), json!("1")];
    let stream = || vec![missing.clone(), text(), json!(1)];
    let grams = || vec![missing.clone(), json!(-1), json!(200_001), json!(1.5), json!("1"), json!(true)];
    let seq = || vec![missing.clone(), json!(0), json!(-1), json!(9_007_199_254_740_992_u64), json!(1.5), json!("1")];
    let share_required = || share().into_iter().chain([missing.clone()]).collect::<Vec<_>>();
    let step = |bad: &[&str]| {
        let bad = bad.iter().map(|bad| json!(bad));
        vec![
            ("command", vec![missing.clone(), json!(""), json!("x".repeat(65)), json!(7)]),
            ("status", bad.chain([missing.clone(), text()]).collect()),
            ("detail", vec![json!(7)]),
        ]
    };
    vec![
        (
            BIN,
            json!({"type": "deposit", "stream": "food", "grams": 0, "card": "04a1", "verdict": "correct", "reason": "mixed"}),
            vec![
                ("stream", stream()),
                ("grams", grams()),
                (
                    "card",
                    vec![
                        json!("x".repeat(65)),
                        json!(7),
                        json!(["04a1"]),
                        json!({"id": "04a1"}),
                        json!("二".repeat(22)),
                    ],
                ),
                ("verdict", vec![json!("unjudged"), text(), json!(1)]),
                ("reason", vec![json!(1)]),
                ("time", vec![missing.clone(), json!("2026-11-20 10:00"), json!("2026-11-20T10:00:00"), json!(NOW)]),
                ("clock", vec![json!("sundial"), json!(1)]),
                ("type", vec![missing.clone(), text(), json!(1)]),
            ],
        ),
        (
            BIN,
            json!({"type": "fill", "stream": "residual", "percent": 100, "celsius": -3.5}),
            vec![
                ("stream", stream()),
                ("percent", vec![missing.clone(), json!(-1), json!(100.5), json!("50")]),
                ("celsius", vec![json!("warm")]),
            ],
        ),
        (
            BIN,
            json!({"type": "emptied", "stream": "recyclable", "grams": 200_000}),
            vec![("stream", stream()), ("grams", grams())],
        ),
        (
            BIN,
            json!({"type": "door", "open": true, "by": "staff"}),
            vec![("open", vec![missing.clone(), json!(1), json!("true")]), ("by", vec![missing.clone(), text()])],
        ),
        (
            CAMERA,
            json!({"type": "alarm", "alarm": "tilt", "active": false}),
            vec![("alarm", vec![missing.clone(), text()]), ("active", vec![missing.clone(), json!(0)])],
        ),
        (
            CAMERA,
            json!({"type": "judgement", "verdict": "incorrect", "reason": "mixed", "confidence": 0.5, "bin": "bin-1"}),
            vec![
                ("verdict", vec![missing.clone(), text()]),
                ("reason", vec![text()]),
                ("confidence", share()),
                (
                    "bin",
                    vec![missing.clone(), json!(1), json!("No Id"), json!("cam-1"), json!("bin-2"), json!("bin-9")],
                ),
            ],
        ),
        (
            CAMERA,
            json!({"type": "judgement", "verdict": "correct", "confidence": 1, "deposit": {"device": "bin-1", "boot": 1, "seq": 1}}),
            vec![(
                "deposit",
                vec![
                    missing.clone(),
                    json!("bin-1"),
                    json!({"boot": 1, "seq": 1}),
                    json!({"device": "bin-1", "seq": 1}),
                    json!({"device": "bin-1", "boot": 1}),
                    json!({"device": "bin-1", "boot": 1, "seq": 0}),
                    json!({"device": "bin-1", "boot": -1, "seq": 1}),
                    json!({"device": "cam-1", "boot": 1, "seq": 1}),
                ],
            )],
        ),
        (
            CAMERA,
            json!({"type": "sighting", "what": "littering", "confidence": 0}),
            vec![("what", vec![missing.clone(), text()]), ("confidence", share_required())],
        ),
        (
            PROJECTOR,
            json!({"type": "display", "command": "c-1", "status": "displayed", "detail": "shown"}),
            step(&["done"]),
        ),
        (BIN, json!({"type": "executed", "command": "c-1", "status": "done"}), step(&["displayed", "accepted"])),
        (
            PROJECTOR,
            json!({"type": "heartbeat", "celsius": 20, "millivolts": 3300, "rssi": -70.5}),
            vec![("celsius", vec![text()]), ("millivolts", vec![text()]), ("rssi", vec![text()])],
        ),
        (
            BIN,
            json!({"type": "lost", "of_boot": 0, "from": 1, "to": 1}),
            vec![
                ("of_boot", vec![missing.clone(), json!(-1), json!(4_294_967_296_u64), json!("1")]),
                ("from", seq().into_iter().chain([json!(2)]).collect()),
                ("to", seq()),
            ],
        ),
    ]
}

#[tokio::test]
async fn every_field_of_every_type_missing_or_out_of_range() {
    let bench = Bench::new().await;
    let (mut seq, mut stored, mut refused) = (0, 0, 0);
    for (topic, valid, fields) in table() {
        seq += 1;
        stored += 1;
        let committed = bench.publish(topic, event(seq, valid.clone()).to_string()).await;
        assert!(committed.receipts.iter().any(|receipt| receipt.covers(1, seq)));
        assert_eq!(bench.stored().await, stored, "valid: {valid}; {:?}", bench.quarantine().await.last());
        for (field, values) in fields {
            for value in values {
                seq += 1;
                refused += 1;
                let mut bad = event(seq, valid.clone());
                if value.is_null() {
                    bad.as_object_mut().unwrap().remove(field);
                } else {
                    bad[field] = value;
                }
                let committed = bench.publish(topic, format!("[{bad}]")).await;
                assert!(committed.receipts.iter().any(|receipt| receipt.covers(1, seq)), "receipted: {bad}");
                let items = bench.quarantine().await;
                assert_eq!(items.len(), refused, "refused: {bad}");
                let item = &items[refused - 1];
                assert_eq!(item.seq, Some(seq as i64));
                let named = item.detail.contains(&format!("`{field}"));
                assert!(
                    named || item.reason == "unknown_target" || item.detail.contains("is missing"),
                    "{bad}: {}",
                    item.detail
                );
            }
        }
    }
    assert_eq!(bench.stored().await, stored);
}
