//! A pair of servers whose primary is killed under load, again and again. One backend, which is never started again, goes
//! on by itself with whichever is the primary then; no event that it receipted is missing, and none is there twice.
//!
//! `FENLEI_FAILOVERS=10` kills it more often than twice: `FENLEI_FAILOVERS=10 cargo test --test it failover -- --nocapture`.

use std::time::{Duration, Instant};

use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::store::sql::Connection;
use fenlei::store::{Options, Store};
use reqwest::{Client, StatusCode};

use super::pair::Pair;
use super::server::Server;
use super::{get, until};
use crate::crash::{check, say};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{Load, SLOW_TICK};
use crate::support::place::Place;

/// How long the primary is left alone after receipts came again, at most.
const ALONE_MS: u64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_of_a_pair_is_killed_under_load_and_nothing_receipted_is_lost() {
    let kills: u32 = std::env::var("FENLEI_FAILOVERS").map_or(2, |kills| kills.parse().unwrap());
    let pair = Pair::start().await;
    // The pair is to end first: on one half of it, what the folder does in its end would wait for the other for ever.
    let (folder, mut pair) = (Folder::at(Place::on(pair.url())), pair);
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start_with(&credentials, backend.mqtt, 3, SLOW_TICK);
    let token = folder.done(&["token", "add", "--role", "admin"]);
    let answers = Client::builder().no_proxy().build().unwrap();
    for kill in 1..=kills {
        load.flows().await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..ALONE_MS))).await;
        // Every other time in the middle of a commit that nobody else has: it is receipted to nobody, and comes again.
        if kill % 2 == 0 {
            let beside = folder.store();
            pair.deafen_standby().await;
            // It may have begun a moment before: then there is no other after it.
            until(async || waits(&beside, "clock_timestamp() - query_start > interval '300 milliseconds'") != 0).await;
        }
        pair.kill_primary().await;
        let killed = Instant::now();
        pair.succeeded().await;
        let succeeded = killed.elapsed().as_secs_f32();
        pair.start_again();
        // What a device has in its hands since then is receipted when the killed one is back as the standby.
        load.flows().await;
        let receipted = killed.elapsed().as_secs_f32();
        until(async || get(&answers, &backend, "readyz", "").await == StatusCode::OK).await;
        until(async || get(&answers, &backend, "api/v1/events", token.trim()).await == StatusCode::OK).await;
        pair.whole().await;
        let whole = killed.elapsed().as_secs_f32();
        say(&format!(
            "failover {kill}: a primary after {succeeded:.1} s, receipts after {receipted:.1} s, a pair after {whole:.1} s"
        ));
    }
    let told = load.finish().await;
    assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
    let events = check::everything(&folder, &told);
    assert!(events > 0);
    assert!(!backend.log().contains("panicked"), "{}", backend.log());
    say(&format!("failover: {events} events, {kills} kills"));
}

/// What a primary has committed is in sight there as soon as nobody waits for the standby any more, though the standby
/// need not have it. Whoever sends it again is not told that it is kept before it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_primary_alone_has_is_not_receipted_when_it_comes_again() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let store = Store::open(&Options::at(folder.url())).unwrap();
    let beside = folder.store();
    let reload = "SELECT CAST(pg_reload_conf() AS int)";
    beside.execute_batch("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").unwrap();
    ask(&beside, reload);
    let mut seq = 0;
    // The server heeds the setting a moment after it was told to.
    let (sent, first) = loop {
        seq += 1;
        let sent = tokio::spawn(send(store.clone(), seq));
        until(async || sent.is_finished() || waits(&beside, "true") != 0).await;
        if !sent.is_finished() {
            break (sent, waits(&beside, "true"));
        }
    };
    assert_eq!(ask(&beside, "SELECT count(*) FROM ledger"), seq - 1);
    ask(&beside, &format!("SELECT CAST(pg_terminate_backend({first}) AS int)"));
    until(async || ![0, first].contains(&waits(&beside, "true"))).await;
    assert_eq!(ask(&beside, "SELECT count(*) FROM ledger"), seq);
    assert!(!sent.is_finished());
    beside.execute_batch("ALTER SYSTEM RESET synchronous_standby_names").unwrap();
    ask(&beside, reload);
    sent.await.unwrap();
    assert_eq!(ask(&beside, "SELECT count(*) FROM ledger"), seq);
}

/// The session that has committed and waits for a standby, if this is true of it, or 0.
fn waits(beside: &Connection, which: &str) -> i64 {
    let waiting = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    ask(beside, &format!("{waiting} AND {which}"))
}

fn ask(beside: &Connection, sql: &str) -> i64 {
    beside.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// As a device does: again, until it is taken in.
async fn send(store: Store, seq: i64) {
    let received = chrono::DateTime::parse_from_rfc3339("2026-11-20T08:20:00+08:00").unwrap().timestamp_millis();
    let event = format!(
        r#"{{"boot":1,"seq":{seq},"time":"2026-11-20T08:15:30+08:00","type":"door","open":true,"by":"resident"}}"#
    );
    let inbound =
        || Inbound::read("fenlei/v1/north/bin/bin-1/event", event.as_bytes(), received, &CardKey::new([7; 32]));
    while store.commit(inbound()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
