//! Bad input: whatever comes over a topic is stored, refused or ignored as the contract says, and nothing else happens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;

use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::domain::refusal::Reason;
use fenlei::domain::registry::{Organization, OrganizationKind};
use fenlei::store::intake::Committed;
use fenlei::store::quarantine::{self, Item};
use fenlei::store::registry::{self, DeviceFields, RegistryError, SiteFields};
use fenlei::store::writer::Session;
use fenlei::store::{Options, Store, events};
use fenlei_wire::vocabulary::DeviceKind;
use proptest::prelude::*;
use serde_json::{Value, json};

/// 2026-11-20T10:00:00+08:00.
const NOW: i64 = 1_795_140_000_000;
const DAY: i64 = 86_400_000;
const BIN: &str = "fenlei/v1/gate/bin/bin-1/event";
const CAMERA: &str = "fenlei/v1/gate/camera/cam-1/event";
const PROJECTOR: &str = "fenlei/v1/gate/projector/lamp-1/event";

struct Bench {
    store: Store,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with_cap(1_000).await
    }

    async fn with_cap(quarantine_cap: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { quarantine_cap, ..Options::at(folder.path().join("fenlei.db")) };
        let store = Store::open(&options).unwrap();
        store.write(populate).await.unwrap();
        Self { store, folder }
    }

    async fn publish(&self, topic: &str, payload: impl AsRef<[u8]>) -> Committed {
        self.publish_at(NOW, topic, payload).await
    }

    async fn publish_at(&self, received: i64, topic: &str, payload: impl AsRef<[u8]>) -> Committed {
        let inbound = Inbound::read(topic, payload.as_ref(), received, &CardKey::new([9; 32]));
        self.store.commit(inbound).await.unwrap()
    }

    async fn quarantine(&self) -> Vec<Item> {
        let filter = quarantine::Filter { limit: 10_000, ..Default::default() };
        self.store.read(move |connection| quarantine::list(connection, &filter)).await.unwrap()
    }

    async fn stored(&self) -> usize {
        let filter = events::Filter { limit: 10_000, ..Default::default() };
        self.store.read(move |connection| events::list(connection, &filter)).await.unwrap().len()
    }

    /// Whether any byte of the database's files shows this text.
    fn shows(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().contains("fenlei.db")).collect();
        assert!(files.iter().any(|path| path.to_string_lossy().ends_with("-wal")), "the WAL is looked at too");
        files.iter().any(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

fn populate(session: &mut Session<'_>) -> Result<(), RegistryError> {
    let connection = session.connection;
    let committee =
        Organization { id: "committee".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
    registry::put_organization(connection, &committee)?;
    let zone = chrono_tz::Asia::Shanghai;
    registry::put_community(connection, "rose", "玫瑰园", "committee", zone)?;
    for id in ["gate", "yard"] {
        let site = SiteFields { id, community: "rose", name: id, zone, latitude: None, longitude: None };
        registry::put_site(connection, &session.registry, &site)?;
    }
    for (id, site, kind) in [
        ("bin-1", "gate", DeviceKind::Bin),
        ("bin-2", "yard", DeviceKind::Bin),
        ("cam-1", "gate", DeviceKind::Camera),
        ("lamp-1", "gate", DeviceKind::Projector),
    ] {
        let device = DeviceFields { id, site, kind, name: None, streams: None, password: "$7$" };
        registry::put_device(connection, &session.registry, &device)?;
    }
    Ok(())
}

fn stamp(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A valid event with these fields.
fn event(seq: u64, fields: Value) -> Value {
    let mut event = json!({"boot": 1, "seq": seq, "time": stamp(NOW - 1_000)});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

fn deposit(seq: u64) -> Value {
    event(seq, json!({"type": "deposit", "stream": "food", "grams": 500, "card": "04a1b2c3"}))
}

/// The ranges of one receipt, in one list.
fn settled(committed: &Committed) -> Vec<(u64, u64)> {
    let [receipt] = committed.receipts.as_slice() else { panic!("one receipt expected: {committed:?}") };
    let through = (receipt.through > 0).then_some((1, receipt.through));
    through.into_iter().chain(receipt.beyond.iter().copied()).collect()
}

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

/// Of every type: a valid event, and for each field the values that must be refused (`null` stands for: missing).
fn table() -> Vec<(&'static str, Value, Vec<(&'static str, Vec<Value>)>)> {
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

fn settled_seqs(receipt: &fenlei_wire::receipt::Receipt) -> Vec<(u32, u64)> {
    let ranges = [(1, receipt.through)].into_iter().chain(receipt.beyond.iter().copied());
    ranges.flat_map(|(first, last)| (first..=last).map(|seq| (receipt.boot, seq))).collect()
}
