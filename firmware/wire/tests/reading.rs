//! Decoding: lenient about what the contract leaves free, firm about everything else, and never a panic.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_wire::command::{Command, CommandBody};
use fenlei_wire::config::Config;
use fenlei_wire::json::{self, Error};
use fenlei_wire::limits;
use fenlei_wire::receipt::Receipt;
use fenlei_wire::schedule::{Minute, StreamSet, Window};
use fenlei_wire::state::State;
use fenlei_wire::time::{Date, UnixMillis};
use fenlei_wire::topic::Topic;
use proptest::prelude::*;

fn display(text: &str) -> Result<String, Error> {
    let payload = format!(r#"{{"id":"m","expires":"x","type":"display","text":{text},"seconds":1}}"#);
    match json::from_slice::<Command>(payload.as_bytes())?.body {
        CommandBody::Display { text, .. } => Ok(text.as_str().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn escapes_are_read_as_the_characters_they_stand_for() {
    assert_eq!(display(r#""a\"\\\/\n\u5783圾""#).unwrap(), "a\"\\/\n垃圾");
    assert_eq!(display(r#""\ud83d\ude42 and \\ud83d""#).unwrap(), "🙂 and \\ud83d");
    assert_eq!(display(r#""\ud83d""#), Err(Error::Syntax));
    assert_eq!(display(r#""\ude42\ud83d""#), Err(Error::Syntax));
}

#[test]
fn unknown_members_are_ignored_and_missing_ones_named_as_mismatch() {
    let state: State = json::from_slice(br#" {"x":[{"y":null}],"online":true,"boot":1,"z":"\u0041"} "#).unwrap();
    assert_eq!(state, State { online: true, boot: 1, firmware: None, config: None });
    let receipt: Receipt = json::from_slice(br#"{"boot":1,"through":5}"#).unwrap();
    assert!(receipt.beyond.is_empty());
    assert_eq!(json::from_slice::<State>(br#"{"online":true}"#), Err(Error::Mismatch));
    assert_eq!(json::from_slice::<State>(br#"{"online":true,"boot":-1}"#), Err(Error::Mismatch));
    assert_eq!(json::from_slice::<State>(br#"{"online":true,"boot":1}x"#), Err(Error::Syntax));
}

#[test]
fn what_exceeds_a_limit_is_refused_not_cut() {
    let text = "圾".repeat(85) + "a";
    assert_eq!(display(&format!("\"{text}\"")).unwrap(), text);
    assert_eq!(display(&format!("\"{text}b\"")), Err(Error::Mismatch));
    let command = br#"{"id":"c","expires":"x","type":"explode"}"#;
    assert_eq!(json::from_slice::<Command>(command), Err(Error::Mismatch));
    let mut small = [0; 8];
    assert_eq!(json::to_slice(&State::will(1), &mut small), Err(Error::Full));
}

#[test]
fn depth_is_bounded_before_anything_recurses() {
    let deep = format!(r#"{{"online":true,"x":{}"#, "[".repeat(200_000));
    assert_eq!(json::from_slice::<State>(deep.as_bytes()), Err(Error::TooDeep));
    let quoted = format!(r#"{{"online":true,"boot":1,"x":"{}"}}"#, "[".repeat(200_000));
    assert!(json::from_slice::<State>(quoted.as_bytes()).is_ok());
}

#[test]
fn windows_that_mean_nothing_are_refused() {
    for bad in [
        r#"{"open":"09:00","close":"09:00"}"#,
        r#"{"open":"09:00","close":"08:00"}"#,
        r#"{"open":"9:00","close":"10:00"}"#,
        r#"{"open":"09:00","close":"24:01"}"#,
        r#"{"open":"09:00","close":"10:00","streams":[]}"#,
        r#"{"open":"09:00","close":"10:00","streams":["paper"]}"#,
    ] {
        assert_eq!(json::from_slice::<Window>(bad.as_bytes()), Err(Error::Mismatch), "{bad}");
        assert!(serde_json::from_str::<Window>(bad).is_err(), "{bad}");
    }
    let window: Window = json::from_slice(br#"{"open":"00:00","close":"24:00"}"#).unwrap();
    assert_eq!((window.streams, window.makeup, window.close), (StreamSet::ALL, false, Minute::END_OF_DAY));
}

fn read_everything(bytes: &[u8]) {
    let _ = json::from_slice::<State>(bytes);
    let _ = json::from_slice::<Receipt>(bytes);
    let _ = json::from_slice::<Command>(bytes);
    let _ = json::from_slice::<Config>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Topic::parse(text);
        let _ = UnixMillis::parse_rfc3339(text);
        let _ = Date::parse(text);
        let _ = Minute::parse(text);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        read_everything(&bytes);
    }

    #[test]
    fn random_text_never_panics(text in any::<String>(), digits in "[-0-9T:.+Z垃]{0,40}") {
        read_everything(text.as_bytes());
        read_everything(digits.as_bytes());
    }

    /// Nearly right input reaches further into the decoders than noise does.
    #[test]
    fn mangled_messages_never_panic(
        which in 0..5_usize,
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(&b"\"\\{}[],:-0u\xff"[..]),
        cut in any::<prop::sample::Index>(),
    ) {
        let golden: [&[u8]; 5] = [
            include_bytes!("golden/v1/config.json"),
            include_bytes!("golden/v1/command_display.json"),
            include_bytes!("golden/v1/receipt.json"),
            include_bytes!("golden/v1/state_birth.json"),
            br#"{"id":"\ud83d\ude42","text":"\\\ud83d\ud83d\ude42\u"}"#,
        ];
        let mut bytes = golden[which].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = with;
        read_everything(&bytes);
        read_everything(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn texts_survive_any_escaping(text in "\\PC{0,40}") {
        let ascii: String = text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        if text.len() <= 256 {
            prop_assert_eq!(display(&format!("\"{ascii}\"")).unwrap(), text.clone());
            prop_assert_eq!(display(&serde_json::to_string(&text).unwrap()).unwrap(), text);
        }
    }
}

/// As many windows, dates and offsets as a config may have, each as long as it can be written.
#[test]
fn the_longest_config_is_no_longer_than_devices_are_told() {
    let window = r#""open":"23:58","close":"23:59","streams":["food","residual","recyclable"],"makeup":true}"#;
    let list = |each: String, count: usize| vec![each; count].join(",");
    let weekly = format!(r#"{{"days":["mon","tue","wed","thu","fri","sat","sun"],{window}"#);
    let windows = list(format!("{{{window}"), limits::MAX_DAY_WINDOWS);
    let config = format!(
        r#"{{"version":4294967295,"zone":[{}],"schedule":{{"weekly":[{}],"dates":[{}]}},"evening":{{"text":"{}","start":"23:59","seconds":86400}}}}"#,
        list(r#"{"from":99999999999,"offset":-1439}"#.to_owned(), limits::MAX_ZONE_STEPS),
        list(weekly, limits::MAX_WEEKLY),
        list(format!(r#"{{"date":"2026-12-31","windows":[{windows}]}}"#), limits::MAX_DATES),
        "\\n".repeat(limits::MAX_TEXT_BYTES),
    );
    let read: Config = json::from_slice(config.as_bytes()).unwrap();
    let mut written = vec![0; limits::MAX_CONFIG_BYTES];
    let length = json::to_slice(&read, &mut written).unwrap();
    assert_eq!(std::str::from_utf8(&written[..length]).unwrap(), config);
}
