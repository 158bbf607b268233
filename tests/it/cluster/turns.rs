//! Whose turn a job is: it falls to who can do it, moves on when that is gone, and only who has it writes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::store::leases::{Job, Turn};
use fenlei::store::sql::Connection;
use fenlei::store::writer::Session;
use fenlei::store::{Store, StoreError};
use serde_json::json;

use super::asleep::signal;
use super::lanes::{SITES, populate, shared};
use super::{PATIENCE, holds, start, until};
use crate::crash::check;
use crate::faults::proxy::{Proxy, Weather};
use crate::intake::bench::NOW;
use crate::mosquitto::{self, Broker};
use crate::postgres::server::Server;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::place::Place;

fn touch(now: i64) -> impl FnOnce(&mut Session<'_>) -> Result<(), StoreError> {
    move |session| fenlei::store::states::alive(session.connection, now)
}

/// Who may raise alarms from now on, and no more.
fn offers(store: &Store, jobs: impl IntoIterator<Item = Job>) -> Turn {
    store.offer(BTreeSet::from_iter(jobs));
    store.turn(Job::Alarms)
}

async fn gains(turn: &mut Turn) {
    tokio::time::timeout(PATIENCE, turn.gained()).await.expect("it is gained");
}

async fn loses(turn: &mut Turn) {
    tokio::time::timeout(PATIENCE, turn.lost()).await.expect("it is lost");
}

