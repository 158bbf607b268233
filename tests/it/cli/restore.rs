//! `fenlei restore`: what was backed up comes back whole, and nothing else ever takes a store's place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use fenlei::store::recount::recount;

use crate::crash::check::{count, integrity};
use crate::support::backend::Backend;
use crate::support::folder::{Folder, text};
use crate::support::load::{BOOT, Load};
use crate::support::place::Place;

/// Every seq in the ledger, by device.
fn seqs(folder: &Folder, name: &str) -> BTreeMap<String, Vec<u64>> {
    let store = fenlei::store::open_beside(folder.path(name)).unwrap();
    let mut select = store
        .prepare("SELECT b.device, l.seq FROM ledger l JOIN boot b ON b.id = l.boot WHERE b.boot = ?1 ORDER BY 1, 2")
        .unwrap();
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in select.query_map([BOOT], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).unwrap() {
        let (device, seq): (String, i64) = row.unwrap();
        seqs.entry(device).or_default().push(seq as u64);
    }
    seqs
}

/// A disk is lost while devices send: the backup takes its place, and they go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_takes_the_place_of_a_lost_store() {
    let folder = Folder::at(Place::in_a_file());
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, fastrand::u64(..));
    load.flows().await;
    folder.done(&["backup", "saved.db"]);
    let told = folder.done(&["recount"]);
    assert!(told.contains("card_count"), "beside the backend: {told}");
    load.flows().await;
    let (code, told) = folder.refused(&["restore", "saved.db"]);
    assert!(code == 1 && told.contains("never overwritten"), "{told}");
    assert!(backend.kill());
    fs::create_dir(folder.path("lost")).unwrap();
    for name in ["fenlei.db", "fenlei.db-wal", "fenlei.db-shm"] {
        fs::rename(folder.path(name), folder.path("lost").join(name)).unwrap();
    }
    let told = folder.done(&["restore", "saved.db"]);
    assert!(told.contains("fenlei.db: restored as of "), "{told}");
    assert_eq!(seqs(&folder, "fenlei.db"), seqs(&folder, "saved.db"));

    backend.start_again();
    backend.ready().await;
    load.flows().await;
    let told = load.finish().await;
    assert!(backend.kill());
    integrity(&folder.store());
    let (stored, lost) = (seqs(&folder, "fenlei.db"), seqs(&folder, "lost/fenlei.db"));
    let mut missing_in_all = 0;
    for (device, events) in &told {
        let taken_in = events.lock().unwrap().len() as u64;
        let stored: BTreeSet<u64> = stored[*device].iter().copied().collect();
        assert_eq!(stored.len(), seqs(&folder, "fenlei.db")[*device].len(), "{device}: twice");
        let lost: BTreeSet<u64> = lost[*device].iter().copied().collect();
        let missing: BTreeSet<u64> = (1..=taken_in).filter(|seq| !stored.contains(seq)).collect();
        // A device keeps what has no receipt: gone is only what the lost store had receipted after the backup.
        assert!(missing.is_subset(&lost), "{device}: {:?}", missing.difference(&lost).next());
        missing_in_all += missing.len();
    }
    assert!(missing_in_all > 0, "something was receipted between the backup and the end of the disk");
    let store = folder.store();
    let gaps: i64 = store.query_row("SELECT sum(last - first + 1) FROM gap", [], |row| row.get(0)).unwrap();
    assert_eq!(gaps, missing_in_all as i64, "each event that is missing is told as missing");
    assert_eq!(count(&store, "quarantine"), 0);
}

#[test]
fn what_is_no_sound_backup_takes_no_place() {
    let folder = Folder::at(Place::in_a_file());
    folder.done(&["token", "add", "--role", "admin"]);
    folder.done(&["backup", "good.db"]);
    // A store of which only the log was left behind.
    fs::rename(folder.path("fenlei.db"), folder.path("moved.db")).unwrap();
    for left in ["fenlei.db-wal", "fenlei.db-shm"] {
        let _ = fs::remove_file(folder.path(left));
    }
    folder.write("fenlei.db-wal", "left");
    assert!(folder.refused(&["restore", "good.db"]).1.contains("fenlei.db-wal is there"));
    fs::remove_file(folder.path("fenlei.db-wal")).unwrap();

    let bytes = fs::read(folder.path("good.db")).unwrap();
    folder.write("text.db", "this is no database, however long it is ".repeat(40).as_str());
    fs::write(folder.path("half.db"), &bytes[..bytes.len() / 2]).unwrap();
    let change = |name: &str, sql: &str| {
        fs::copy(folder.path("good.db"), folder.path(name)).unwrap();
        rusqlite::Connection::open(folder.path(name)).unwrap().execute_batch(sql).unwrap();
    };
    change("newer.db", "PRAGMA user_version = 9999");
    change("empty.db", "PRAGMA user_version = 0");
    change("changed.db", "INSERT INTO hour_count VALUES (1, 20000, 8, 1, 1, 0, 0, 0, 0, 1, 7)");
    for (name, says) in [
        ("absent.db", "there is no file absent.db"),
        ("text.db", "no backup of a store"),
        ("empty.db", "no backup of a store"),
        ("newer.db", "use a newer fenlei"),
        ("half.db", "half.db"),
    ] {
        let (code, told) = folder.refused(&["restore", name]);
        assert!(code == 1 && told.contains(says), "{name}: {told}");
    }
    let output = folder.fenlei(&["restore", "changed.db"]);
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("hour_count: site north, 2024-10-04 8:00, food"), "{told}");
    let left: BTreeSet<_> = fs::read_dir(folder.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("draft")), "a draft was left: {left:?}");
    assert!(!folder.path("fenlei.db").exists());

    // The last thing that is tried is good.
    let output = folder.fenlei(&["restore", "good.db"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(super::mode(&folder.path("fenlei.db")), 0o600);
    assert_eq!(recount(&folder.store()).unwrap().differences(), 0);
    assert!(!text(&output.stderr).contains("card key"), "this store was begun with none");
}

#[test]
fn whoever_restores_is_told_of_the_card_key() {
    let folder = Folder::at(Place::in_a_file());
    let key = folder.path("fenlei.card-key");
    fenlei::card_key::for_store(&folder.store(), &key).unwrap();
    folder.done(&["backup", "saved.db"]);
    fs::rename(&key, folder.path("elsewhere")).unwrap();
    let again = |expected: &str| {
        for name in ["fenlei.db", "fenlei.db-wal", "fenlei.db-shm"] {
            let _ = fs::remove_file(folder.path(name));
        }
        let output = folder.fenlei(&["restore", "saved.db"]);
        let told = text(&output.stderr);
        assert!(output.status.success() && told.contains(expected), "{told}");
        assert!(!folder.path("fenlei.card-key").exists() || expected != "put it back", "no key is made");
    };
    again("put it back");
    fenlei::card_key::load_or_create(&key).unwrap();
    again("is not the key this store was begun with");
    fs::rename(folder.path("elsewhere"), &key).unwrap();
    again("revoked or erased since");
    let output = folder.fenlei(&["recount"]);
    assert!(output.status.success());
}
