//! Devices under load: the simulator's own, which send everything again until it is receipted, and remember for the test
//! what they took in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use fenlei::clock::{Clock, SharedClock, SystemClock};
use fenlei::credentials;
use fenlei::domain::zone::{DEFAULT_ZONE, today};
use fenlei::simulate::fleet::{Broker, Credential, Fleet, Sources};
use fenlei::simulate::occurrence::{Occurrence, What};
use fenlei::store::registry::{self, DeviceFields};
use fenlei::store::rollups::Rollups;
use fenlei_wire::event::{Body, Judged};
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{AlarmKind, DeviceKind, DoorBy, Reason, Stream, Verdict};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::json;
use tokio::sync::watch;

use crate::support::folder::Folder;

pub(crate) const BOOT: u32 = 7;
const BINS: [&str; 4] = ["load-1", "load-2", "load-3", "load-4"];
const CAMERAS: [&str; 1] = ["load-cam"];
pub(crate) const CARDS: [&str; 8] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];
const TICK: Duration = Duration::from_millis(20);
/// For a load that goes on for long.
pub(crate) const SLOW_TICK: Duration = Duration::from_millis(200);
/// What happens in a tick at most.
const BURST: usize = 20;
/// Events lie this far back at most.
const DAYS: i64 = 20;
const PATIENCE: Duration = Duration::from_secs(120);

/// What each device took in: the event `n` of the list has the number `n + 1`.
pub(crate) type Told = BTreeMap<&'static str, Arc<Mutex<Vec<Occurrence>>>>;

pub(crate) struct Load {
    fleet: Fleet,
    told: Told,
    end: watch::Sender<bool>,
}

impl Load {
    /// Registers its devices: four bins and a camera that judges them. What a bin says is what the load made happen.
    pub(crate) fn register(folder: &Folder) -> Vec<Credential> {
        always_open(folder);
        let bins = BINS.map(|bin| (bin, DeviceKind::Bin)).into_iter();
        register(folder, bins.chain(CAMERAS.map(|camera| (camera, DeviceKind::Camera))))
    }

    /// Begins; the devices go on until [`Load::finish`].
    pub(crate) fn start(credentials: &[Credential], port: u16, seed: u64) -> Self {
        Self::start_with(credentials, port, seed, TICK)
    }

    /// The same, with something happening to each device once a tick.
    pub(crate) fn start_with(credentials: &[Credential], port: u16, seed: u64, tick: Duration) -> Self {
        let told: Told = BINS.into_iter().chain(CAMERAS).map(|device| (device, Arc::default())).collect();
        let (end, ended) = watch::channel(false);
        let mut random = Rng::with_seed(seed);
        let source = |device| (device, happenings(device, told.clone(), random.fork(), tick, ended.clone()));
        let sources: Sources = told.keys().copied().map(source).collect();
        let broker = Broker { host: "127.0.0.1".to_owned(), port };
        let clock: SharedClock = Arc::new(SystemClock);
        let fleet = Fleet::start(&broker, credentials, sources, BOOT, seed, &clock);
        Self { fleet, told, end }
    }

    /// Comes back when receipts come, counted from now.
    pub(crate) async fn flows(&self) {
        assert!(self.flows_again().await, "receipts come again");
    }

    /// The same; `false`: none came for as long as is waited.
    pub(crate) async fn flows_again(&self) -> bool {
        let mut counts = self.fleet.counts();
        let before = counts.borrow().receipted;
        let more = counts.wait_for(|counts| counts.receipted > before);
        tokio::time::timeout(PATIENCE, more).await.is_ok_and(|more| more.is_ok())
    }

    /// How many events are receipted by now.
    pub(crate) fn receipted(&self) -> u64 {
        self.fleet.counts().borrow().receipted
    }

    /// Lets nothing more happen; comes back, with all that was taken in, when every event is receipted.
    pub(crate) async fn finish(mut self) -> Told {
        self.end.send_replace(true);
        let finished = tokio::time::timeout(PATIENCE, self.fleet.finished()).await;
        let counts = *self.fleet.counts().borrow();
        assert!(finished.is_ok(), "every event is receipted in the end: {counts:?}");
        let taken_in: usize = self.told.values().map(|events| events.lock().unwrap().len()).sum();
        assert_eq!((counts.accepted, counts.receipted), (taken_in as u64, taken_in as u64));
        self.told
    }
}

