//! The store under test, driven through its public paths, beside the model of what it must hold.

use std::collections::VecDeque;

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use fenlei::domain::awareness::{self, Outcome, VisitKind};
use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::domain::marks::Receipt;
use fenlei::domain::period::Span;
use fenlei::domain::registry::{Organization, OrganizationKind};
use fenlei::domain::roster::HouseholdRow;
use fenlei::domain::statistics::Participation;
use fenlei::store::registry::{self, DeviceFields, SiteFields};
use fenlei::store::roster::{self, ImportError};
use fenlei::store::{Options, Store, StoreError, erasure, states, visits};
use fenlei_wire::vocabulary::DeviceKind;
use serde_json::{Value, json};

use super::compare::numbers;
use super::figures::local;
use super::history::{COMMUNITIES, DEVICES, Flaw, History, LATE, OUTCOMES, Op, Publish, Row, SITES, STREAMS};
use super::history::{Schedule, Visit, Window, card_name, instant};
use super::model::{Element, Model};
use crate::support::place::Place;

pub fn key() -> CardKey {
    CardKey::new([7; 32])
}

/// A publish as it went out, to be sent again.
struct Sent {
    device: usize,
    payload: Vec<u8>,
    elements: Vec<Element>,
}

pub struct World<'a> {
    pub history: &'a History,
    pub model: Model,
    pub store: Store,
    place: Place,
    sent: Vec<Sent>,
    /// Arrives after everything that the history can have happen.
    arrivals: i64,
    /// When devices say whether they are online.
    clock: i64,
    pending: VecDeque<(Vec<Receipt>, fenlei::store::queue::Pending)>,
}

impl<'a> World<'a> {
    pub async fn new(history: &'a History) -> Self {
        let place = Place::new();
        let store = Store::open(&Options::at(place.url())).unwrap();
        populate(&store).await;
        let begins = history.day(-6).and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_millis();
        let arrivals = history.day(9).and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_millis();
        let (model, clock) = (Model::default(), begins);
        Self { history, model, store, place, sent: Vec::new(), arrivals, clock, pending: VecDeque::new() }
    }

