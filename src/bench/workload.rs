//! A plausible neighbourhood's events, the same for every run: ten sites of one community, 5,000
//! households that bring two streams twice a day, cameras that judge, heartbeats and fill levels.

use std::path::Path;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use fenlei_wire::vocabulary::{DeviceKind, Stream};

use crate::domain::card::CardKey;
use crate::domain::registry::{Organization, OrganizationKind};
use crate::domain::roster::HouseholdRow;
use crate::domain::zone::DEFAULT_ZONE;
use crate::store::registry::{DeviceFields, SiteFields};
use crate::store::{self, Options, Store};

pub(super) const SITES: u64 = 10;
const BINS_A_SITE: u64 = 4;
const HOUSEHOLDS: u64 = 5_000;

/// The community that the workload fills.
pub const COMMUNITY: &str = "bench";

/// Registers the neighbourhood in a new store under `folder`.
pub async fn prepare(folder: &Path, key: &CardKey) -> anyhow::Result<Store> {
    let store = Store::open(&Options::at(folder.join("bench.db")))?;
    register(&store, key).await?;
    Ok(store)
}

/// Registers the neighbourhood; none of its devices can log in.
pub(super) async fn register(store: &Store, key: &CardKey) -> anyhow::Result<()> {
    store
        .write(|session| -> Result<(), store::registry::RegistryError> {
            let committee =
                Organization { id: "committee".into(), name: "Committee".into(), kind: OrganizationKind::Committee };
            store::registry::put_organization(session.connection, &committee)?;
            store::registry::put_community(session.connection, COMMUNITY, "Bench", "committee", DEFAULT_ZONE)
        })
        .await?;
    store
        .write(|session| -> Result<(), store::registry::RegistryError> {
            for site in 0..SITES {
                let id = format!("site-{site}");
                let fields = SiteFields {
                    id: &id,
                    community: COMMUNITY,
                    name: &id,
                    zone: DEFAULT_ZONE,
                    latitude: None,
                    longitude: None,
                };
                store::registry::put_site(session.connection, &session.registry, &fields)?;
                for (kind, device) in devices_of(site) {
                    let fields =
                        DeviceFields { id: &device, site: &id, kind, name: None, streams: None, password: "no login" };
                    store::registry::put_device(session.connection, &session.registry, &fields)?;
                }
            }
            Ok(())
        })
        .await?;
    let rows: Vec<_> = (0..HOUSEHOLDS)
        .map(|household| HouseholdRow {
            household: format!("h{household}"),
            building: None,
            enrolled_from: chrono::NaiveDate::default(),
            enrolled_until: None,
            cards: vec![card(household)],
        })
        .collect();
    let key = key.clone();
    store
        .write(move |session| -> Result<(), store::roster::ImportError> {
            let community = session.registry.communities.get(COMMUNITY).map_or(0, |community| community.key);
            store::roster::import(session.connection, community, &rows, &key).map(drop)
        })
        .await?;
    Ok(())
}

fn devices_of(site: u64) -> impl Iterator<Item = (DeviceKind, String)> {
    let bins = (0..BINS_A_SITE).map(move |bin| (DeviceKind::Bin, format!("bin-{site}-{bin}")));
    bins.chain([(DeviceKind::Camera, format!("camera-{site}"))])
}

