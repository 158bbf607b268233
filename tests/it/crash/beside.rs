//! The commands beside a backend that is under load: nothing goes wrong on either side, and what they do is there at once.

use serde_json::json;

use super::{check, say};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{CARDS, Load};
use crate::support::place::Place;

const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_beside_a_busy_backend() {
    let folder = Folder::at(Place::in_a_file());
    folder.write("good.toml", "[store]\nreaders = 2\n");
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, 1);
    load.flows().await;
    let mut backups = Vec::new();
    for round in 1..=ROUNDS {
        load.flows().await;
        // What took place between two commands is read at once: nothing waits for the backend to look again.
        let token = folder.done(&["token", "add", "--role", "admin"]);
        let token = token.trim();
        assert!(!backend.get(token, "devices").await["items"].as_array().unwrap().is_empty());
        assert_eq!(folder.done(&["token", "list"]).lines().count(), round + 1);
        folder.write("households.csv", &households(round));
        let made = folder.done(&["import", "households", "--community", "garden", "households.csv"]);
        assert_eq!(made, format!("1 households created, {} updated\n", round - 1));
        let figures = backend.get(token, &participation()).await;
        assert_eq!(figures["periods"][0]["households"], json!(round), "{figures}");
        let name = format!("backup-{round}.db");
        folder.done(&["backup", &name]);
        backups.push(name);
        assert_eq!(folder.done(&["check-config", "good.toml"]), "good.toml: good\n");
        load.flows().await;
    }
    let told = load.finish().await;
    let token = folder.done(&["token", "add", "--role", "admin"]);
    let figures = backend.get(token.trim(), &participation()).await;
    assert_eq!(figures["periods"][0]["participating"], json!(ROUNDS), "{figures}");
    backend.kill();
    let log = backend.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR") && !log.contains("panicked"), "{log}");
    let events = check::everything(&folder, &told);
    say(&format!("beside: {events} events, {ROUNDS} rounds of five commands"));
    for name in &backups {
        is_a_prefix(&folder, name);
    }
}

/// One household more than before, each with a card of the load.
fn households(count: usize) -> String {
    let rows = CARDS.iter().zip(1..=count).map(|(card, number)| format!("h{number},,2026-01-01,,{card}\n"));
    format!("household,building,enrolled_from,enrolled_until,cards\n{}", rows.collect::<String>())
}

/// Of all days on which something may have happened.
fn participation() -> String {
    use fenlei::clock::{Clock, SystemClock};
    let today = SystemClock.now().with_timezone(&chrono_tz::Asia::Shanghai).date_naive();
    let from = today - chrono::Days::new(25);
    format!("communities/garden/participation?from={from}&to={today}&period=range")
}

/// The copy is whole, and its ledger is the beginning of what the ledger became.
fn is_a_prefix(folder: &Folder, name: &str) {
    let copy = fenlei::store::sql::Connection::from(rusqlite::Connection::open(folder.path(name)).unwrap());
    check::integrity(&copy);
    let rows = check::count(&copy, "ledger");
    assert!(rows > 0);
    copy.execute("ATTACH ?1 AS whole", [folder.path("fenlei.db").to_str().unwrap()]).unwrap();
    // A later judgement may have changed the verdict of a deposit: that is no part of what came.
    let columns = "id, boot, seq, time, lag, type, unsynced, stream, grams, card, verdict, detail";
    let strangers = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM main.ledger EXCEPT SELECT {columns} FROM whole.ledger WHERE id <= {rows})"
    );
    let strangers: i64 = copy.query_row(&strangers, [], |row| row.get(0)).unwrap();
    assert_eq!(strangers, 0, "{name}");
}
