//! Every kind of page over HTTP, with 50 communities and a year of history, beside what `/healthz` takes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use fenlei_wire::vocabulary::DeviceKind;
use hyper::header;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::clock::SharedClock;
use crate::domain::card::CardKey;
use crate::domain::inbound::Inbound;
use crate::domain::registry::{Organization, OrganizationKind, Project, Role, Targets};
use crate::domain::roster::HouseholdRow;
use crate::domain::zone::DEFAULT_ZONE;
use crate::entrance::{Listener, Slots};
use crate::faults::Faults;
use crate::store::registry::{self, DeviceFields, RegistryError, SiteFields};
use crate::store::retention::Retention;
use crate::store::{Options, Store, StoreError, accounts, roster, sessions};
use crate::web;
use crate::webhook::Reach;

const COMMUNITIES: usize = 50;
const HOUSEHOLDS: usize = 200;
const DAYS: u64 = 365;
/// Deposits of a community in a day, half of them in each open window.
const A_DAY: u64 = 60;
/// Answers timed.
const TURNS: usize = 21;

const PAGES: &[&str] = &[
    "/",
    "/communities/c0",
    "/communities/c0?period=day",
    "/communities/c0/report",
    "/communities/c0/visits",
    "/communities/c0/awareness",
    "/sites",
    "/sites/s0",
    "/sites/s0/schedule",
    "/projectors",
    "/alarms",
    "/fleet",
    "/admin/devices",
    "/admin/audit",
    "/board/c0",
];

/// How long a page takes.
#[derive(Clone, Debug)]
pub struct Timed {
    pub path: &'static str,
    pub median: Duration,
    pub bytes: usize,
}

/// What one run found; the first is `/healthz`.
pub async fn run(folder: &Path, clock: SharedClock) -> anyhow::Result<Vec<Timed>> {
    let store = Store::open(&Options::at(folder.join("pages.db")))?;
    let (key, now) = (CardKey::new([7; 32]), clock.now());
    register(&store, &key, now).await?;
    fill(&store, &key, now).await?;
    let session = sign_in(&store, now).await?;
    let app = web::App {
        store,
        clock,
        card_key: key,
        limits: web::Limits::new(web::Quotas::UNLIMITED),
        retention: Retention::default(),
        webhooks: Reach::Public,
        ready: Arc::new(|| true),
        faults: Faults::default(),
        on_secret_changed: Arc::new(|_, _| {}),
        broker: web::BrokerAddress { host: None, port: 1883, tls: false },
    };
    let (places, patience) = (Slots::new(u32::MAX, u32::MAX), Duration::from_secs(30));
    let listener = Listener::bind("http", SocketAddr::from(([127, 0, 0, 1], 0)), places, patience).await?;
    let base = format!("http://{}", listener.address()?);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(web::serve(vec![listener], patience, web::router(app), stop.clone()));
    let client = Client::new(base, header::COOKIE, session);
    let mut timed = Vec::new();
    for path in std::iter::once(&"/healthz").chain(PAGES) {
        timed.push(time(&client, path).await?);
    }
    stop.cancel();
    serving.await?;
    Ok(timed)
}

async fn time(client: &Client, path: &'static str) -> anyhow::Result<Timed> {
    let mut bytes = 0;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let answer = client.get(path).await?;
        bytes = answer.body.len();
        took.push(answer.took);
    }
    took.sort();
    Ok(Timed { path, median: took[TURNS / 2], bytes })
}

