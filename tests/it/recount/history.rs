//! What can happen, as data: so that a failing history can be shrunk, printed and kept as a named case.

use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use proptest::prelude::*;
use serde_json::{Value, json};

pub const COMMUNITIES: [(&str, Tz); 2] = [("rose", chrono_tz::Asia::Shanghai), ("linden", chrono_tz::Europe::Berlin)];

pub struct Site {
    pub id: &'static str,
    pub community: usize,
    pub zone: Tz,
}

/// Two sites of one community in one zone: their windows are one opportunity. A third in another zone: its days are its own.
pub const SITES: [Site; 5] = [
    Site { id: "rose-east", community: 0, zone: chrono_tz::Asia::Shanghai },
    Site { id: "rose-west", community: 0, zone: chrono_tz::Asia::Shanghai },
    Site { id: "rose-abroad", community: 0, zone: chrono_tz::America::New_York },
    Site { id: "linden-1", community: 1, zone: chrono_tz::Europe::Berlin },
    Site { id: "linden-2", community: 1, zone: chrono_tz::Europe::Berlin },
];

#[derive(Debug)]
pub struct Device {
    pub id: &'static str,
    pub site: usize,
    pub camera: bool,
}

pub const DEVICES: [Device; 9] = [
    Device { id: "east-bin", site: 0, camera: false },
    Device { id: "east-bin-2", site: 0, camera: false },
    Device { id: "east-cam", site: 0, camera: true },
    Device { id: "west-bin", site: 1, camera: false },
    Device { id: "abroad-bin", site: 2, camera: false },
    Device { id: "linden-bin", site: 3, camera: false },
    Device { id: "linden-cam", site: 3, camera: true },
    Device { id: "linden-cam-2", site: 3, camera: true },
    Device { id: "late-bin", site: 4, camera: false },
];

/// Sends before it is registered.
pub const LATE: usize = 8;

/// Days around which histories play: the changes to and from daylight saving in Berlin and New York.
pub const CENTERS: [(i32, u32, u32); 4] = [(2026, 3, 29), (2026, 10, 25), (2026, 11, 1), (2026, 3, 8)];

pub const STREAMS: [&str; 4] = ["food", "residual", "recyclable", "hazardous"];
pub const VERDICTS: [&str; 2] = ["correct", "incorrect"];

#[derive(Clone, Debug)]
pub struct History {
    pub center: usize,
    pub ops: Vec<Op>,
}

