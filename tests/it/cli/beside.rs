//! Commands beside a busy backend: neither fails for the other, and a backup is of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fenlei::card_key;
use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::store::sql::Connection;
use fenlei::store::{self, Store, tokens};

use super::{CSV, households};
use crate::support::folder::Folder;

/// What must agree at every moment: events in the ledger, and the same counted by the rollups.
fn counts(store: &Connection) -> (i64, i64) {
    let counts = "SELECT (SELECT count(*) FROM ledger),
        (SELECT coalesce(sum(in_window + makeup + off_hours), 0) FROM hour_count)";
    store.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_beside_a_busy_backend_without_an_error_on_either_side() {
    let folder = Arc::new(Folder::new());
    folder.write("households.csv", CSV);
    let store = Store::open(&store::Options::at(folder.url())).unwrap();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let key = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    let device = tokio::spawn(keep_sending(store.clone(), key, Arc::clone(&stop), Arc::clone(&sent)));
    let commands = tokio::task::spawn_blocking({
        let (folder, sent) = (Arc::clone(&folder), Arc::clone(&sent));
        move || {
            let mut tokens = Vec::new();
            for round in 0..5 {
                let before = sent.load(Ordering::SeqCst);
                tokens.push(folder.done(&["token", "add", "--role", "admin"]));
                folder.done(&["import", "households", "--community", "garden", "households.csv"]);
                folder.done(&["token", "list"]);
                let least = sent.load(Ordering::SeqCst);
                if !folder.is_file() {
                    continue;
                }
                let name = format!("{round}.db");
                folder.done(&["backup", &name]);
                let after = sent.load(Ordering::SeqCst);
                assert!(before < least, "the backend was not busy");
                let backup = Connection::open_file(&folder.path(&name)).unwrap();
                let (ledger, rollups) = counts(&backup);
                assert_eq!(ledger, rollups, "the backup is of no one moment");
                // The last commit may be answered a moment after it is in the file.
                assert!((least as i64..=after as i64 + 1).contains(&ledger), "{least} {ledger} {after}");
                let check: String = backup.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
                assert_eq!(check, "ok");
                assert_eq!(households(&backup), 2);
            }
            tokens
        }
    });
    let tokens = commands.await.unwrap();
    stop.store(true, Ordering::SeqCst);
    device.await.unwrap();
    let last = sent.load(Ordering::SeqCst) as i64;
    let counted = store.read(|connection| Ok(counts(connection))).await.unwrap();
    assert_eq!(counted, (last, last));
    for token in tokens {
        assert!(tokens::caller(&folder.store(), token.trim()).unwrap().is_some());
    }
}

/// A bin that deposits as fast as the store takes it.
async fn keep_sending(store: Store, key: CardKey, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let received = chrono::DateTime::parse_from_rfc3339("2026-11-20T08:20:00+08:00").unwrap().timestamp_millis();
    while !stop.load(Ordering::SeqCst) {
        let seq = sent.load(Ordering::SeqCst) + 1;
        let event = format!(
            r#"{{"boot":1,"seq":{seq},"time":"2026-11-20T08:15:30+08:00","type":"deposit","stream":"food","grams":900,"card":"c1"}}"#
        );
        let inbound = Inbound::read("fenlei/v1/north/bin/bin-1/event", event.as_bytes(), received, &key);
        store.commit(inbound).await.unwrap();
        sent.store(seq, Ordering::SeqCst);
    }
}
