//! Properties of words, topics, receipts, times and windows, each against a definition too plain to be wrong.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_wire::config::{Config, DeviceSchedule, ZoneStep};
use fenlei_wire::event::{Body, Event};
use fenlei_wire::json;
use fenlei_wire::limits::{MAX_BEYOND, is_id};
use fenlei_wire::receipt::Receipt;
use fenlei_wire::schedule::{DaySet, Minute, StreamSet, Window, next_edge, timing, welcomes};
use fenlei_wire::time::{Date, UnixMillis, civil_from_days, days_from_civil, write_rfc3339};
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind, EventType, Stream, Timing};
use proptest::prelude::*;

#[test]
fn codes_and_spellings_name_the_same_word() {
    for (position, event) in EventType::ALL.iter().enumerate() {
        assert_eq!(usize::from(event.code()), position + 1);
        assert_eq!(EventType::from_code(event.code()), Some(*event));
        assert_eq!(EventType::parse(event.as_str()), Some(*event));
        let quoted = format!("\"{event}\"");
        assert_eq!(serde_json::to_string(event).unwrap(), quoted);
        assert_eq!(serde_json::from_str::<EventType>(&quoted).unwrap(), *event);
        assert_eq!(serde_json::from_value::<EventType>(event.as_str().into()).unwrap(), *event);
        assert_eq!(json::from_slice::<EventType>(quoted.as_bytes()).unwrap(), *event);
    }
    assert_eq!(EventType::from_code(0), None);
    assert_eq!(EventType::from_code(12), None);
    assert_eq!(EventType::parse("Deposit"), None);
}

#[test]
fn event_types_come_from_the_kinds_of_the_contract() {
    let from = |kind| EventType::ALL.iter().filter(move |event| event.allowed_from(kind)).map(|event| event.as_str());
    assert_eq!(
        from(DeviceKind::Bin).collect::<Vec<_>>(),
        ["deposit", "fill", "emptied", "door", "alarm", "executed", "heartbeat", "lost"]
    );
    assert_eq!(from(DeviceKind::Camera).collect::<Vec<_>>(), ["alarm", "judgement", "sighting", "heartbeat", "lost"]);
    assert_eq!(from(DeviceKind::Projector).collect::<Vec<_>>(), ["alarm", "display", "heartbeat", "lost"]);
}

#[test]
fn only_whole_topics_parse() {
    assert!(Topic::parse("fenlei/v1/site-1/bin/bin-1/event").is_some());
    for bad in [
        "fenlei/v1/site-1/bin/bin-1/event/",
        "/fenlei/v1/site-1/bin/bin-1/event",
        "fenlei/v2/site-1/bin/bin-1/event",
        "fenlei/v1/Site/bin/bin-1/event",
        "fenlei/v1//bin/bin-1/event",
        "fenlei/v1/site-1/lamp/bin-1/event",
        "fenlei/v1/site-1/bin/+/event",
        "fenlei/v1/site-1/bin/bin-1",
        "fenlei/v1/site-1/bin/bin-1/events",
    ] {
        assert_eq!(Topic::parse(bad), None, "{bad}");
    }
}

#[test]
fn times_known_from_elsewhere() {
    let written = |ms, offset| {
        let mut text = String::new();
        write_rfc3339(UnixMillis(ms), offset, &mut text).unwrap();
        text
    };
    assert_eq!(written(1_795_133_730_250, 480), "2026-11-20T08:15:30.250+08:00");
    assert_eq!(written(0, 0), "1970-01-01T00:00:00.000+00:00");
    assert_eq!(written(-1, -570), "1969-12-31T14:29:59.999-09:30");
    assert_eq!(written(951_782_400_000, 0), "2000-02-29T00:00:00.000+00:00");
    assert_eq!(written(i64::MIN, 480), "0000-01-01T00:00:00.000+08:00");
    assert_eq!(written(i64::MAX, i16::MAX), "9999-12-31T23:59:59.999+23:59");
    let read = |text| UnixMillis::parse_rfc3339(text).map(|ms| ms.0);
    assert_eq!(read("2026-11-20T00:15:30Z"), Some(1_795_133_730_000));
    assert_eq!(read("2026-11-20T00:15:30.2509999z"), Some(1_795_133_730_250));
    assert_eq!(read("2026-11-20T08:15:30.25+08:00"), Some(1_795_133_730_250));
    for bad in ["2026-02-30T00:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T00:00:00", "2026-11-20T00:00:00.Z", "圾"] {
        assert_eq!(read(bad), None, "{bad}");
    }
    assert_eq!(Date::parse("2026-11-23").unwrap().weekday(), 0);
    assert_eq!(Date::parse("2026-11-22").unwrap().weekday(), 6);
}