    pub async fn apply(&mut self, op: &Op) {
        match op {
            Op::Publish(publish) => self.publish(publish).await,
            Op::Resend(nth) if !self.sent.is_empty() => self.resend(*nth).await,
            Op::Resend(_) | Op::Check(_) => {}
            Op::Schedule { site, schedule } => self.schedule(*site, schedule).await,
            Op::Import { community, rows } => self.import(*community, rows).await,
            Op::Visit { community, visits } => self.visit(*community, visits).await,
            Op::Erase { community, household, now_hours } => self.erase(*community, *household, *now_hours).await,
            Op::Replace(device) if *device != LATE || self.model.registered_late => {
                let (id, now) = (DEVICES[*device].id, self.clock);
                let rotate = move |session: &mut fenlei::store::writer::Session<'_>| {
                    registry::rotate_secret(session.connection, &session.registry, id, "$7$", true, now)
                };
                self.store.write(rotate).await.unwrap();
                self.model.replace(*device, now);
            }
            Op::Replace(_) => {}
            Op::Register => {
                put_device(&self.store, LATE).await;
                self.model.registered_late = true;
            }
            Op::State { device, online, boot, after_minutes } => {
                self.clock += after_minutes * 60_000;
                let topic = topic(*device, "state");
                let payload = json!({"online": online, "boot": boot}).to_string();
                let inbound = Inbound::read(&topic, payload.as_bytes(), self.clock, &key());
                self.store.commit(inbound).await.unwrap();
                self.model.state(*device, *online, *boot, self.clock);
            }
            Op::Alive { after_minutes } => {
                self.clock += after_minutes * 60_000;
                let now = self.clock;
                self.store.write(move |session| states::alive(session.connection, now)).await.unwrap();
                self.model.alive(now);
            }
            Op::Restart => self.restart().await,
        }
    }

    async fn publish(&mut self, publish: &Publish) {
        let zone = SITES[DEVICES[publish.device].site].zone;
        let moments: Vec<_> = publish
            .items
            .iter()
            .map(|item| instant(zone, self.history.day(item.day), item.wall_ms, item.second))
            .collect();
        let last = moments.iter().map(DateTime::timestamp_millis).max().unwrap();
        let received = if publish.late { self.next_arrival() } else { last + 1_500 };
        let (mut values, mut elements) = (Vec::new(), Vec::new());
        for (item, moment) in publish.items.iter().zip(&moments) {
            let moment = match item.flaw {
                Flaw::Ahead => *moment + Duration::milliseconds(received - moment.timestamp_millis() + 5 * 60_000 + 1),
                Flaw::Behind => {
                    *moment - Duration::milliseconds(moment.timestamp_millis() - received + 90 * 86_400_000 + 1)
                }
                Flaw::None | Flaw::Type => *moment,
            };
            let mut value = item.body.fields();
            value["boot"] = item.boot.into();
            value["seq"] = item.seq.into();
            value["time"] = moment.to_rfc3339_opts(SecondsFormat::Millis, false).into();
            if item.unsynced {
                value["clock"] = "unsynced".into();
            }
            if item.flaw == Flaw::Type {
                value["type"] = "no_such_type".into();
            }
            values.push(value);
            elements.push(Element {
                boot: item.boot,
                seq: item.seq,
                stamped: moment.timestamp_millis(),
                unsynced: item.unsynced,
                body: item.body.clone(),
                broken: item.flaw == Flaw::Type,
            });
        }
        let payload = if publish.array { Value::Array(values) } else { values.swap_remove(0) };
        let sent = Sent { device: publish.device, payload: payload.to_string().into_bytes(), elements };
        self.send(&sent, received).await;
        self.sent.push(sent);
    }

    async fn resend(&mut self, nth: usize) {
        let received = self.next_arrival();
        let nth = nth % self.sent.len();
        let sent = &self.sent[nth];
        let again = Sent { device: sent.device, payload: sent.payload.clone(), elements: sent.elements.clone() };
        self.send(&again, received).await;
    }

    /// Submits without waiting: what comes next may share its transaction.
    async fn send(&mut self, sent: &Sent, received: i64) {
        let inbound = Inbound::read(&topic(sent.device, "event"), &sent.payload, received, &key());
        let pending = self.store.submit(inbound).await.unwrap();
        let boots = self.model.publish(sent.device, &sent.elements, received);
        let expected = boots.into_iter().map(|boot| self.receipt(sent.device, boot)).collect();
        self.pending.push_back((expected, pending));
    }

    /// Waits for all that was submitted, and compares the receipts.
    pub async fn settle(&mut self) {
        for (expected, pending) in std::mem::take(&mut self.pending) {
            let mut receipts = pending.await.unwrap().unwrap().receipts;
            receipts.sort_by_key(|receipt| receipt.boot);
            assert_eq!(receipts, expected, "receipts");
        }
    }

    fn receipt(&self, device: usize, boot: u32) -> Receipt {
        let settled = self.model.settled((device, self.model.incarnation(device), boot));
        let through = settled.first().filter(|(first, _)| *first == 1).map_or(0, |(_, last)| *last);
        let beyond = settled.into_iter().filter(|(first, _)| *first > 1).take(32).collect();
        Receipt { boot, through, beyond }
    }

    fn next_arrival(&mut self) -> i64 {
        self.arrivals += 1_000;
        self.arrivals
    }

    async fn schedule(&mut self, site: usize, schedule: &Schedule) {
        let document = serde_json::from_value(self.document(schedule)).unwrap();
        let now = self.clock;
        self.store
            .write(move |session| {
                let id = SITES[site].id;
                registry::put_schedule(session.connection, &session.registry, session.rollups, id, &document, now)
            })
            .await
            .unwrap();
        self.model.schedules.entry(site).or_default().push(schedule.clone());
    }

    fn document(&self, schedule: &Schedule) -> Value {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let window = |window: &Window| {
            let mut value = json!({"open": clock(window.open), "close": clock(window.close)});
            if let Some(streams) = &window.streams {
                value["streams"] = streams.iter().map(|stream| STREAMS[*stream]).collect();
            }
            if window.makeup {
                value["makeup"] = true.into();
            }
            value
        };
        let weekly = schedule.weekly.iter().map(|(days, one)| {
            let mut value = window(one);
            value["days"] = days.iter().map(|day| DAYS[*day as usize]).collect();
            value
        });
        let dates = schedule.dates.iter().map(|(date, windows)| {
            json!({"date": self.history.day(*date), "windows": windows.iter().map(window).collect::<Vec<_>>()})
        });
        json!({"valid_from": self.history.day(schedule.valid_from), "weekly": weekly.collect::<Vec<_>>(),
            "dates": dates.collect::<Vec<_>>()})
    }

    async fn visit(&mut self, community: usize, visits: &[Visit]) {
        let registered = self.store.registry().communities[COMMUNITIES[community].0].key;
        let kind = |survey| if survey { VisitKind::Survey } else { VisitKind::Visit };
        let rows: Vec<_> = visits
            .iter()
            .map(|visit| awareness::Visit {
                household: format!("household-{}", visit.household),
                date: self.history.day(visit.day),
                kind: kind(visit.survey),
                outcome: Outcome::parse(OUTCOMES[visit.outcome]).unwrap(),
                claimed: visit.claimed,
                tested: visit.tested,
            })
            .collect();
        let today = self.history.day(9);
        let record = move |session: &mut fenlei::store::writer::Session<'_>| {
            visits::record(session.connection, registered, rows.into(), today)
        };
        let recorded = match self.store.write(record).await {
            Ok(recorded) => recorded > 0,
            Err(ImportError::Rows(_)) => false,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(recorded, self.model.visit(community, visits), "whether the visits are recorded");
    }

    /// Erases, and holds every figure up to today against what it was.
    async fn erase(&mut self, community: usize, household: usize, now_hours: i64) {
        let now = self.now(now_hours);
        let (id, zone) = COMMUNITIES[community];
        let registered = self.store.registry().communities[id].clone();
        self.settle().await;
        let before = self.figures_until(now).await;
        let erased = self
            .store
            .write(move |session| erasure::erase(session, &registered, &format!("household-{household}"), now))
            .await
            .unwrap();
        let after = self.figures_until(now).await;
        assert_eq!(before, after, "figures before and after an erasure");
        let center = self.history.day(0);
        let day = |zone: chrono_tz::Tz, at: i64| (local(zone, at).date - center).num_days();
        let today = day(zone, now.timestamp_millis());
        assert_eq!(erased, self.model.erase(community, household, today, day), "whether the household is erased");
    }

    /// The figures of both communities for spans that end today or earlier, on which the erasure of today has no say.
    async fn figures_until(&self, now: DateTime<Utc>) -> Vec<(Participation, [u64; 7])> {
        let mut figures = Vec::new();
        for (id, zone) in COMMUNITIES {
            let today = now.with_timezone(&zone).date_naive();
            for (days, before) in [(1, 0), (3, 0), (7, 1), (20, 0), (4, 2), (2, 4)] {
                let to = today - Duration::days(before);
                let span = Span::new(to - Duration::days(days - 1), to).unwrap();
                let registry = self.store.registry();
                let community = registry.communities[id].clone();
                let read = self.store.read(move |connection| {
                    let counts = fenlei::store::figures::counts(connection, &registry, &community, span, now)?;
                    let aware = visits::figure(connection, &community, span, today)?;
                    Ok((counts.participation(span, today), numbers(&aware)))
                });
                figures.push(read.await.unwrap());
            }
        }
        figures
    }

    async fn import(&mut self, community: usize, rows: &[Row]) {
        let registered = self.store.registry().communities[COMMUNITIES[community].0].key;
        let imported: Vec<_> = rows.iter().map(|row| self.household(community, row)).collect();
        let outcome =
            self.store.write(move |session| roster::import(session.connection, registered, &imported, &key())).await;
        let possible = self.model.import(community, rows);
        match outcome {
            Ok(_) => assert!(possible, "an import was made that contradicts the roster"),
            Err(ImportError::Rows(_)) => assert!(!possible, "an import was refused that contradicts nothing"),
            Err(ImportError::Store(error)) => panic!("{error}"),
        }
    }

    fn household(&self, community: usize, row: &Row) -> HouseholdRow {
        HouseholdRow {
            household: format!("household-{}", row.household),
            building: None,
            enrolled_from: self.history.day(row.from),
            enrolled_until: row.until.map(|until| self.history.day(until)),
            cards: row.cards.iter().map(|own| card_name(community * 4 + own)).collect(),
        }
    }

    async fn restart(&mut self) {
        self.settle().await;
        let options = Options::at(self.place.url());
        // The old store must be gone before the new one opens: a backend is one process.
        let unused = Store::open(&Options::at(self.place.path().join("unused.db"))).unwrap();
        drop(std::mem::replace(&mut self.store, unused));
        self.store = loop {
            match Store::open(&options) {
                Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let now = self.clock;
        self.store.write(move |session| states::begin(session.connection, now)).await.unwrap();
        self.model.begin(now);
    }

    pub fn now(&self, hours: i64) -> DateTime<Utc> {
        self.history.day(0).and_hms_opt(0, 0, 0).unwrap().and_utc() + Duration::hours(hours)
    }

    pub fn day(&self, offset: i64) -> NaiveDate {
        self.history.day(offset)
    }
}

fn topic(device: usize, channel: &str) -> String {
    let Device { id, site, kind } = registered(device);
    format!("fenlei/v1/{site}/{}/{id}/{channel}", kind.as_str())
}

struct Device {
    id: &'static str,
    site: &'static str,
    kind: DeviceKind,
}

fn registered(device: usize) -> Device {
    let kind = if DEVICES[device].camera { DeviceKind::Camera } else { DeviceKind::Bin };
    Device { id: DEVICES[device].id, site: SITES[DEVICES[device].site].id, kind }
}

async fn put_device(store: &Store, device: usize) {
    let Device { id, site, kind } = registered(device);
    store
        .write(move |session| {
            let fields = DeviceFields { id, site, kind, name: None, streams: None, password: "$7$" };
            registry::put_device(session.connection, &session.registry, &fields)
        })
        .await
        .unwrap();
}

async fn populate(store: &Store) {
    let work = |session: &mut fenlei::store::writer::Session<'_>| {
        let committee =
            Organization { id: "committee".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
        registry::put_organization(session.connection, &committee)?;
        for (id, zone) in COMMUNITIES {
            registry::put_community(session.connection, id, id, "committee", zone)?;
        }
        for site in &SITES {
            let community = COMMUNITIES[site.community].0;
            let (id, zone) = (site.id, site.zone);
            let fields = SiteFields { id, community, name: id, zone, latitude: None, longitude: None };
            registry::put_site(session.connection, &session.registry, &fields)?;
        }
        Ok::<_, registry::RegistryError>(())
    };
    store.write(work).await.unwrap();
    for device in (0..DEVICES.len()).filter(|device| *device != LATE) {
        put_device(store, device).await;
    }
}
