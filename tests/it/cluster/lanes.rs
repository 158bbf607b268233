//! Several writers on one database at once: what they store is as if one had stored it, and none of them meets another's
//! lock in an order that ends in neither.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::domain::registry::{Organization, OrganizationKind};
use fenlei::store::registry::{self, DeviceFields, RegistryError, SiteFields};
use fenlei::store::writer::Session;
use fenlei::store::{Options, Store, StoreError, events};
use fenlei_wire::vocabulary::DeviceKind;
use serde_json::json;

use super::until;
use crate::crash::check;
use crate::intake::bench::{NOW, stamp};
use crate::postgres::server::Server;
use crate::support::place::Place;
use crate::support::rollups;

const WRITERS: usize = 4;
pub(super) const SITES: usize = 6;
/// Of each device.
const EVENTS: u64 = 150;
/// Shared by all sites: their numbers are given by whoever meets them first.
const CARDS: usize = 400;
const ZONE: chrono_tz::Tz = chrono_tz::Asia::Shanghai;

pub(super) fn shared(place: &Place) -> Store {
    Store::open(&Options { shared: true, ..Options::at(place.url()) }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_four_writers_store_at_once_is_there_once_and_followed_in_order() {
    let server = Server::start();
    let place = Place::on(server.url());
    let stores: Vec<_> = (0..WRITERS).map(|_| shared(&place)).collect();
    stores[0].write(populate).await.unwrap();
    let followed = tokio::spawn(follow(stores[1].clone()));
    let seed = fastrand::u64(..);
    let mut writing = tokio::task::JoinSet::new();
    for (number, store) in stores.iter().enumerate() {
        // Each writes everything, in an order of its own: so every event comes four times, mostly at about the same time.
        let (store, mut publishes) = (store.clone(), publishes(seed));
        Rng::with_seed(seed + number as u64).shuffle(&mut publishes);
        writing.spawn(async move {
            let mut pending = Vec::new();
            for (topic, payload) in publishes {
                let inbound = Inbound::read(&topic, payload.as_bytes(), NOW, &CardKey::new([9; 32]));
                pending.push(store.submit(inbound).await.unwrap());
            }
            for stored in pending {
                stored.await.unwrap().unwrap();
            }
        });
    }
    // Other work comes between, from whoever has it.
    for round in 0..20 {
        let store = &stores[round % WRITERS];
        store.write(move |session| fenlei::store::states::alive(session.connection, round as i64)).await.unwrap();
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
    let expected = SITES * 2 * EVENTS as usize;
    let seen = tokio::time::timeout(Duration::from_secs(60), followed).await.expect("everything is followed").unwrap();
    assert_eq!(seen.len(), expected, "{seed}");
    let store = fenlei::store::open_beside(place.url()).unwrap();
    let all = events::list(&store, &events::Filter { limit: 100_000, ..Default::default() }).unwrap();
    assert_eq!(all.iter().map(|listed| listed.id).collect::<Vec<_>>(), seen, "{seed}: none was stepped over");
    let names: BTreeSet<_> = all.iter().map(|listed| (listed.device.clone(), listed.event.seq)).collect();
    assert_eq!(names.len(), expected, "{seed}");
    let zones: BTreeMap<_, _> = (0..SITES).map(|site| (format!("site-{site}"), ZONE)).collect();
    rollups::equal_the_ledger(&store, &zones).unwrap();
    let report = fenlei::store::recount::recount(&store).unwrap();
    assert_eq!(report.differences(), 0, "{seed}: {report}");
    assert_eq!(check::count(&store, "card"), CARDS as i64, "{seed}: each has one number");
}

/// Reads on whenever there is more, as far as it is told to: the rows that it saw.
async fn follow(store: Store) -> Vec<i64> {
    let (mut committed, mut seen) = (store.committed(), Vec::new());
    let expected = SITES * 2 * EVENTS as usize;
    while seen.len() < expected {
        let (after, through) = (seen.last().copied().unwrap_or(0), *committed.borrow_and_update());
        let filter = events::Filter { after, through: Some(through), limit: 10_000, ..Default::default() };
        let found = store.read(move |connection| events::list(connection, &filter)).await.unwrap();
        seen.extend(found.iter().map(|listed| listed.id));
        // A row that came behind the one before is missing in the end.
        if found.is_empty() {
            committed.changed().await.unwrap();
        }
    }
    seen
}

/// Deposits of the bins, and judgements of them by the site's camera.
fn publishes(seed: u64) -> Vec<(String, String)> {
    let mut random = Rng::with_seed(seed);
    let mut publishes = Vec::new();
    let mut cards: Vec<usize> = (0..SITES * EVENTS as usize).map(|number| number % CARDS).collect();
    random.shuffle(&mut cards);
    for site in 0..SITES {
        for seq in 1..=EVENTS {
            let time = stamp(NOW - random.i64(1..86_400_000));
            let card = format!("04{:06x}", cards.pop().unwrap());
            let deposit = json!({"boot": 1, "seq": seq, "time": time, "type": "deposit", "stream": "food",
                                 "grams": random.u32(1..20_000), "card": card});
            publishes.push((format!("fenlei/v1/site-{site}/bin/bin-{site}/event"), deposit.to_string()));
            let judged = random.u64(1..=EVENTS);
            let of = json!({"device": format!("bin-{site}"), "boot": 1, "seq": judged});
            let judgement = json!({"boot": 1, "seq": seq, "time": time, "type": "judgement", "verdict": "correct",
                                   "confidence": 1, "deposit": of});
            publishes.push((format!("fenlei/v1/site-{site}/camera/cam-{site}/event"), judgement.to_string()));
        }
    }
    publishes
}

pub(super) fn populate(session: &mut Session<'_>) -> Result<(), RegistryError> {
    let connection = session.connection;
    let committee =
        Organization { id: "committee".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
    registry::put_organization(connection, &committee)?;
    registry::put_community(connection, "rose", "玫瑰园", "committee", ZONE)?;
    for site in 0..SITES {
        let id = format!("site-{site}");
        let fields = SiteFields { id: &id, community: "rose", name: &id, zone: ZONE, latitude: None, longitude: None };
        registry::put_site(connection, &session.registry, &fields)?;
        for (device, kind) in [(format!("bin-{site}"), DeviceKind::Bin), (format!("cam-{site}"), DeviceKind::Camera)] {
            let fields = DeviceFields { id: &device, site: &id, kind, name: None, streams: None, password: "$7$" };
            registry::put_device(connection, &session.registry, &fields)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_backend_registers_another_one_knows_when_its_device_speaks() {
    let server = Server::start();
    let place = Place::on(server.url());
    let (first, second) = (shared(&place), shared(&place));
    first.write(populate).await.unwrap();
    // At once: before the second one looks by itself.
    let event = json!({"boot": 1, "seq": 1, "time": stamp(NOW), "type": "door", "open": true, "by": "resident"});
    let topic = "fenlei/v1/site-3/bin/bin-3/event";
    second.commit(Inbound::read(topic, event.to_string().as_bytes(), NOW, &CardKey::new([9; 32]))).await.unwrap();
    let stored = second.read(|connection| Ok(check::count(connection, "ledger"))).await.unwrap();
    assert_eq!(stored, 1);
    until("the first follows it too", async || *first.committed().borrow() > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_shared_by_all_or_by_none() {
    let server = Server::start();
    let place = Place::on(server.url());
    let sharing = shared(&place);
    let refused = Store::open(&Options::at(place.url())).unwrap_err();
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    drop(sharing);
    let alone = async || Store::open(&Options::at(place.url())).ok();
    until("it is free", async || alone().await.is_some()).await;
    let refused = Store::open(&Options { shared: true, ..Options::at(Place::in_a_file().url()) }).unwrap_err();
    assert!(refused.to_string().contains("`mqtt.share` needs a PostgreSQL server"), "{refused}");
}