/// Counts every day of 800 years one by one, knowing only the lengths of months and years.
#[test]
fn the_calendar_agrees_with_counting() {
    let (mut date, mut weekday) = ((1600, 1, 1), 5);
    for days in days_from_civil(1600, 1, 1)..days_from_civil(2400, 1, 1) {
        let (year, month, day) = date;
        assert_eq!((days_from_civil(year, month, day), civil_from_days(days)), (days, date));
        assert_eq!(Date::new(year, month, day).unwrap().weekday(), weekday);
        let leap = u8::from(year % 4 == 0 && year % 100 != 0 || year % 400 == 0);
        let length = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(month) - 1];
        assert_eq!(Date::new(year, month, length + 1), None);
        weekday = (weekday + 1) % 7;
        date = match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == length => (year, month + 1, 1),
            _ => (year, month, day + 1),
        };
    }
}

#[test]
fn a_config_gives_the_windows_of_its_local_day() {
    let payload = include_bytes!("golden/v1/config.json");
    let config: Config = json::from_slice(payload).unwrap();
    let at = |text| config.windows_at(UnixMillis::parse_rfc3339(text).unwrap());
    let (windows, minute) = at("2026-11-20T08:15:30+08:00");
    assert_eq!((windows.len(), minute), (1, 495));
    assert_eq!(at("2026-11-20T16:00:00Z").0.len(), 2, "already Saturday there");
    assert_eq!(at("2026-10-01T07:30:00+08:00").0[0].open.get(), 450, "the date goes before the week");
    assert!(at("2027-02-06T08:00:00+08:00").0.is_empty(), "a date without windows keeps the lids shut");
    let zone = [ZoneStep { from: 100, offset: 60 }, ZoneStep { from: 200, offset: 120 }].into_iter().collect();
    let moving = Config { version: 1, zone, schedule: DeviceSchedule::default(), evening: None };
    let offsets = [99_999, 199_999, 200_000].map(|ms| moving.offset_minutes(UnixMillis(ms)));
    assert_eq!(offsets, [60, 60, 120]);
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let window = (0..1440_u16, 1..=1440_u16, 1..16_u8, any::<bool>()).prop_map(|(a, b, streams, makeup)| Window {
        open: Minute::new(a.min(b)).unwrap(),
        close: Minute::new(a.max(b)).unwrap(),
        streams: Stream::ALL.iter().copied().filter(|stream| streams & (1 << (stream.code() - 1)) != 0).collect(),
        makeup,
    });
    prop::collection::vec(window, 0..6)
}

