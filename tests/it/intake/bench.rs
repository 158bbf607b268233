//! A store with a few devices, and what its files and listings show.

use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::domain::registry::{Organization, OrganizationKind};
use fenlei::store::intake::Committed;
use fenlei::store::quarantine::{self, Item};
use fenlei::store::registry::{self, DeviceFields, RegistryError, SiteFields};
use fenlei::store::writer::Session;
use fenlei::store::{Options, Store, events};
use fenlei_wire::vocabulary::DeviceKind;
use serde_json::{Value, json};

use crate::support::place::Place;

/// 2026-11-20T10:00:00+08:00.
pub const NOW: i64 = 1_795_140_000_000;
pub const DAY: i64 = 86_400_000;
pub const BIN: &str = "fenlei/v1/gate/bin/bin-1/event";
pub const CAMERA: &str = "fenlei/v1/gate/camera/cam-1/event";
pub const PROJECTOR: &str = "fenlei/v1/gate/projector/lamp-1/event";

pub struct Bench {
    pub store: Store,
    place: Place,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with_cap(1_000).await
    }

    pub async fn with_cap(quarantine_cap: u32) -> Self {
        let place = Place::new();
        let options = Options { quarantine_cap, ..Options::at(place.url()) };
        let store = Store::open(&options).unwrap();
        store.write(populate).await.unwrap();
        Self { store, place }
    }

    pub async fn publish(&self, topic: &str, payload: impl AsRef<[u8]>) -> Committed {
        self.publish_at(NOW, topic, payload).await
    }

    pub async fn publish_at(&self, received: i64, topic: &str, payload: impl AsRef<[u8]>) -> Committed {
        let inbound = Inbound::read(topic, payload.as_ref(), received, &CardKey::new([9; 32]));
        self.store.commit(inbound).await.unwrap()
    }

    pub async fn quarantine(&self) -> Vec<Item> {
        let filter = quarantine::Filter { limit: 10_000, ..Default::default() };
        self.store.read(move |connection| quarantine::list(connection, &filter)).await.unwrap()
    }

    pub async fn stored(&self) -> usize {
        let filter = events::Filter { limit: 10_000, ..Default::default() };
        self.store.read(move |connection| events::list(connection, &filter)).await.unwrap().len()
    }

    /// Whether any byte of the database's files shows this text.
    pub fn shows(&self, text: &str) -> bool {
        self.place.shows(text)
    }
}

fn populate(session: &mut Session<'_>) -> Result<(), RegistryError> {
    let connection = session.connection;
    let committee =
        Organization { id: "committee".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
    registry::put_organization(connection, &committee)?;
    let zone = chrono_tz::Asia::Shanghai;
    registry::put_community(connection, "rose", "玫瑰园", "committee", zone)?;
    for id in ["gate", "yard"] {
        let site = SiteFields { id, community: "rose", name: id, zone, latitude: None, longitude: None };
        registry::put_site(connection, &session.registry, &site)?;
    }
    for (id, site, kind) in [
        ("bin-1", "gate", DeviceKind::Bin),
        ("bin-2", "yard", DeviceKind::Bin),
        ("cam-1", "gate", DeviceKind::Camera),
        ("lamp-1", "gate", DeviceKind::Projector),
    ] {
        let device = DeviceFields { id, site, kind, name: None, streams: None, password: "$7$" };
        registry::put_device(connection, &session.registry, &device)?;
    }
    Ok(())
}

pub fn stamp(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A valid event with these fields.
pub fn event(seq: u64, fields: Value) -> Value {
    let mut event = json!({"boot": 1, "seq": seq, "time": stamp(NOW - 1_000)});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

pub fn deposit(seq: u64) -> Value {
    event(seq, json!({"type": "deposit", "stream": "food", "grams": 500, "card": "04a1b2c3"}))
}

/// The ranges of one receipt, in one list.
pub fn settled(committed: &Committed) -> Vec<(u64, u64)> {
    let [receipt] = committed.receipts.as_slice() else { panic!("one receipt expected: {committed:?}") };
    let through = (receipt.through > 0).then_some((1, receipt.through));
    through.into_iter().chain(receipt.beyond.iter().copied()).collect()
}
