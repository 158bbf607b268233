//! `fenlei card-key`: a rotation that changes nothing that is recognized, and a lost key that is replaced.

use fenlei::card_key;
use fenlei::store::sql::Connection;
use fenlei::store::{self, Store};

use super::{CSV, mode};
use crate::support::folder::{Folder, text};

/// How many rows of the cards have the hash of this card under the key of the file.
fn known(folder: &Folder, card: &str) -> i64 {
    let key = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    let count = "SELECT count(*) FROM card WHERE hash = ?1 AND erased IS NULL";
    folder.store().query_row(count, [key.hash(card).0], |row| row.get(0)).unwrap()
}

fn cards_of(store: &Connection, household: &str) -> Vec<i64> {
    let cards =
        "SELECT card FROM household_card WHERE household = (SELECT key FROM household WHERE id = ?1) ORDER BY card";
    let mut select = store.prepare(cards).unwrap();
    select.query_map([household], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_rotated_key_recognizes_every_card_once_the_backend_has_started() {
    let folder = Folder::new();
    folder.write("good.csv", CSV);
    let import = ["import", "households", "--community", "garden", "good.csv"];
    folder.done(&import);
    let cards = cards_of(&folder.store(), "h1");
    if folder.is_file() {
        folder.done(&["backup", "before.db"]);
    }
    let old = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    assert!(folder.done(&["card-key", "rotate"]).contains("a secret was added"));
    assert_eq!(mode(&folder.path("fenlei.card-key")), 0o600);
    // Until the backend starts, commands go on as it does.
    folder.done(&import);
    assert_eq!((known(&folder, "c1"), cards_of(&folder.store(), "h1")), (0, cards.clone()));
    let catch_up = |store: &Connection| card_key::catch_up(store, &folder.path("fenlei.card-key")).unwrap();
    let key = catch_up(&folder.store());
    assert_eq!(known(&folder, "c1"), 1);
    assert_ne!(key.hash("c1"), old.hash("c1"));
    let former = "SELECT count(*) FROM card WHERE hash = ?1";
    let former: i64 = folder.store().query_row(former, [old.hash("c1").0], |row| row.get(0)).unwrap();
    assert_eq!(former, 0);
    folder.done(&import);
    assert_eq!(cards_of(&folder.store(), "h1"), cards);
    // Again, and twice is no harm; a backup from before is brought along as well.
    folder.done(&["card-key", "rotate"]);
    catch_up(&folder.store());
    catch_up(&folder.store());
    assert_eq!((known(&folder, "c1"), cards_of(&folder.store(), "h1")), (1, cards));
    if !folder.is_file() {
        return;
    }
    let backup = Connection::from(rusqlite::Connection::open(folder.path("before.db")).unwrap());
    let newest = catch_up(&backup);
    let known: i64 =
        backup.query_row("SELECT count(*) FROM card WHERE hash = ?1", [newest.hash("c1").0], |row| row.get(0)).unwrap();
    assert_eq!(known, 1);
}

#[test]
fn a_key_that_is_lost_is_replaced_and_what_was_counted_stays_with_its_household() {
    let folder = Folder::new();
    folder.write("good.csv", CSV);
    let import = ["import", "households", "--community", "garden", "good.csv"];
    folder.done(&import);
    let cards = cards_of(&folder.store(), "h1");
    assert!(folder.refused(&["card-key", "replace"]).1.contains("rotate it"));
    std::fs::remove_file(folder.path("fenlei.card-key")).unwrap();
    let running = Store::open(&store::Options::at(folder.url())).unwrap();
    assert!(folder.refused(&["card-key", "replace"]).1.contains("stop `fenlei serve` first"));
    assert!(!folder.path("fenlei.card-key").exists());
    drop(running);
    let said = loop {
        // The lock is let go with the writer's thread.
        let output = folder.fenlei(&["card-key", "replace"]);
        if output.status.success() {
            break text(&output.stdout);
        }
    };
    assert!(said.contains("cards are forgotten"), "{said}");
    assert_eq!(known(&folder, "c1"), 0);
    folder.done(&import);
    assert_eq!(known(&folder, "c1"), 1);
    let now = cards_of(&folder.store(), "h1");
    assert!(now.len() > cards.len() && cards.iter().all(|card| now.contains(card)), "{cards:?} {now:?}");
}