async fn register(store: &Store, key: &CardKey, now: DateTime<Utc>) -> anyhow::Result<()> {
    let starts = now.date_naive().checked_sub_days(Days::new(DAYS / 2)).context("half a year before now")?;
    let committee =
        Organization { id: "committee".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
    store.write(move |session| registry::put_organization(session.connection, &committee)).await?;
    for number in 0..COMMUNITIES {
        let (community, site, bin) = (format!("c{number}"), format!("s{number}"), format!("b{number}"));
        let (id, project) = (community.clone(), format!("p{number}"));
        store
            .write(move |session| -> Result<(), RegistryError> {
                let name = format!("第{number}小区");
                registry::put_community(session.connection, &community, &name, "committee", DEFAULT_ZONE)
            })
            .await?;
        let community = id.clone();
        store
            .write(move |session| -> Result<(), RegistryError> {
                let (zone, name) = (DEFAULT_ZONE, "东门箱房");
                let fields =
                    SiteFields { id: &site, community: &community, name, zone, latitude: None, longitude: None };
                registry::put_site(session.connection, &session.registry, &fields)?;
                let project = Project {
                    id: project,
                    community,
                    organization: "committee".into(),
                    starts,
                    targets: Targets { participation: Some(0.7), awareness: Some(1.0) },
                };
                registry::put_project(session.connection, &project)
            })
            .await?;
        let site = format!("s{number}");
        store
            .write(move |session| -> Result<(), RegistryError> {
                let (kind, password) = (DeviceKind::Bin, "no login");
                let fields = DeviceFields { id: &bin, site: &site, kind, name: None, streams: None, password };
                registry::put_device(session.connection, &session.registry, &fields).map(drop)
            })
            .await?;
        let rows: Vec<_> = (0..HOUSEHOLDS)
            .map(|household| HouseholdRow {
                household: format!("h{household}"),
                building: Some(format!("{}号楼", household / 20 + 1)),
                enrolled_from: NaiveDate::default(),
                enrolled_until: None,
                cards: vec![card(number, household)],
            })
            .collect();
        let key = key.clone();
        store
            .write(move |session| -> Result<(), roster::ImportError> {
                let community = session.registry.communities.get(&id).map_or(0, |community| community.key);
                roster::import(session.connection, community, &rows, &key).map(drop)
            })
            .await?;
    }
    Ok(())
}

fn card(community: usize, household: usize) -> String {
    format!("{community:04}{household:06}")
}

/// The year up to today, deposits only, each in an open window of the default hours.
async fn fill(store: &Store, key: &CardKey, now: DateTime<Utc>) -> anyhow::Result<()> {
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(8);
    let first = midnight.checked_sub_days(Days::new(DAYS)).context("a year before now")?;
    for day in 0..DAYS {
        let begins = first + TimeDelta::days(i64::try_from(day)?);
        let received = (begins + TimeDelta::days(1)).timestamp_millis();
        let mut deposits = Vec::new();
        for community in 0..COMMUNITIES {
            for number in 0..A_DAY {
                let seq = day * A_DAY + number + 1;
                let hour = if number < A_DAY / 2 { 8 } else { 17 };
                let time = begins + TimeDelta::hours(hour) + TimeDelta::minutes(i64::try_from(number % (A_DAY / 2))?);
                let stream = if number % 2 == 0 { "food" } else { "residual" };
                // Neighbours differ in how often they come.
                let household = usize::try_from((seq * seq + day) % 190)?;
                let event = format!(
                    r#"{{"boot":1,"seq":{seq},"time":"{}","type":"deposit","stream":"{stream}","grams":900,"card":"{}","verdict":"correct"}}"#,
                    time.to_rfc3339(),
                    card(community, household)
                );
                let topic = format!("fenlei/v1/s{community}/bin/b{community}/event");
                deposits.push(Inbound::read(&topic, event.as_bytes(), received, key));
            }
        }
        store.submit_all(deposits).await?.await??;
    }
    Ok(())
}

/// The cookie of somebody who sees everything.
async fn sign_in(store: &Store, now: DateTime<Utc>) -> anyhow::Result<String> {
    let now = now.timestamp_millis();
    let begun = store.write(move |session| {
        let roles = BTreeSet::from([Role::Admin]);
        accounts::add(session.connection, "bench", "no password", None, &roles, now)?;
        let found = accounts::find(session.connection, "bench")?;
        let (account, _) = found.ok_or(StoreError::Corrupt("an account vanished"))?;
        sessions::begin(session.connection, account, now)
    });
    Ok(format!("fenlei_session={}", begun.await?))
}
