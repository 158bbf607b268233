//! What a projector shows over an evening: what it was sent, its own message, nothing.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_logic::screen::{Picture, Screen};
use fenlei_wire::command::CommandBody;
use fenlei_wire::config::Config;
use fenlei_wire::json;
use fenlei_wire::time::UnixMillis;

fn config(evening: &str) -> Config {
    let zone = r#"[{"from":0,"offset":120},{"from":1792890000,"offset":60}]"#;
    let config = format!(r#"{{"version":1,"zone":{zone},"schedule":{{"weekly":[]}},"evening":{evening}}}"#);
    json::from_slice(config.as_bytes()).unwrap()
}

fn at(text: &str) -> UnixMillis {
    UnixMillis::parse_rfc3339(text).unwrap()
}

fn display(text: &str, seconds: u32) -> CommandBody {
    CommandBody::Display { text: text.try_into().unwrap(), seconds }
}

#[test]
fn a_message_goes_before_the_evening_message_which_comes_back() {
    let config = config(r#"{"text":"垃圾分类,因为你","start":"18:30","seconds":7200}"#);
    let evening = Picture::Evening("垃圾分类,因为你");
    let mut screen = Screen::new();
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T18:29:59.999+02:00"))), Picture::Dark);
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T18:30:00+02:00"))), evening);
    assert!(screen.obey(&display("今晚停电", 600), at("2026-10-24T19:00:00+02:00")));
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T19:09:59.999+02:00"))), Picture::Sent("今晚停电"));
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T19:10:00+02:00"))), evening);
    screen.obey(&display("明早开会", 600), at("2026-10-24T20:00:00+02:00"));
    let mut screen = Screen::restored(screen.sent().cloned());
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T20:05:00+02:00"))), Picture::Sent("明早开会"));
    assert!(screen.obey(&CommandBody::Clear, at("2026-10-24T20:06:00+02:00")));
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T20:06:00+02:00"))), evening);
    assert_eq!(screen.picture(Some(&config), Some(at("2026-10-24T20:30:00+02:00"))), Picture::Dark);
    assert!(!screen.obey(&CommandBody::Lock { seconds: None }, at("2026-10-24T20:30:00+02:00")), "no command for it");
}

#[test]
fn an_evening_lasts_beyond_midnight_and_over_a_change_of_the_clock() {
    // Summer time ends at 03:00 on the 25th: what began at 23:00 for five hours ends at 03:00 of the new time.
    let config = config(r#"{"text":"好","start":"23:00","seconds":18000}"#);
    let mut screen = Screen::new();
    let mut changes = Vec::new();
    let mut now = at("2026-10-24T12:00:00+02:00");
    for _ in 0..4 {
        now = screen.next_change(Some(&config), now).unwrap();
        let before = screen.picture(Some(&config), Some(UnixMillis(now.0 - 1))) == Picture::Dark;
        assert_ne!(before, screen.picture(Some(&config), Some(now)) == Picture::Dark);
        changes.push(now);
    }
    let wanted = [
        "2026-10-24T23:00:00+02:00",
        "2026-10-25T03:00:00+01:00",
        "2026-10-25T23:00:00+01:00",
        "2026-10-26T04:00:00+01:00",
    ];
    assert_eq!(changes, wanted.map(at));
}

#[test]
fn without_a_clock_or_a_config_only_what_was_sent_shows() {
    let config = config(r#"{"text":"好","start":"00:00","seconds":86400}"#);
    let (mut screen, noon) = (Screen::new(), at("2026-10-24T12:00:00Z"));
    assert_eq!(screen.picture(Some(&config), None), Picture::Dark);
    assert_eq!(screen.picture(None, Some(noon)), Picture::Dark);
    assert_eq!(screen.next_change(None, noon), None);
    screen.obey(&display("欢迎", 60), noon);
    assert_eq!(screen.picture(None, None), Picture::Sent("欢迎"));
}
