//! `fenlei recount`: it finds nothing in a sound store, and every kind of damage in another.

use fenlei::domain::card::CardKey;
use fenlei::domain::event::{Deposit, DepositRef};
use fenlei::domain::inbound::Inbound;
use fenlei::store::notes::{NoteError, NotedDeposit, note_deposit, note_verdict};
use fenlei::store::recount::{Report, recount};
use fenlei::store::{Options, Store};
use fenlei_wire::vocabulary::{DeviceKind, Stream, Verdict};
use serde_json::json;

use crate::support::folder::{Folder, text};
use crate::support::load::register;
use crate::support::place::Place;

/// 2026-11-20T10:00:00+08:00.
const NOW: i64 = 1_795_140_000_000;
const HOUR: i64 = 3_600_000;
const KEY: [u8; 32] = [9; 32];

/// Deposits in a window, in two at once, at no open hour; judged by the bin, a camera and a volunteer; a gap, and a loss.
async fn filled(folder: &Folder) {
    register(folder, [("cam-1", DeviceKind::Camera)]);
    {
        let store = folder.store();
        let registry = fenlei::store::registry::load(&store).unwrap();
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let windows = [("08:00", "09:00"), ("08:15", "10:00")];
        let weekly = windows.map(|(open, close)| json!({"days": days, "open": open, "close": close}));
        let schedule = serde_json::from_value(json!({"valid_from": "2026-11-19", "weekly": weekly})).unwrap();
        let mut none = fenlei::store::rollups::Rollups::default();
        fenlei::store::registry::put_schedule(&store, &registry, &mut none, "north", &schedule, 0).unwrap();
    }
    let store = Store::open(&Options::at(folder.url())).unwrap();
    let mut events = Vec::new();
    for (seq, back) in [(1, 90), (2, 24 * 60 + 110), (3, 300), (5, 49 * 60), (6, 20)] {
        let time = stamp(NOW - back * 60_000);
        let mut event = json!({"boot": 1, "seq": seq, "time": time, "type": "deposit", "stream": "food", "grams": 500});
        if seq != 3 {
            event["card"] = "04a1b2c3".into();
        }
        if seq == 2 {
            event["verdict"] = "incorrect".into();
        }
        events.push(event);
    }
    events.push(json!({"boot": 1, "seq": 9, "time": stamp(NOW), "type": "lost", "of_boot": 1, "from": 7, "to": 7}));
    let judged = json!({"device": "bin-1", "boot": 1, "seq": 1});
    let judgement = json!({"boot": 1, "seq": 1, "time": stamp(NOW), "type": "judgement", "verdict": "correct",
        "confidence": 0.9, "deposit": judged});
    for (topic, payload) in [("bin/bin-1", json!(events)), ("camera/cam-1", judgement)] {
        let topic = format!("fenlei/v1/north/{topic}/event");
        let inbound = Inbound::read(&topic, payload.to_string().as_bytes(), NOW, &CardKey::new(KEY));
        store.commit(inbound).await.unwrap();
    }
    let site = store.registry().sites["north"].clone();
    let noted = store.write(move |session| -> Result<_, NoteError> {
        let deposit = Deposit { stream: Stream::Residual, grams: 0, card: None, verdict: None, reason: None };
        let verdict = Some(Verdict::Correct);
        note_deposit(session, &site, NotedDeposit { time: NOW - HOUR, deposit, household: None, verdict }, NOW)?;
        let of = DepositRef { device: "bin-1".into(), boot: 1, seq: 2 };
        note_verdict(session, &site, of, (Verdict::Correct, None), NOW)
    });
    noted.await.unwrap();
}

fn stamp(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap().to_rfc3339()
}

fn damaged(report: &Report) -> Vec<&str> {
    report.parts.iter().filter(|part| part.differences > 0).map(|part| part.name).collect()
}

