//! What a store must hold after everything that was done to it.

use std::collections::BTreeMap;

use fenlei::card_key;
use fenlei::store::events::{Filter, list};
use fenlei::store::recount::recount;
use fenlei::store::sql::Connection;
use fenlei_wire::event::Event;
use fenlei_wire::time::UnixMillis;
use serde_json::{Map, Value, json};

use crate::support::folder::Folder;
use crate::support::load::{BOOT, Told};
use crate::support::rollups;

/// Every accepted event exactly once and nothing besides, the rollups a recount of them, and the file whole. Says how
/// many events there are.
pub(crate) fn everything(folder: &Folder, told: &Told) -> usize {
    let events = of_devices(folder, told);
    assert_eq!(count(&folder.store(), "ledger"), events as i64, "events in the ledger");
    events
}

/// The same, where other devices may have sent something besides.
pub(crate) fn of_devices(folder: &Folder, told: &Told) -> usize {
    let store = folder.store();
    integrity(&store);
    let mut sent = sent(folder, told);
    let events = sent.len();
    let all = list(&store, &Filter { limit: 10_000_000, ..Filter::default() }).unwrap();
    for stored in all.into_iter().filter(|stored| told.contains_key(stored.device.as_str())) {
        let event = &stored.event;
        let mut fields = numbers(event.body.fields());
        fields.insert("type".to_owned(), event.body.event_type().as_str().into());
        if let fenlei::domain::event::Body::Deposit(deposit) = &event.body {
            fields.extend(deposit.card.map(|card| ("card".to_owned(), json!(card.0))));
        }
        let name = (stored.device.clone(), event.boot, event.seq);
        // Taken out: what comes a second time is found no more.
        let sent = sent.remove(&name).unwrap_or_else(|| panic!("{name:?} was never sent, or is there twice"));
        assert_eq!((event.time, event.unsynced, fields), (sent.0, false, sent.1), "{name:?}");
    }
    assert_eq!(sent.len(), 0, "events that were receipted and are not there: {:?}", sent.keys().next());
    let mut boots =
        store.prepare("SELECT device, incarnation, boot, next, conflicts FROM boot ORDER BY device").unwrap();
    let boots = boots.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    let mut boots: Vec<(String, u32, u32, i64, i64)> = boots.unwrap().collect::<Result<_, _>>().unwrap();
    boots.retain(|(device, ..)| told.contains_key(device.as_str()));
    let next = told.iter().map(|(device, events)| {
        let next = events.lock().unwrap().len() as i64 + 1;
        ((*device).to_owned(), 1, BOOT, next, 0)
    });
    assert_eq!(boots, next.collect::<Vec<_>>());
    for table in ["gap", "lost", "quarantine", "quarantine_overflow"] {
        assert_eq!(count(&store, table), 0, "{table}");
    }
    events
}

/// The file is whole, and the rollups equal a recount of the ledger in it.
pub(crate) fn integrity(store: &Connection) {
    if store.sqlite().is_some() {
        let found: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok");
    }
    let zones = BTreeMap::from([("north".to_owned(), chrono_tz::Asia::Shanghai)]);
    rollups::equal_the_ledger(store, &zones).unwrap();
    let report = recount(store).unwrap();
    assert_eq!(report.differences(), 0, "{report}\n{}", report.named().collect::<Vec<_>>().join("\n"));
}

pub(crate) fn count(store: &Connection, table: &str) -> i64 {
    store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Device, boot and seq.
type Name = (String, u32, u64);

/// When each event happened and what it says, by its name.
fn sent(folder: &Folder, told: &Told) -> BTreeMap<Name, (i64, Map<String, Value>)> {
    let key = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    let mut sent = BTreeMap::new();
    for (device, events) in told {
        for (seq, event) in (1..).zip(events.lock().unwrap().iter()) {
            let UnixMillis(time) = event.time;
            let (time_sent, body) = (event.time, event.what.body());
            let wire = Event { boot: BOOT, seq, time: time_sent, offset_minutes: 480, unsynced: false, body };
            let mut text = String::new();
            wire.encode(&mut text).unwrap();
            let mut fields: Map<String, Value> = serde_json::from_str(&text).unwrap();
            for named in ["boot", "seq", "time"] {
                fields.remove(named);
            }
            let card = fields.get("card").map(|card| json!(key.hash(card.as_str().unwrap()).0));
            let mut fields = numbers(fields);
            fields.extend(card.map(|card| ("card".to_owned(), card)));
            sent.insert(((*device).to_owned(), BOOT, seq), (time, fields));
        }
    }
    sent
}

/// 50 and 50.0 are one number.
fn numbers(fields: Map<String, Value>) -> Map<String, Value> {
    let number = |value: Value| value.as_f64().map_or(value, Value::from);
    fields.into_iter().map(|(name, value)| (name, number(value))).collect()
}
