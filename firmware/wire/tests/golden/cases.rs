//! A value for each golden file of version 1. Tests on the host and the self-test of the board go through the same ones.

use core::fmt::Debug;

use fenlei_wire::command::{Command, CommandBody};
use fenlei_wire::config::{Config, DayOverride, DeviceSchedule, Evening, WeeklyWindow, ZoneStep};
use fenlei_wire::event::{Body, Event, Judged};
use fenlei_wire::receipt::Receipt;
use fenlei_wire::schedule::{DaySet, Minute, StreamSet, Window};
use fenlei_wire::state::State;
use fenlei_wire::time::{Date, UnixMillis};
use fenlei_wire::vocabulary::{
    AlarmKind, DisplayStatus, DoorBy, ExecutedStatus, Reason, SightingKind, Stream, Verdict,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is done with each case: its name, its golden text, and the value that it stands for.
pub(crate) trait Cases {
    fn event(&mut self, name: &str, golden: &str, event: &Event<'_>);
    /// One that both sides write and read.
    fn both<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, golden: &str, value: &T);
}

macro_rules! case {
    ($cases:ident.$kind:ident($name:literal, $value:expr)) => {
        $cases.$kind($name, include_str!(concat!("v1/", $name, ".json")), $value)
    };
}

pub(crate) fn all(cases: &mut impl Cases) {
    events(cases);
    states_and_receipts(cases);
    commands(cases);
    configs(cases);
}

fn event(body: Body<'_>) -> Event<'_> {
    let time = UnixMillis(1_795_133_730_250);
    Event { boot: 7, seq: 1042, time, offset_minutes: 480, unsynced: false, body }
}

fn events(cases: &mut impl Cases) {
    let (correct, incorrect) = (Verdict::Correct, Verdict::Incorrect);
    let deposit = Body::Deposit {
        stream: Stream::Food,
        grams: 1250,
        card: Some("card \"7\"\\垃圾"),
        verdict: Some(incorrect),
        reason: Some(Reason::WrongStream),
    };
    case!(cases.event("event_deposit", &event(deposit)));
    let anonymous = Body::Deposit { stream: Stream::Residual, grams: 0, card: None, verdict: None, reason: None };
    case!(cases.event("event_deposit_anonymous", &event(anonymous)));
    let fill = Body::Fill { stream: Stream::Recyclable, percent: 85, celsius: Some(-5) };
    case!(cases.event("event_fill", &event(fill)));
    case!(cases.event("event_emptied", &event(Body::Emptied { stream: Stream::Hazardous, grams: 200_000 })));
    case!(cases.event("event_door", &event(Body::Door { open: true, by: DoorBy::Resident })));
    case!(cases.event("event_alarm", &event(Body::Alarm { alarm: AlarmKind::LowBattery, active: false })));
    let named = Judged::Deposit { device: "bin-1", boot: 3, seq: 9_007_199_254_740_991 };
    let judgement = Body::Judgement { verdict: incorrect, reason: Some(Reason::Mixed), confidence: 930, judged: named };
    case!(cases.event("event_judgement_deposit", &event(judgement)));
    let judgement = Body::Judgement { verdict: correct, reason: None, confidence: 1000, judged: Judged::Bin("bin-1") };
    case!(cases.event("event_judgement_bin", &event(judgement)));
    let sighting = Body::Sighting { what: SightingKind::BagOutside, confidence: 5 };
    case!(cases.event("event_sighting", &event(sighting)));
    let display = Body::Display { command: "m-1", status: DisplayStatus::Displayed, detail: None };
    case!(cases.event("event_display", &event(display)));
    let executed = Body::Executed { command: "c-1", status: ExecutedStatus::Failed, detail: Some("jam\n\u{1}") };
    case!(cases.event("event_executed", &event(executed)));
    let heartbeat = Body::Heartbeat { celsius: Some(215), millivolts: Some(3600), rssi: Some(-71) };
    case!(cases.event("event_heartbeat", &event(heartbeat)));
    let unsynced = Event {
        boot: 7,
        seq: 1,
        time: UnixMillis(5000),
        offset_minutes: 0,
        unsynced: true,
        body: Body::Heartbeat { celsius: None, millivolts: None, rssi: None },
    };
    case!(cases.event("event_heartbeat_unsynced", &unsynced));
    case!(cases.event("event_lost", &event(Body::Lost { of_boot: 6, from: 3, to: 9 })));
}

fn states_and_receipts(cases: &mut impl Cases) {
    let firmware = "1.2.0".try_into().ok();
    case!(cases.both("state_birth", &State { online: true, boot: 7, firmware, config: Some(12) }));
    case!(cases.both("state_will", &State::will(7)));
    let beyond = [(1045, 1050)].into_iter().collect();
    case!(cases.both("receipt", &Receipt { boot: 7, through: 1042, beyond }));
    case!(cases.both("receipt_plain", &Receipt { boot: 7, through: 0, beyond: heapless::Vec::new() }));
}

fn commands(cases: &mut impl Cases) {
    let command = |id: &str, expires: &str, body| Command {
        id: id.try_into().unwrap_or_default(),
        expires: expires.try_into().unwrap_or_default(),
        body,
    };
    let text = "垃圾分类,因为你 \"🙂\"\n".try_into().unwrap_or_default();
    let display = CommandBody::Display { text, seconds: 3600 };
    case!(cases.both("command_display", &command("m-1", "2026-11-20T20:00:00+08:00", display)));
    case!(cases.both("command_clear", &command("m-2", "2026-11-20T20:00:00+08:00", CommandBody::Clear)));
    let lock = CommandBody::Lock { seconds: None };
    case!(cases.both("command_lock", &command("c-1", "2026-11-20T12:00:00Z", lock)));
    let unlock = CommandBody::Unlock { seconds: None };
    case!(cases.both("command_unlock", &command("c-2", "2026-11-20T12:00:00Z", unlock)));
    let timed = CommandBody::Unlock { seconds: Some(2700) };
    case!(cases.both("command_unlock_timed", &command("c-3", "2026-11-20T12:45:00Z", timed)));
}

fn configs(cases: &mut impl Cases) {
    let minute = |text| Minute::parse(text).unwrap_or(Minute::END_OF_DAY);
    let date = |text| Date::parse(text).unwrap_or(Date::from_days(0));
    let weekly = [
        WeeklyWindow {
            days: DaySet::ALL,
            open: minute("08:00"),
            close: minute("09:00"),
            streams: StreamSet::ALL,
            makeup: false,
        },
        WeeklyWindow {
            days: [5, 6].into_iter().collect(),
            open: minute("20:00"),
            close: Minute::END_OF_DAY,
            streams: [Stream::Residual, Stream::Food].into_iter().collect(),
            makeup: true,
        },
    ];
    let holiday = [
        Window { open: minute("07:30"), close: minute("10:00"), streams: StreamSet::ALL, makeup: false },
        Window {
            open: minute("18:00"),
            close: minute("19:00"),
            streams: [Stream::Hazardous].into_iter().collect(),
            makeup: true,
        },
    ];
    let dates = [
        DayOverride { date: date("2026-10-01"), windows: holiday.into_iter().collect() },
        DayOverride { date: date("2027-02-06"), windows: heapless::Vec::new() },
    ];
    let evening =
        Evening {
            text: "垃圾分类,因为你".try_into().unwrap_or_default(), start: minute("18:30"), seconds: 7200
        };
    let config = Config {
        version: 12,
        zone: [ZoneStep { from: 0, offset: 480 }].into_iter().collect(),
        schedule: DeviceSchedule { weekly: weekly.into_iter().collect(), dates: dates.into_iter().collect() },
        evening: Some(evening),
    };
    case!(cases.both("config", &config));
    let plain = Config { version: 1, zone: heapless::Vec::new(), schedule: DeviceSchedule::default(), evening: None };
    case!(cases.both("config_plain", &plain));
}
