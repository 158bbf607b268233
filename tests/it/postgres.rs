//! What is PostgreSQL's own: a server that goes away and comes back, several hosts, one backend a database, and the way
//! there from SQLite. That everything else is the same on both, the other tests say: `tests/with-postgres`.

mod failover;
mod pair;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use fenlei::store::{Options, Store, StoreError};
use reqwest::{Client, Response, StatusCode};
use server::Server;

use crate::crash::check;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::Load;
use crate::support::place::Place;
use crate::support::rollups;

/// How often the server is killed under load, and how long it stays away at most.
const KILLS: u32 = 3;
const AWAY_MS: u64 = 2_000;
/// What is said of it as soon as that is noticed, and once it was tried again.
const AWAY: [&str; 2] = ["the connection to the server is lost", "the server is out of reach"];
/// How often the backend is asked for something meanwhile.
const ASKED: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_load_is_waited_for_and_nothing_is_lost() {
    let mut server = Server::start();
    let folder = Folder::at(Place::on(server.url_behind_nobody()));
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, 1);
    let token = folder.done(&["token", "add", "--role", "admin"]);
    for _ in 0..KILLS {
        load.flows().await;
        server.kill();
        // While it is away the backend says so, and to whoever asks that he is to come again.
        let answers = Client::builder().no_proxy().build().unwrap();
        until(async || get(&answers, &backend, "readyz", "").await == StatusCode::SERVICE_UNAVAILABLE).await;
        let said = ask(&answers, &backend, "readyz", "").await.text().await.unwrap();
        assert!(AWAY.iter().any(|words| said.contains(words)), "{said}");
        for _ in 0..ASKED {
            assert_eq!(get(&answers, &backend, "api/v1/events", token.trim()).await, StatusCode::SERVICE_UNAVAILABLE);
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..AWAY_MS))).await;
        server.start_again();
        until(async || get(&answers, &backend, "readyz", "").await == StatusCode::OK).await;
        until(async || get(&answers, &backend, "api/v1/events", token.trim()).await == StatusCode::OK).await;
    }
    let told = load.finish().await;
    assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
    assert!(check::everything(&folder, &told) > 0);
    assert!(!backend.log().contains("panicked"), "{}", backend.log());
    assert!(!backend.log().contains("a request failed"), "that the server is away is said once: {}", backend.log());
}

async fn ask(client: &Client, backend: &Backend, path: &str, token: &str) -> Response {
    let address = format!("http://127.0.0.1:{}/{path}", backend.http);
    client.get(address).bearer_auth(token).send().await.unwrap()
}

async fn get(client: &Client, backend: &Backend, path: &str, token: &str) -> StatusCode {
    ask(client, backend, path, token).await.status()
}

async fn until(holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_moved_with_every_row_and_goes_on_where_it_was() {
    let server = Server::start();
    let folder = Folder::at(Place::in_a_file());
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, 2);
    load.flows().await;
    let told = load.finish().await;
    let target = Place::on(server.url());
    let migrate = ["migrate-store", "--to", &target.url().to_string()];
    assert!(folder.refused(&migrate).1.contains("stop `fenlei serve` first"));
    assert!(backend.kill());
    let said = folder.done(&migrate);
    let rows = |table: &str| -> u64 {
        let line = said.lines().find(|line| line.split_whitespace().next() == Some(table)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(rows("ledger"), told.values().map(|events| events.lock().unwrap().len() as u64).sum::<u64>());
    assert_eq!((rows("organization"), rows("site")), (1, 1));
    // A second time it is in nobody's way.
    assert!(folder.refused(&migrate).1.contains("not empty"));
    let moved = fenlei::store::open_beside(target.url()).unwrap();
    let zones = BTreeMap::from([("north".to_owned(), chrono_tz::Asia::Shanghai)]);
    rollups::equal_the_ledger(&moved, &zones).unwrap();
    // New rows are numbered on.
    drop(moved);
    let folder = Folder::moved(folder, target);
    folder.write("more.csv", "household,building,enrolled_from,enrolled_until,cards\nh8,,2026-01-01,,new-card\n");
    folder.done(&["import", "households", "--community", "garden", "more.csv"]);
    assert_eq!(check::everything(&folder, &told) as u64, rows("ledger"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_served_by_one_backend() {
    let server = Server::start();
    let place = Place::on(server.url());
    let first = Store::open(&Options::at(place.url())).unwrap();
    let refused = Store::open(&Options::at(place.url())).unwrap_err();
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    drop(first);
    // The place is free once the session of the first has ended.
    until(async || Store::open(&Options::at(place.url())).is_ok()).await;
}

/// One that took the place of another may count the same changes of the registry, and have other ones.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_is_read_again_when_it_is_found_again() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let store = Store::open(&Options::at(folder.url())).unwrap();
    let beside = folder.store();
    let revision = store.registry().revision;
    beside.execute("UPDATE site SET name = 'elsewhere' WHERE id = 'north'", []).unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE pid <> pg_backend_pid() AND datname = current_database()";
    assert!(beside.query_row(end, [], |row| row.get::<_, i64>(0)).unwrap() > 0);
    until(async || store.registry().sites["north"].name == "elsewhere").await;
    assert_eq!(store.registry().revision, revision);
}

/// A statement that fails ends its transaction, whoever passes over the error.
#[test]
fn nothing_is_committed_after_a_statement_that_failed() {
    let server = Server::start();
    let place = Place::on(server.url());
    let store = fenlei::store::open_beside(place.url()).unwrap();
    let transaction = store.transaction().unwrap();
    transaction.execute("INSERT INTO meta VALUES ('a', '1')", []).unwrap();
    let twice = transaction.execute("INSERT INTO meta VALUES ('a', 'secret')", []).unwrap_err();
    assert!(!format!("{:#}", anyhow::Error::from(twice)).contains("secret"));
    assert!(transaction.commit().is_err());
    assert_eq!(count(&store), 0);
    store.transaction().unwrap();
    // JSON can name a character that the server cannot keep.
    store.execute("INSERT INTO meta VALUES ('b', ?1)", ["a\0b"]).unwrap();
    assert_eq!(count(&store), 1);
}

fn count(store: &fenlei::store::sql::Connection) -> i64 {
    store.query_row("SELECT count(*) FROM meta WHERE name IN ('a', 'b')", [], |row| row.get(0)).unwrap()
}
