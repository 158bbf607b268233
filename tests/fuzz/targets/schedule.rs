//! A schedule as it is put. On the first line stand the number of a zone and an instant, behind it the schedule's JSON.

#![no_main]

use std::collections::BTreeSet;

use chrono::Datelike;
use fenlei::domain::object::Object;
use fenlei::domain::schedule::{DayWindow, Schedule};
use fenlei::domain::timetable::{Gate, Opening, Timetable};
use fenlei::domain::zone::local;
use fenlei_wire::vocabulary::{Stream, Timing};
use libfuzzer_sys::fuzz_target;

const ZONES: [&str; 8] = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "America/Asuncion",
];
/// 0000-01-01 and 9999-12-31, in Unix milliseconds: no instant beyond them is written.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;
const DAY: i64 = 86_400_000;

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (head, json) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end..]);
    let Some((zone, instant)) = head.split_once(' ') else { return };
    let (Ok(zone), Ok(instant)) = (zone.parse::<u8>(), instant.parse::<i64>()) else { return };
    let Ok(Object(schedule)) = serde_json::from_slice::<Object<Schedule>>(json) else { return };
    let written = serde_json::to_vec(&schedule).expect("it is JSON");
    assert_eq!(serde_json::from_slice::<Object<Schedule>>(&written).expect("it is read again").0, schedule);
    if schedule.check().is_err() {
        return;
    }
    let zone = ZONES[usize::from(zone) % ZONES.len()].parse().expect("a zone");
    let timetable = Timetable::new(zone, [&schedule]);
    let time = instant.clamp(FIRST, LAST);
    for time in time - 1..=time + 1 {
        holds(&timetable, &schedule, time);
    }
    let change = timetable.next_change(time);
    assert!(change.is_none_or(|change| change > time && timetable.gate(change) != timetable.gate(time)));
    let end = change.unwrap_or(time + 8 * DAY);
    for step in 0..500 {
        let between = time + (end - 1 - time) / 500 * step;
        assert_eq!(timetable.gate(between), timetable.gate(time), "{between} of {time} to {end}");
    }
});

/// What is said of an instant is what the windows of its local day say, one by one.
fn holds(timetable: &Timetable, schedule: &Schedule, time: i64) {
    let (at, default) = (local(timetable.zone(), time), Schedule::default_hours());
    let (date, weekday) = (at.day.date(), at.day.date().weekday().num_days_from_monday() as u8);
    let version = if schedule.valid_from <= date { schedule } else { &default };
    let windows: Vec<&DayWindow> = match version.dates.iter().find(|day| day.date == date) {
        Some(day) => day.windows.iter().collect(),
        None => version.weekly.iter().filter(|of| of.days.contains(weekday)).map(|of| &of.window).collect(),
    };
    let holding = windows.into_iter().filter(|window| window.open.get() <= at.minute && at.minute < window.close.get());
    let (makeup, regular): (Vec<_>, Vec<_>) = holding.partition(|window| window.makeup);
    for stream in Stream::ALL {
        let takes = |window: &&&DayWindow| window.streams.is_none_or(|streams| streams.contains(*stream));
        let opening = |window: &&DayWindow| Opening { open: window.open.get(), close: window.close.get() };
        let openings: BTreeSet<_> = regular.iter().filter(takes).map(opening).collect();
        let timing = match (openings.is_empty(), makeup.iter().any(|window| takes(&window))) {
            (false, _) => Timing::InWindow,
            (true, true) => Timing::Makeup,
            (true, false) => Timing::OffHours,
        };
        let said = timetable.classify(time, *stream);
        assert_eq!((said.at, said.timing), (at, timing));
        assert!(openings.is_subset(&timetable.openings(date)));
        assert_eq!(said.openings.len(), openings.len());
        assert_eq!(said.openings.into_iter().collect::<BTreeSet<_>>(), openings);
    }
    let gate = match (regular.is_empty(), makeup.is_empty()) {
        (false, _) => Gate::Open,
        (true, false) => Gate::Makeup,
        (true, true) => Gate::Closed,
    };
    assert_eq!(timetable.gate(time), gate);
}