impl History {
    pub fn day(&self, offset: i64) -> NaiveDate {
        let (year, month, day) = CENTERS[self.center];
        NaiveDate::from_ymd_opt(year, month, day).unwrap() + Duration::days(offset)
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Publish(Publish),
    /// The bytes of an earlier publish again.
    Resend(usize),
    Schedule {
        site: usize,
        schedule: Schedule,
    },
    Import {
        community: usize,
        rows: Vec<Row>,
    },
    /// At so many hours after the middle of the history.
    Erase {
        community: usize,
        household: usize,
        now_hours: i64,
    },
    Visit {
        community: usize,
        visits: Vec<Visit>,
    },
    Replace(usize),
    Register,
    State {
        device: usize,
        online: bool,
        boot: u32,
        after_minutes: i64,
    },
    Alive {
        after_minutes: i64,
    },
    Restart,
    Check(Check),
}

#[derive(Clone, Debug)]
pub struct Check {
    pub from: i64,
    pub days: i64,
    pub now_hours: i64,
}

#[derive(Clone, Debug)]
pub struct Publish {
    pub device: usize,
    pub items: Vec<Item>,
    pub array: bool,
    /// Long after everything happened, instead of a moment after the last of it.
    pub late: bool,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub boot: u32,
    pub seq: u64,
    pub day: i64,
    /// On the wall clock of the site.
    pub wall_ms: i64,
    /// Of a wall clock time that comes twice, the second.
    pub second: bool,
    pub unsynced: bool,
    pub body: Body,
    pub flaw: Flaw,
}

#[derive(Clone, Debug)]
pub enum Body {
    Deposit { stream: usize, grams: u32, card: Option<usize>, verdict: Option<usize> },
    Fill { percent: u8 },
    Heartbeat,
    JudgeBin { bin: usize, verdict: usize },
    JudgeDeposit { bin: usize, boot: u32, seq: u64, verdict: usize },
    Lost { of_boot: u32, from: u64, to: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    Ahead,
    Behind,
    /// A type that no event has; boot and seq can be read.
    Type,
}

impl Body {
    pub fn fields(&self) -> Value {
        match self {
            Self::Deposit { stream, grams, card, verdict } => {
                let mut fields = json!({"type": "deposit", "stream": STREAMS[*stream], "grams": grams});
                if let Some(card) = card {
                    fields["card"] = card_name(*card).into();
                }
                if let Some(verdict) = verdict {
                    fields["verdict"] = VERDICTS[*verdict].into();
                }
                fields
            }
            Self::Fill { percent } => json!({"type": "fill", "stream": "food", "percent": percent}),
            Self::Heartbeat => json!({"type": "heartbeat", "rssi": -70}),
            Self::JudgeBin { bin, verdict } => {
                json!({"type": "judgement", "verdict": VERDICTS[*verdict], "confidence": 0.9, "bin": DEVICES[*bin].id})
            }
            Self::JudgeDeposit { bin, boot, seq, verdict } => {
                json!({"type": "judgement", "verdict": VERDICTS[*verdict], "confidence": 0.5,
                    "deposit": {"device": DEVICES[*bin].id, "boot": boot, "seq": seq}})
            }
            Self::Lost { of_boot, from, to } => json!({"type": "lost", "of_boot": of_boot, "from": from, "to": to}),
        }
    }
}

pub fn card_name(card: usize) -> String {
    format!("card-{card}")
}

/// The instant at which a wall clock shows this; a time that it skips, an hour later.
pub fn instant(zone: Tz, date: NaiveDate, wall_ms: i64, second: bool) -> DateTime<Tz> {
    let wall = date.and_time(NaiveTime::MIN) + Duration::milliseconds(wall_ms);
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(instant) => instant,
        LocalResult::Ambiguous(first, last) => {
            if second {
                last
            } else {
                first
            }
        }
        LocalResult::None => zone.from_local_datetime(&(wall + Duration::hours(1))).unwrap(),
    }
}

#[derive(Clone, Debug)]
pub struct Schedule {
    pub valid_from: i64,
    /// Days of the week (0 is Monday) and their window.
    pub weekly: Vec<(Vec<u32>, Window)>,
    pub dates: Vec<(i64, Vec<Window>)>,
}

#[derive(Clone, Debug)]
pub struct Window {
    pub open: u32,
    pub close: u32,
    pub streams: Option<Vec<usize>>,
    pub makeup: bool,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub household: usize,
    pub from: i64,
    pub until: Option<i64>,
    /// Which of the community's own cards.
    pub cards: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Visit {
    pub household: usize,
    pub day: i64,
    pub survey: bool,
    /// Of [`OUTCOMES`].
    pub outcome: usize,
    pub claimed: Option<bool>,
    pub tested: Option<bool>,
}

pub const OUTCOMES: [&str; 3] = ["answered", "refused", "absent"];

/// Minutes at which windows open and close: around the default windows and around the changes of the clock.
const EDGES: [u32; 14] = [0, 60, 120, 150, 180, 480, 510, 540, 600, 1020, 1080, 1380, 1410, 1440];

fn wall_ms() -> impl Strategy<Value = i64> {
    let morning = prop::sample::select(vec![480, 510, 520, 540]);
    let minute = prop_oneof![prop::sample::select(EDGES.to_vec()), morning];
    let edge = minute.prop_map(|minute| i64::from(minute.min(1439)) * 60_000);
    let jitter = prop_oneof![
        3 => Just(0i64), 2 => Just(-1), 1 => Just(1), 1 => Just(10_000), 1 => Just(20_000), 1 => Just(20_001),
        1 => Just(-20_000), 2 => 0i64..3_600_000
    ];
    (edge, jitter).prop_map(|(edge, jitter)| (edge + jitter).clamp(0, 86_399_999))
}

fn body(camera: bool) -> BoxedStrategy<Body> {
    let bins = vec![0usize, 0, 1, 5, 5, 3, 2];
    let deposit = (0usize..4, 0u32..3_000, prop::option::weighted(0.8, 0usize..8), prop::option::of(0usize..2))
        .prop_map(|(stream, grams, card, verdict)| Body::Deposit { stream, grams, card, verdict });
    let judge_bin =
        (prop::sample::select(bins.clone()), 0usize..2).prop_map(|(bin, verdict)| Body::JudgeBin { bin, verdict });
    let judge_deposit = (prop::sample::select(bins), 1u32..3, 1u64..12, 0usize..2)
        .prop_map(|(bin, boot, seq, verdict)| Body::JudgeDeposit { bin, boot, seq, verdict });
    let lost =
        (1u32..4, 1u64..14, 0u64..6).prop_map(|(of_boot, from, more)| Body::Lost { of_boot, from, to: from + more });
    let fill = (0u8..=100).prop_map(|percent| Body::Fill { percent });
    if camera {
        prop_oneof![6 => judge_bin, 4 => judge_deposit, 1 => lost, 1 => Just(Body::Heartbeat), 1 => deposit].boxed()
    } else {
        prop_oneof![14 => deposit, 1 => lost, 2 => Just(Body::Heartbeat), 1 => fill, 1 => judge_bin].boxed()
    }
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![24 => Just(Flaw::None), 1 => Just(Flaw::Ahead), 1 => Just(Flaw::Behind), 1 => Just(Flaw::Type)]
}

fn item(camera: bool) -> impl Strategy<Value = Item> {
    let name = (1u32..3, 1u64..16);
    let time = (prop_oneof![3 => Just(0i64), 2 => -1i64..2, 1 => -5i64..6], wall_ms(), any::<bool>());
    (name, time, prop::bool::weighted(0.06), body(camera), flaw()).prop_map(
        |((boot, seq), (day, wall_ms, second), unsynced, body, flaw)| Item {
            boot,
            seq,
            day,
            wall_ms,
            second,
            unsynced,
            body,
            flaw,
        },
    )
}

fn publish() -> impl Strategy<Value = Op> {
    (0usize..DEVICES.len(), any::<bool>(), any::<bool>()).prop_flat_map(|(device, array, late)| {
        let length = if array { 1..6 } else { 1..2 };
        prop::collection::vec(item(DEVICES[device].camera), length)
            .prop_map(move |items| Op::Publish(Publish { device, items, array, late }))
    })
}

fn window() -> impl Strategy<Value = Window> {
    let streams = prop::option::weighted(0.3, prop::collection::btree_set(0usize..4, 1..4));
    // From the middle of the list on, windows overlap around the morning.
    let open = prop_oneof![0usize..EDGES.len() - 1, 4usize..7];
    (open, 1usize..4, streams, prop::bool::weighted(0.25)).prop_map(|(open, length, streams, makeup)| Window {
        open: EDGES[open],
        close: EDGES[(open + length).min(EDGES.len() - 1)],
        streams: streams.map(|streams| streams.into_iter().collect()),
        makeup,
    })
}

fn schedule() -> impl Strategy<Value = Op> {
    let days = prop::collection::btree_set(0u32..7, 1..8).prop_map(|days| days.into_iter().collect());
    let weekly = prop::collection::vec((days, window()), 0..4);
    let dates = prop::collection::btree_map(-3i64..4, prop::collection::vec(window(), 0..3), 0..3);
    (0usize..SITES.len(), prop_oneof![-6i64..3, Just(-2)], weekly, dates).prop_map(
        |(site, valid_from, weekly, dates)| Op::Schedule {
            site,
            schedule: Schedule { valid_from, weekly, dates: dates.into_iter().collect() },
        },
    )
}

fn import() -> impl Strategy<Value = Op> {
    let from = prop_oneof![Just(-8i64), -8i64..4];
    let row = (0usize..6, from, prop::option::weighted(0.4, 0i64..9), prop::collection::btree_set(0usize..4, 0..3))
        .prop_map(|(household, from, stay, cards)| Row {
            household,
            from,
            until: stay.map(|stay| from + stay - 1),
            cards: cards.into_iter().collect(),
        });
    (0usize..2, prop::collection::vec(row, 1..4)).prop_map(|(community, rows)| Op::Import { community, rows })
}

fn visit() -> impl Strategy<Value = Op> {
    let answers = (any::<Option<bool>>(), any::<Option<bool>>());
    let visit = (0usize..6, -8i64..6, any::<bool>(), 0usize..3, answers).prop_map(
        |(household, day, survey, outcome, (claimed, tested))| {
            let said = |answer: Option<bool>| answer.filter(|_| outcome == 0);
            Visit { household, day, survey, outcome, claimed: said(claimed), tested: said(tested) }
        },
    );
    (0usize..2, prop::collection::vec(visit, 1..4)).prop_map(|(community, visits)| Op::Visit { community, visits })
}

pub fn check() -> impl Strategy<Value = Check> {
    (-7i64..7, 1i64..14, -130i64..200).prop_map(|(from, days, now_hours)| Check { from, days, now_hours })
}

fn op() -> impl Strategy<Value = Op> {
    let state = (0usize..DEVICES.len() - 1, any::<bool>(), 1u32..4, prop_oneof![Just(0i64), 0i64..900])
        .prop_map(|(device, online, boot, after_minutes)| Op::State { device, online, boot, after_minutes });
    prop_oneof![
        24 => publish(),
        4 => (0usize..40).prop_map(Op::Resend),
        3 => schedule(),
        4 => import(),
        2 => visit(),
        2 => (0usize..2, 0usize..6, -130i64..200)
            .prop_map(|(community, household, now_hours)| Op::Erase { community, household, now_hours }),
        1 => (0usize..DEVICES.len()).prop_map(Op::Replace),
        1 => Just(Op::Register),
        3 => state,
        1 => (0i64..900).prop_map(|after_minutes| Op::Alive { after_minutes }),
        1 => Just(Op::Restart),
        1 => check().prop_map(Op::Check),
    ]
}

pub fn history() -> impl Strategy<Value = History> {
    (0usize..CENTERS.len(), prop::collection::vec(op(), 1..70), check()).prop_map(|(center, mut ops, last)| {
        ops.push(Op::Check(last));
        ops.push(Op::Check(Check { from: -8, days: 18, now_hours: 300 }));
        History { center, ops }
    })
}