/// From today on late deposits are allowed at any hour, so that no lid locks and none is told to.
pub(crate) fn always_open(folder: &Folder) {
    let today = today(DEFAULT_ZONE, SystemClock.now()).to_string();
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let late = json!({"days": days, "open": "00:00", "close": "24:00", "makeup": true});
    let schedule = serde_json::from_value(json!({"valid_from": today, "weekly": [late]})).unwrap();
    let store = folder.store();
    let registry = registry::load(&store).unwrap();
    registry::put_schedule(&store, &registry, &mut Rollups::default(), "north", &schedule, 0).unwrap();
}

/// Registers devices at the folder's site.
pub(crate) fn register(
    folder: &Folder,
    devices: impl IntoIterator<Item = (&'static str, DeviceKind)>,
) -> Vec<Credential> {
    let store = folder.store();
    let register = |(id, kind)| {
        let (secret, password) = credentials::generate().unwrap();
        let fields = DeviceFields { id, site: "north", kind, name: None, streams: None, password: &password };
        registry::put_device(&store, &registry::load(&store).unwrap(), &fields).unwrap();
        Credential { device: id.to_owned(), secret, site: "north".to_owned(), kind }
    };
    devices.into_iter().map(register).collect()
}

fn happenings(
    device: &'static str,
    told: Told,
    mut random: Rng,
    tick: Duration,
    mut ended: watch::Receiver<bool>,
) -> BoxStream<'static, Occurrence> {
    let bursts = each_tick(tick, move || {
        let burst: Vec<_> = (0..random.usize(1..=BURST)).map(|_| happens(device, &told, &mut random)).collect();
        told[device].lock().unwrap().extend(burst.iter().cloned());
        burst
    });
    let end = async move { drop(ended.wait_for(|ended| *ended).await) };
    bursts.take_until(end).flat_map(futures::stream::iter).boxed()
}

fn each_tick<T>(tick: Duration, mut make: impl FnMut() -> T) -> impl futures::Stream<Item = T> {
    let timer = tokio::time::interval(tick);
    futures::stream::unfold(timer, |mut timer| async {
        timer.tick().await;
        Some(((), timer))
    })
    .map(move |()| make())
}

fn happens(device: &'static str, told: &Told, random: &mut Rng) -> Occurrence {
    if CAMERAS.contains(&device) {
        return judgement(told, random);
    }
    let time = SystemClock.now().timestamp_millis() - random.i64(0..DAYS * 86_400_000);
    let stream = Stream::ALL[random.usize(..Stream::ALL.len())];
    let body = match random.u8(..10) {
        0 => Body::Fill { stream, percent: random.u8(..=100), celsius: random.bool().then(|| random.i16(-200..500)) },
        1 => Body::Door { open: random.bool(), by: DoorBy::Resident },
        2 => Body::Alarm { alarm: AlarmKind::Full, active: random.bool() },
        3 => Body::Emptied { stream, grams: random.u32(..=200_000) },
        other => Body::Deposit {
            stream,
            grams: random.u32(..=20_000),
            card: (other < 9).then(|| CARDS[random.usize(..CARDS.len())]),
            verdict: (other < 6).then(|| Verdict::ALL[random.usize(..Verdict::ALL.len())]),
            reason: None,
        },
    };
    Occurrence { time: UnixMillis(time), what: What::Plain(body) }
}

/// Of a deposit that its bin has taken in, whether or not it has come to the backend: by its name or by its time.
fn judgement(told: &Told, random: &mut Rng) -> Occurrence {
    let bin = BINS[random.usize(..BINS.len())];
    let events = told[bin].lock().unwrap();
    let judged = random.usize(..events.len().max(1));
    let time = events.get(judged).map_or_else(|| UnixMillis(SystemClock.now().timestamp_millis()), |event| event.time);
    let judged = match random.bool() {
        true => Judged::Deposit { device: bin, boot: BOOT, seq: judged as u64 + 1 },
        false => Judged::Bin(bin),
    };
    let verdict = Verdict::ALL[random.usize(..Verdict::ALL.len())];
    let body = Body::Judgement { verdict, reason: Some(Reason::Mixed), confidence: random.u16(..=1_000), judged };
    Occurrence { time, what: What::Plain(body) }
}