proptest! {
    #[test]
    fn topics_parse_to_what_was_written(
        site in "[a-z0-9][a-z0-9_-]{0,47}",
        device in "[a-z0-9][a-z0-9_-]{0,47}",
        kind in prop::sample::select(DeviceKind::ALL),
        channel in prop::sample::select(Channel::ALL),
    ) {
        let topic = Topic { site: &site, kind, device: &device, channel };
        let text = topic.to_string();
        prop_assert_eq!(Topic::parse(&text), Some(topic));
        let longer = format!("{site}{}", "x".repeat(48));
        prop_assert!(is_id(&site) && !is_id(&longer) && !is_id("-a") && !is_id(""));
    }

    #[test]
    fn times_survive_writing(ms in -62_000_000_000_000_i64..253_000_000_000_000, offset in -1439..=1439_i16) {
        let mut text = String::new();
        write_rfc3339(UnixMillis(ms), offset, &mut text).unwrap();
        prop_assert_eq!(text.len(), 29);
        prop_assert_eq!(UnixMillis::parse_rfc3339(&text), Some(UnixMillis(ms)));
        let date = UnixMillis(ms).local_date(offset);
        prop_assert_eq!(date.to_string(), &text[..10]);
        prop_assert_eq!(Date::parse(&text[..10]), Some(date));
        let minute = Minute::new(UnixMillis(ms).local_minute(offset)).unwrap();
        prop_assert_eq!(minute.to_string(), &text[11..16]);
        prop_assert_eq!(Minute::parse(&text[11..16]), Some(minute));
    }

    #[test]
    fn a_receipt_covers_what_it_lists(
        through in 0..50_u64,
        steps in prop::collection::vec((1..4_u64, 0..4_u64), 0..MAX_BEYOND),
    ) {
        let mut last = through + 1;
        let beyond: Vec<(u64, u64)> = steps.iter().map(|(gap, more)| {
            let first = last + gap;
            last = first + more;
            (first, last)
        }).collect();
        let listed: Vec<u64> = (1..=through).chain(beyond.iter().flat_map(|(first, last)| *first..=*last)).collect();
        let receipt = Receipt { boot: 3, through, beyond: beyond.into_iter().collect() };
        for seq in 1..last + 3 {
            prop_assert_eq!(receipt.covers(3, seq), listed.contains(&seq));
            prop_assert!(!receipt.covers(4, seq));
        }
    }

    #[test]
    fn timing_follows_the_definition(
        windows in windows(),
        minute in 0..1440_u16,
        stream in prop::sample::select(Stream::ALL),
    ) {
        let open = |makeup| windows.iter().any(|window| {
            (window.open.get()..window.close.get()).contains(&minute)
                && window.streams.iter().any(|own| own == stream)
                && window.makeup == makeup
        });
        let expected = if open(false) {
            Timing::InWindow
        } else if open(true) {
            Timing::Makeup
        } else {
            Timing::OffHours
        };
        prop_assert_eq!(timing(&windows, minute, stream), expected);
        prop_assert_eq!(welcomes(&windows, minute, stream), open(false) || open(true));
        let until = next_edge(&windows, minute).unwrap_or(1440);
        prop_assert!(until > minute);
        for same in minute..until.min(1440) {
            prop_assert_eq!(timing(&windows, same, stream), expected);
        }
    }

    #[test]
    fn sets_survive_writing(days in 1..128_u8, streams in 1..16_u8) {
        let days: DaySet = (0..7).filter(|day| days & (1 << day) != 0).collect();
        prop_assert_eq!(serde_json::from_str::<DaySet>(&serde_json::to_string(&days).unwrap()).unwrap(), days);
        let streams: StreamSet = Stream::ALL.iter().copied().filter(|s| streams & (1 << (s.code() - 1)) != 0).collect();
        let text = serde_json::to_vec(&streams).unwrap();
        prop_assert_eq!(json::from_slice::<StreamSet>(&text).unwrap(), streams);
    }

    /// Whatever a reader's card says, the event is one JSON object with that card in it.
    #[test]
    fn strings_are_escaped_as_json_wants(card in any::<String>(), tenths in any::<i16>()) {
        let encode = |body| {
            let mut text = String::new();
            let event = Event { boot: 1, seq: 1, time: UnixMillis(0), offset_minutes: 0, unsynced: false, body };
            event.encode(&mut text).unwrap();
            serde_json::from_str::<serde_json::Value>(&text)
        };
        let stream = Stream::Food;
        let body = Body::Deposit { stream, grams: 1, card: Some(&card), verdict: None, reason: None };
        prop_assert_eq!(&encode(body).unwrap()["card"], card.as_str());
        let body = Body::Heartbeat { celsius: Some(tenths), millivolts: None, rssi: None };
        let celsius = encode(body).unwrap()["celsius"].as_f64().unwrap();
        prop_assert!((celsius * 10.0 - f64::from(tenths)).abs() < 1e-6);
    }
}