#[tokio::test]
async fn a_sound_store_has_no_difference_and_each_damage_is_found_where_it_is() {
    let folder = Folder::new();
    filled(&folder).await;
    let told = folder.done(&["recount"]);
    insta::assert_snapshot!(told, @r"
    counted again           compared   differences
    events                        10             0
    marks                         13             0
    ledger_block                   1             0
    judged                         3             0
    timing                         6             0
    hour_count                     6             0
    card_count                     5             0
    presence                       6             0
    deposit_time                   6             0
    ");
    let changed = |sql: &str| {
        let store = folder.store();
        let transaction = store.transaction().unwrap();
        assert!(transaction.execute(sql, []).unwrap() > 0, "{sql} changes nothing");
        recount(&transaction).unwrap()
    };
    let mut otherwise = Vec::new();
    for (sql, parts) in [
        ("UPDATE hour_count SET grams = grams + 1 WHERE hour = 9", &["hour_count"][..]),
        ("UPDATE hour_count SET unjudged = unjudged - 1, correct = correct + 1 WHERE hour = 5", &["hour_count"]),
        ("INSERT INTO hour_count VALUES (1, -9, 1, 1, 1, 0, 0, 0, 0, 1, 7)", &["hour_count"]),
        ("DELETE FROM card_count WHERE place = 3", &["card_count"]),
        ("DELETE FROM card_count WHERE place = 4", &["card_count"]),
        ("UPDATE card_count SET close = close + 1 WHERE place = 1", &["card_count"]),
        ("UPDATE card_count SET entries = CAST(entries || entries AS BLOB)", &["card_count"]),
        ("UPDATE presence SET minutes = minutes | 1", &["presence"]),
        ("DELETE FROM presence WHERE hour = 8", &["presence"]),
        ("INSERT INTO presence VALUES (1, 30000, 1, 1)", &["presence"]),
        ("UPDATE deposit_time SET entries = substr(entries, 9)", &["deposit_time"]),
        ("UPDATE ledger_block SET last_time = last_time + 1", &["ledger_block"]),
        ("INSERT INTO ledger_block VALUES (1, 77, 1, 2)", &["ledger_block"]),
        ("UPDATE boot SET stored = stored + 1 WHERE device = 'bin-1'", &["marks"]),
        ("UPDATE boot SET next = 6 WHERE device = 'bin-1'", &["marks"]),
        ("INSERT INTO gap SELECT id, 2, 3, 0 FROM boot WHERE device = 'bin-1'", &["marks"]),
        ("DELETE FROM event_row", &["events"]),
        ("DELETE FROM event_block WHERE boot = 1", &["events"]),
        ("INSERT INTO event_block VALUES (99, 1, 77)", &["events"]),
        ("UPDATE event_block SET block = block + 1 WHERE boot = 1", &["events"]),
        ("UPDATE ledger SET timing = 2 WHERE timing = 1", &["timing"]),
        ("UPDATE ledger SET camera = 2 WHERE camera = 1", &["judged", "hour_count", "card_count"]),
        ("DELETE FROM judged", &["judged"]),
        ("UPDATE ledger SET stream = 4 WHERE seq = 3", &["hour_count", "deposit_time"]),
        (
            // All of it a second time, under the same name.
            "INSERT INTO ledger SELECT (SELECT max(id) + 1 FROM ledger), boot, seq, time, lag, type, unsynced, stream, grams,
             card, timing, verdict, camera, volunteer, detail FROM ledger WHERE seq = 5",
            &["events", "marks", "hour_count", "card_count", "deposit_time"],
        ),
        (
            "DELETE FROM ledger WHERE seq = 6",
            &["events", "marks", "hour_count", "card_count", "presence", "deposit_time"],
        ),
    ] {
        let report = changed(sql);
        assert!(report.named().count() > 0, "{sql}");
        if damaged(&report) != parts {
            otherwise.push(format!("{sql}: {:?}", damaged(&report)));
        }
    }
    assert_eq!(otherwise, Vec::<String>::new());
    let schedule = "UPDATE schedule SET document = replace(document, '08:00', '08:50')";
    assert_eq!(damaged(&changed(schedule)), ["timing", "hour_count", "card_count"]);
    assert_eq!(recount(&folder.store()).unwrap().differences(), 0, "what was tried was taken back");
}

#[tokio::test]
async fn differences_are_named_and_end_badly() {
    let folder = Folder::new();
    assert_eq!(folder.refused(&["recount", "--config", "none.toml"]).0, 64);
    filled(&folder).await;
    folder.store().execute("UPDATE hour_count SET grams = grams + 1", []).unwrap();
    let output = folder.fenlei(&["recount"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("hour_count"));
    insta::assert_snapshot!(text(&output.stderr), @r"
    hour_count: site north, 2026-11-18 9:00, food: kept [0, 0, 1, 0, 0, 1, 501], counted [0, 0, 1, 0, 0, 1, 500]
    hour_count: site north, 2026-11-19 8:00, food: kept [1, 0, 0, 1, 0, 0, 501], counted [1, 0, 0, 1, 0, 0, 500]
    hour_count: site north, 2026-11-20 5:00, food: kept [0, 0, 1, 0, 0, 1, 501], counted [0, 0, 1, 0, 0, 1, 500]
    hour_count: site north, 2026-11-20 8:00, food: kept [1, 0, 0, 1, 0, 0, 501], counted [1, 0, 0, 1, 0, 0, 500]
    hour_count: site north, 2026-11-20 9:00, food: kept [1, 0, 0, 0, 0, 1, 501], counted [1, 0, 0, 0, 0, 1, 500]
    hour_count: site north, 2026-11-20 9:00, residual: kept [1, 0, 0, 1, 0, 0, 1], counted [1, 0, 0, 1, 0, 0, 0]
    fenlei: the store differs from its own ledger in 6 places, named above
    ");
}

#[test]
fn a_store_of_another_version_is_not_counted() {
    let folder = Folder::at(Place::in_a_file());
    folder.store().execute_batch("PRAGMA user_version = 3").unwrap();
    let (code, told) = folder.refused(&["recount"]);
    assert_eq!(code, 1);
    assert!(told.contains("schema version 3") && told.contains("fenlei serve"), "{told}");
    std::fs::remove_file(folder.path("fenlei.db")).unwrap();
    assert!(folder.refused(&["recount"]).1.contains("there is no store"));
}
