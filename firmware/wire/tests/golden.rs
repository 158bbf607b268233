//! The bytes of version 1. Devices in the field cannot be recompiled: what is written here may be joined by new files, but
//! never changed.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use fenlei_wire::command::{Command, CommandBody};
use fenlei_wire::config::{Config, DayOverride, DeviceSchedule, Evening, WeeklyWindow, ZoneStep};
use fenlei_wire::event::{Body, Event, Judged};
use fenlei_wire::json;
use fenlei_wire::receipt::Receipt;
use fenlei_wire::schedule::{DaySet, Minute, StreamSet, Window};
use fenlei_wire::state::State;
use fenlei_wire::time::{Date, UnixMillis};
use fenlei_wire::vocabulary::{
    AlarmKind, DisplayStatus, DoorBy, EventType, ExecutedStatus, Reason, SightingKind, Stream, Verdict,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// Golden files by name, and which of them a case has spoken for.
struct Golden {
    claimed: BTreeSet<String>,
}

impl Golden {
    fn claim(&mut self, name: &str) -> String {
        assert!(self.claimed.insert(name.to_owned()), "{name} is claimed twice");
        let path = folder().join(format!("{name}.json"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn event(&mut self, name: &str, event: Event<'_>) -> EventType {
        let golden = self.claim(name);
        let mut written = String::new();
        event.encode(&mut written).unwrap();
        assert_eq!(written, golden, "{name}");
        let read: serde_json::Value = serde_json::from_str(&golden).unwrap();
        assert_eq!(read["type"], event.body.event_type().as_str(), "{name}");
        assert_eq!((&read["boot"], &read["seq"]), (&event.boot.into(), &event.seq.into()), "{name}");
        let time = UnixMillis::parse_rfc3339(read["time"].as_str().unwrap());
        assert_eq!(time, Some(event.time), "{name}");
        event.body.event_type()
    }

    fn body(&mut self, name: &str, body: Body<'_>) -> EventType {
        let time = UnixMillis(1_795_133_730_250);
        self.event(name, Event { boot: 7, seq: 1042, time, offset_minutes: 480, unsynced: false, body })
    }

    /// Both sides' encoders give the bytes, both sides' decoders give the value.
    fn both<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: &T) {
        let golden = self.claim(name);
        let mut buffer = [0; 4096];
        let length = json::to_slice(value, &mut buffer).unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), golden, "{name} by a device");
        assert_eq!(serde_json::to_string(value).unwrap(), golden, "{name} by the backend");
        assert_eq!(&json::from_slice::<T>(golden.as_bytes()).unwrap(), value, "{name} on a device");
        assert_eq!(&serde_json::from_str::<T>(&golden).unwrap(), value, "{name} in the backend");
    }
}

#[test]
fn every_message_of_version_1_keeps_its_bytes() {
    let mut golden = Golden { claimed: BTreeSet::new() };
    let types = events(&mut golden);
    assert_eq!(types, EventType::ALL.iter().copied().collect(), "an event type without golden bytes");
    states_and_receipts(&mut golden);
    commands(&mut golden);
    configs(&mut golden);

    let present: BTreeSet<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let claimed: BTreeSet<String> = golden.claimed.iter().map(|name| format!("{name}.json")).collect();
    assert_eq!(present, claimed, "left: the files there are; right: the files there is a case for");
}

fn events(golden: &mut Golden) -> BTreeSet<EventType> {
    let (correct, incorrect) = (Verdict::Correct, Verdict::Incorrect);
    let deposit = Body::Deposit {
        stream: Stream::Food,
        grams: 1250,
        card: Some("card \"7\"\\垃圾"),
        verdict: Some(incorrect),
        reason: Some(Reason::WrongStream),
    };
    let anonymous = Body::Deposit { stream: Stream::Residual, grams: 0, card: None, verdict: None, reason: None };
    let named = Judged::Deposit { device: "bin-1", boot: 3, seq: 9_007_199_254_740_991 };
    let unsynced = Event {
        boot: 7,
        seq: 1,
        time: UnixMillis(5000),
        offset_minutes: 0,
        unsynced: true,
        body: Body::Heartbeat { celsius: None, millivolts: None, rssi: None },
    };
    BTreeSet::from([
        golden.body("event_deposit", deposit),
        golden.body("event_deposit_anonymous", anonymous),
        golden.body("event_fill", Body::Fill { stream: Stream::Recyclable, percent: 85, celsius: Some(-5) }),
        golden.body("event_emptied", Body::Emptied { stream: Stream::Hazardous, grams: 200_000 }),
        golden.body("event_door", Body::Door { open: true, by: DoorBy::Resident }),
        golden.body("event_alarm", Body::Alarm { alarm: AlarmKind::LowBattery, active: false }),
        golden.body(
            "event_judgement_deposit",
            Body::Judgement { verdict: incorrect, reason: Some(Reason::Mixed), confidence: 930, judged: named },
        ),
        golden.body(
            "event_judgement_bin",
            Body::Judgement { verdict: correct, reason: None, confidence: 1000, judged: Judged::Bin("bin-1") },
        ),
        golden.body("event_sighting", Body::Sighting { what: SightingKind::BagOutside, confidence: 5 }),
        golden.body("event_display", Body::Display { command: "m-1", status: DisplayStatus::Displayed, detail: None }),
        golden.body(
            "event_executed",
            Body::Executed { command: "c-1", status: ExecutedStatus::Failed, detail: Some("jam\n\u{1}") },
        ),
        golden.body("event_heartbeat", Body::Heartbeat { celsius: Some(215), millivolts: Some(3600), rssi: Some(-71) }),
        golden.event("event_heartbeat_unsynced", unsynced),
        golden.body("event_lost", Body::Lost { of_boot: 6, from: 3, to: 9 }),
    ])
}

fn states_and_receipts(golden: &mut Golden) {
    let birth = State { online: true, boot: 7, firmware: Some("1.2.0".try_into().unwrap()), config: Some(12) };
    golden.both("state_birth", &birth);
    golden.both("state_will", &State::will(7));
    let beyond = [(1045, 1050)].into_iter().collect();
    golden.both("receipt", &Receipt { boot: 7, through: 1042, beyond });
    golden.both("receipt_plain", &Receipt { boot: 7, through: 0, beyond: heapless::Vec::new() });
}

fn commands(golden: &mut Golden) {
    let command = |id: &str, expires: &str, body| Command {
        id: id.try_into().unwrap(),
        expires: expires.try_into().unwrap(),
        body,
    };
    let text = "垃圾分类,因为你 \"🙂\"\n".try_into().unwrap();
    let display = CommandBody::Display { text, seconds: 3600 };
    golden.both("command_display", &command("m-1", "2026-11-20T20:00:00+08:00", display));
    golden.both("command_clear", &command("m-2", "2026-11-20T20:00:00+08:00", CommandBody::Clear));
    golden.both("command_lock", &command("c-1", "2026-11-20T12:00:00Z", CommandBody::Lock { seconds: None }));
    golden.both("command_unlock", &command("c-2", "2026-11-20T12:00:00Z", CommandBody::Unlock { seconds: None }));
    let timed = CommandBody::Unlock { seconds: Some(2700) };
    golden.both("command_unlock_timed", &command("c-3", "2026-11-20T12:45:00Z", timed));
}

fn configs(golden: &mut Golden) {
    let minute = |text| Minute::parse(text).unwrap();
    let date = |text| Date::parse(text).unwrap();
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
    let config = Config {
        version: 12,
        zone: [ZoneStep { from: 0, offset: 480 }].into_iter().collect(),
        schedule: DeviceSchedule { weekly: weekly.into_iter().collect(), dates: dates.into_iter().collect() },
        evening: Some(Evening {
            text: "垃圾分类,因为你".try_into().unwrap(), start: minute("18:30"), seconds: 7200
        }),
    };
    golden.both("config", &config);
    let plain = Config { version: 1, zone: heapless::Vec::new(), schedule: DeviceSchedule::default(), evening: None };
    golden.both("config_plain", &plain);
}