/// The card of a household, taken modulo the number of households.
pub(super) fn card(household: u64) -> String {
    format!("04{:012x}", (household % HOUSEHOLDS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16)
}

/// One publish of the workload.
#[derive(Clone, Debug)]
pub struct Publish {
    pub topic: String,
    pub payload: String,
    /// When the event happened, in Unix milliseconds.
    pub time: i64,
}

/// Yields `events` publishes of one event each, 25,000 a day, most of them in the open windows, ending before `until`.
pub struct Workload {
    left: u64,
    done: u64,
    first_day: DateTime<Utc>,
    clock: DateTime<Utc>,
    seqs: Vec<[u64; BINS_A_SITE as usize + 1]>,
    random: u64,
    judged: Option<(u64, DateTime<Utc>)>,
}

impl Workload {
    pub fn new(events: u64, until: DateTime<Utc>) -> Self {
        let days = events.div_ceil(EVENTS_A_DAY);
        let today = until.date_naive().and_time(NaiveTime::MIN).and_utc();
        let first_day = today - TimeDelta::days(i64::try_from(days).unwrap_or(i64::MAX));
        let seqs = vec![[0; BINS_A_SITE as usize + 1]; SITES as usize];
        Self { left: events, done: 0, first_day, clock: first_day, seqs, random: 42, judged: None }
    }

    fn random(&mut self, below: u64) -> u64 {
        // Knuth's MMIX generator: the same events in every run, on every machine.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn publish(&mut self, site: u64, slot: u64, kind: DeviceKind, device: &str, fields: &str) -> Publish {
        let seq = &mut self.seqs[usize::try_from(site).unwrap_or(0)][usize::try_from(slot).unwrap_or(0)];
        *seq += 1;
        let time = (self.clock + TimeDelta::hours(8)).format("%Y-%m-%dT%H:%M:%S%.3f+08:00");
        Publish {
            topic: format!("fenlei/v1/site-{site}/{kind}/{device}/event"),
            payload: format!(r#"{{"boot":1,"seq":{seq},"time":"{time}",{fields}}}"#),
            time: self.clock.timestamp_millis(),
        }
    }
}

/// The same however many events there are: a neighbourhood grows older, not louder.
pub const EVENTS_A_DAY: u64 = 25_000;

/// The day of a site whose hours are kept: which share of its events has come by which minute of the day.
const DAY: [(u64, u64); 6] = [(0, 0), (4, 8 * 60), (48, 9 * 60), (52, 17 * 60), (96, 18 * 60), (100, 24 * 60)];

/// When the event of this number on its day happens, in milliseconds of the day.
fn moment(number: u64) -> u64 {
    let scaled = number * 100;
    let pair = DAY.windows(2).find(|pair| scaled < pair[1].0 * EVENTS_A_DAY);
    let [(share, from), (next, to)] = pair.map_or([DAY[4], DAY[5]], |pair| [pair[0], pair[1]]);
    from * 60_000 + (scaled - share * EVENTS_A_DAY) * (to - from) * 60_000 / ((next - share) * EVENTS_A_DAY)
}

impl Iterator for Workload {
    type Item = Publish;

    fn next(&mut self) -> Option<Publish> {
        self.left = self.left.checked_sub(1)?;
        let (day, number) = (self.done / EVENTS_A_DAY, self.done % EVENTS_A_DAY);
        self.done += 1;
        // The site's clock is eight hours ahead.
        self.clock = self.first_day + TimeDelta::days(i64::try_from(day).unwrap_or(0)) - TimeDelta::hours(8)
            + TimeDelta::milliseconds(i64::try_from(moment(number)).unwrap_or(0));
        let site = self.random(SITES);
        let bin = self.random(BINS_A_SITE);
        let device = format!("bin-{site}-{bin}");
        if let Some((site, at)) = self.judged.take()
            && self.clock - at < TimeDelta::seconds(20)
        {
            let camera = format!("camera-{site}");
            let fields = format!(
                r#""type":"judgement","bin":"bin-{site}-0","verdict":"correct","confidence":0.9{}"#,
                self.random(10)
            );
            return Some(self.publish(site, BINS_A_SITE, DeviceKind::Camera, &camera, &fields));
        }
        let fields = match self.random(20) {
            0 => format!(r#""type":"heartbeat","celsius":2{}.5,"millivolts":3700"#, self.random(10)),
            1 => format!(r#""type":"fill","stream":"food","percent":{}"#, self.random(101)),
            _ => {
                if bin == 0 && self.random(2) == 0 {
                    self.judged = Some((site, self.clock));
                }
                let stream = if bin.is_multiple_of(2) { Stream::Food } else { Stream::Residual };
                let (grams, household) = (200 + self.random(4_000), self.random(HOUSEHOLDS));
                format!(r#""type":"deposit","stream":"{stream}","grams":{grams},"card":"{}""#, card(household))
            }
        };
        Some(self.publish(site, bin, DeviceKind::Bin, &device, &fields))
    }
}