fn is_refused(written: Result<(), StoreError>) {
    let refused = written.unwrap_err();
    assert!(matches!(refused, StoreError::NotOurTurn), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_one_backends_and_moves_on_when_that_is_gone() {
    let server = Server::start();
    let place = Place::on(server.url());
    let first = shared(&place);
    let mut turn = offers(&first, [Job::Alarms]);
    gains(&mut turn).await;
    let second = shared(&place);
    let mut next = offers(&second, [Job::Alarms]);
    // Whoever believes that it is his turn, and is wrong, writes nothing.
    is_refused(second.during(&next).write(touch(1)).await);
    first.during(&turn).write(touch(2)).await.unwrap();
    let stale = turn.clone();
    drop(turn);
    drop(first);
    gains(&mut next).await;
    second.during(&next).write(touch(3)).await.unwrap();
    is_refused(second.during(&stale).write(touch(4)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_falls_to_who_can_do_it() {
    let server = Server::start();
    let place = Place::on(server.url());
    let (first, second) = (shared(&place), shared(&place));
    let mut turn = offers(&first, Job::ALL);
    gains(&mut turn).await;
    let mut next = offers(&second, [Job::Alarms]);
    offers(&first, Job::ALL.into_iter().filter(|job| *job != Job::Alarms));
    loses(&mut turn).await;
    // What it has under way may still be noted, as long as nobody else has begun.
    gains(&mut next).await;
    is_refused(first.during(&turn).write(touch(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_turn_and_has_it_again_does_not_go_on_with_what_it_had() {
    let server = Server::start();
    let place = Place::on(server.url());
    let first = shared(&place);
    let mut turn = offers(&first, [Job::Alarms]);
    gains(&mut turn).await;
    let stale = turn.clone();
    // Another one has had it and left it, all while this one looked away.
    let beside = fenlei::store::open_beside(place.url()).unwrap();
    assert_eq!(beside.execute("DELETE FROM lease", []).unwrap(), 1);
    loses(&mut turn).await;
    gains(&mut turn).await;
    is_refused(first.during(&stale).write(touch(1)).await);
    first.during(&turn).write(touch(2)).await.unwrap();
}

fn lease(beside: &Connection) -> (String, i64) {
    let asked = "SELECT holder, until FROM lease WHERE job = 'alarms'";
    beside.query_row(asked, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_while_its_job_writes() {
    let server = Server::start();
    let place = Place::on(server.url());
    let first = shared(&place);
    let mut turn = offers(&first, [Job::Alarms]);
    gains(&mut turn).await;
    let beside = fenlei::store::open_beside(place.url()).unwrap();
    let during = first.during(&turn);
    let written = during.write(move |_| {
        let (before, begun) = (lease(&beside), Instant::now());
        while lease(&beside) == before {
            if begun.elapsed() > Duration::from_secs(8) {
                return Err(StoreError::Corrupt("it is not renewed"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    });
    written.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_over_before_what_is_being_written_is_there() {
    let server = Server::start();
    let place = Place::on(server.url());
    let (first, second) = (shared(&place), shared(&place));
    let mut turn = offers(&first, [Job::Alarms]);
    gains(&mut turn).await;
    let mut next = offers(&second, [Job::Alarms]);
    offers(&first, []);
    let beside = fenlei::store::open_beside(place.url()).unwrap();
    let during = first.during(&turn);
    let written = during.write(move |_| {
        // It has run out. The other one looks every second.
        beside.execute("UPDATE lease SET until = 0", [])?;
        let (before, begun) = (lease(&beside), Instant::now());
        while begun.elapsed() < Duration::from_secs(3) {
            if lease(&beside) != before {
                return Err(StoreError::Corrupt("somebody has taken over"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    });
    written.await.unwrap();
    gains(&mut next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_stored_by_whose_turn_it_is_only() {
    let server = Server::start();
    let place = Place::on(server.url());
    let (first, second) = (shared(&place), shared(&place));
    first.write(populate).await.unwrap();
    first.offer(BTreeSet::from([Job::States]));
    gains(&mut first.turn(Job::States)).await;
    let born = |boot: u32| {
        let state = json!({"online": true, "boot": boot}).to_string();
        Inbound::read("fenlei/v1/site-0/bin/bin-0/state", state.as_bytes(), NOW, &CardKey::new([9; 32]))
    };
    let stored = async || first.read(|connection| Ok(check::count(connection, "device_state"))).await.unwrap();
    // It is taken from the broker all the same.
    second.commit(born(1)).await.unwrap();
    assert_eq!(stored().await, 0);
    first.commit(born(1)).await.unwrap();
    assert_eq!(stored().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_read_when_it_is_asked_for() {
    let server = Server::start();
    let place = Place::on(server.url());
    let (first, second) = (shared(&place), shared(&place));
    first.write(populate).await.unwrap();
    // At once: before the second one looks by itself.
    second.refresh().await.unwrap();
    assert_eq!(second.registry().sites.len(), SITES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_stopped_gives_its_jobs_back() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let broker = Broker::start(&folder);
    let mut backend = start(1, &folder, &broker).remove(0);
    backend.ready().await;
    until("it does everything", async || holds(&backend, "forget").await && holds(&backend, "states").await).await;
    assert!(check::count(&folder.store(), "lease") > 0);
    signal("-TERM", backend.id().unwrap());
    assert_eq!(backend.ended().await, Some(0));
    assert_eq!(check::count(&folder.store(), "lease"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_the_broker_or_a_place_to_export_to_moves_to_who_has_it() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let broker = Broker::start(&folder);
    let way = Proxy::to(broker.backend).await;
    let share = ("FENLEI__MQTT__SHARE", "fenlei".to_owned());
    let mut first = Backend::start_with(&folder, Some(&Broker::url_by(way.port)), vec![share.clone()]);
    first.ready().await;
    for job in super::JOBS {
        until("the first does everything", async || holds(&first, job).await).await;
    }
    let nobody = format!("http://127.0.0.1:{}", crate::support::ports::free_port());
    let settings = vec![
        share,
        ("FENLEI__INFLUX__URL", nobody),
        ("FENLEI__INFLUX__ORG", "fenlei".to_owned()),
        ("FENLEI__INFLUX__BUCKET", "fenlei".to_owned()),
        ("FENLEI__INFLUX__TOKEN", "token".to_owned()),
    ];
    let mut second = Backend::start_with(&folder, Some(&broker.url()), settings);
    second.ready().await;
    until("the second exports", async || holds(&second, "export").await).await;
    way.set(Weather { refused: true, ..Weather::default() });
    way.cut();
    for job in ["states", "configure", "dispatch", "alarms"] {
        until("the second does what needs the broker", async || holds(&second, job).await).await;
    }
    for job in ["notices", "linkage", "forget"] {
        assert!(holds(&first, job).await, "{job} needs no broker");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_comes_late_from_who_lost_his_turn_does_not_remain() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let broker = Broker::start(&folder);
    let mut backend = start(1, &folder, &broker).remove(0);
    backend.ready().await;
    let login = ("fenlei", mosquitto::PASSWORD);
    let topic = "fenlei/v1/north/bin/bin-1/config";
    let kept = || {
        let read = ["-t", topic, "-C", "1", "-W", "60"];
        mosquitto::line(&mosquitto::client("mosquitto_sub", broker.backend, login, "reader", &read))
    };
    let valid = kept();
    assert!(valid.contains("version"), "{valid}");
    for late in [r#"{"version":0}"#, ""] {
        let publish = ["-r", "-t", topic, "-m", late];
        let sent = mosquitto::client("mosquitto_pub", broker.backend, login, "late", &publish);
        assert!(sent.status.success());
        until("it is put right", async || kept() == valid).await;
    }
}
