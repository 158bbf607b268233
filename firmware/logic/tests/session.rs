//! The session step by step, as a driver sees it.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_logic::queue::{Gone, Queued};
use fenlei_logic::seen::SeenCommands;
use fenlei_logic::session::MIN_SCRATCH;
use fenlei_logic::{Action, EventQueue, Input, Millis, QueueFull, RamQueue, Session};
use fenlei_wire::event::Body;
use fenlei_wire::receipt::Receipt;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{Channel, ExecutedStatus, Stream};

type Queue = RamQueue<64, 16384>;

/// What a poll answered, as text.
fn poll(session: &mut Session<Queue>, now: u64) -> String {
    let mut scratch = [0; 4096];
    match session.poll(Millis(now), &mut scratch) {
        Action::Publish { channel, retained, payload } => {
            let kept = if retained { " retained" } else { "" };
            format!("{channel}{kept} {}", std::str::from_utf8(payload).unwrap())
        }
        Action::Command(command) => format!("do {}", command.id),
        Action::Wait { until } => format!("wait {}", until.0),
        other => format!("{other:?}"),
    }
}

fn emptied(session: &mut Session<Queue>, grams: u32) -> Result<u64, QueueFull> {
    session.accept(Body::Emptied { stream: Stream::Food, grams }, UnixMillis(0), 480, false)
}

fn event(seq: u64, grams: u32) -> String {
    format!(
        r#"{{"boot":7,"seq":{seq},"time":"1970-01-01T08:00:00.000+08:00","type":"emptied","stream":"food","grams":{grams}}}"#
    )
}

fn receive(session: &mut Session<Queue>, channel: Channel, payload: &str) {
    session.on(Input::Received { channel, payload: payload.as_bytes() });
}

fn connected() -> Session<Queue> {
    let mut session = Session::new(7, Queue::new(), 1).with_firmware("1.2.0".try_into().unwrap());
    assert_eq!(poll(&mut session, 0), "Connect");
    assert_eq!(poll(&mut session, 0), "Idle");
    session.on(Input::Connected);
    assert_eq!(poll(&mut session, 0), r#"state retained {"online":true,"boot":7,"firmware":"1.2.0"}"#);
    session.on(Input::PublishAcked);
    session
}

#[test]
fn one_event_goes_alone_and_several_in_an_array() {
    let mut session = connected();
    assert_eq!(emptied(&mut session, 5), Ok(1));
    assert_eq!(poll(&mut session, 0), format!("event {}", event(1, 5)));
    emptied(&mut session, 6).unwrap();
    emptied(&mut session, 7).unwrap();
    assert_eq!(poll(&mut session, 0), format!("event [{},{}]", event(2, 6), event(3, 7)));
    receive(&mut session, Channel::Receipt, r#"{"boot":7,"through":0,"beyond":[[2,2]]}"#);
    assert_eq!(session.waiting(), 2);
    receive(&mut session, Channel::Receipt, r#"{"boot":6,"through":99}"#);
    assert_eq!(session.waiting(), 2, "another boot's receipt says nothing");
    receive(&mut session, Channel::Receipt, r#"{"boot":7,"through":3}"#);
    assert_eq!((session.waiting(), poll(&mut session, 0).as_str()), (0, "Idle"));
}

#[test]
fn an_event_goes_again_after_a_timeout_that_grows_and_shrinks_back() {
    let mut session = connected();
    emptied(&mut session, 5).unwrap();
    let mut now = 0;
    for patience in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        assert_eq!(poll(&mut session, now), format!("event {}", event(1, 5)));
        assert_eq!(poll(&mut session, now), format!("wait {}", now + 60_000), "the line may be slow");
        session.on(Input::PublishAcked);
        assert_eq!(poll(&mut session, now), format!("wait {}", now + patience));
        now += patience;
    }
    receive(&mut session, Channel::Receipt, r#"{"boot":7,"through":1}"#);
    emptied(&mut session, 6).unwrap();
    poll(&mut session, now);
    session.on(Input::PublishAcked);
    assert_eq!(poll(&mut session, now), format!("wait {}", now + 5_000));
}

#[test]
fn all_goes_again_after_a_reconnect_and_birth_goes_first() {
    let mut session = connected();
    emptied(&mut session, 5).unwrap();
    poll(&mut session, 0);
    session.on(Input::Disconnected);
    emptied(&mut session, 6).unwrap();
    let wait: u64 = poll(&mut session, 10).strip_prefix("wait ").unwrap().parse().unwrap();
    assert!((510..=1010).contains(&wait), "{wait}");
    assert_eq!(poll(&mut session, wait), "Connect");
    session.on(Input::Connected);
    assert!(poll(&mut session, wait).starts_with("state retained"));
    assert_eq!(poll(&mut session, wait), format!("event [{},{}]", event(1, 5), event(2, 6)));
    assert_eq!(&*session.will(), br#"{"online":false,"boot":7}"#);
}

#[test]
fn a_config_is_followed_once_and_told() {
    let mut session = connected();
    let config = r#"{"version":12,"zone":[],"schedule":{"weekly":[],"dates":[]}}"#;
    receive(&mut session, Channel::Config, config);
    assert_eq!(poll(&mut session, 0), "Configured");
    assert_eq!(session.config().unwrap().version, 12);
    assert_eq!(poll(&mut session, 0), r#"state retained {"online":true,"boot":7,"firmware":"1.2.0","config":12}"#);
    receive(&mut session, Channel::Config, config);
    receive(&mut session, Channel::Config, "{}");
    assert_eq!(poll(&mut session, 0), "Idle");
    assert_eq!((session.config().unwrap().version, session.counters().malformed), (12, 1));
    // After a reset it is followed from the start, and comes as no news.
    let mut session = Session::new(8, session.into_queue(), 1);
    session.recall(config.as_bytes());
    session.recall(b"what an earlier firmware wrote");
    receive(&mut session, Channel::Config, config);
    assert!(!session.configured());
    assert_eq!((session.config().unwrap().version, poll(&mut session, 0).as_str()), (12, "Connect"));
}

#[test]
fn a_command_is_handed_out_once_also_after_a_reset() {
    let command = |id: &str| format!(r#"{{"id":"{id}","expires":"2026-11-20T12:00:00Z","type":"lock"}}"#);
    let noon = UnixMillis::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
    let mut session = connected();
    receive(&mut session, Channel::Command, &command("a"));
    receive(&mut session, Channel::Command, &command("a"));
    assert_eq!(session.seen().iter().count(), 0, "not remembered before it is handed out");
    assert_eq!(poll(&mut session, 0), "do a");
    receive(&mut session, Channel::Command, &command("a"));
    assert_eq!(poll(&mut session, 0), "Idle");

    let stored: SeenCommands = session.seen().clone();
    let mut session = Session::new(8, session.into_queue(), 1).with_stored(None, stored);
    receive(&mut session, Channel::Command, &command("a"));
    receive(&mut session, Channel::Command, &command("b"));
    assert_eq!(poll(&mut session, 0), "do b");
    session.on(Input::Clock(noon));
    assert_eq!(session.seen().iter().count(), 0, "forgotten once expired");
    receive(&mut session, Channel::Command, &command("b"));
    assert_eq!(poll(&mut session, 0), "Connect", "expired, so not handed out again");
    assert_eq!(session.counters().skipped, 1);
}

#[test]
fn no_number_of_commands_makes_one_happen_twice() {
    let mut session = connected();
    let mut done = std::collections::BTreeSet::new();
    for round in 0..3 {
        for id in 0..50 {
            let command = format!(r#"{{"id":"c{id}","expires":"2026-11-20T12:00:00Z","type":"unlock"}}"#);
            receive(&mut session, Channel::Command, &command);
            let action = poll(&mut session, round);
            if action != "Idle" {
                assert!(done.insert(action));
            }
        }
    }
    assert_eq!(done.len(), fenlei_logic::seen::MAX_SEEN);
}

#[test]
fn a_full_queue_refuses_without_using_up_a_number() {
    let mut session = connected();
    for seq in 1..=64 {
        assert_eq!(emptied(&mut session, 1), Ok(seq));
    }
    assert_eq!(emptied(&mut session, 1), Err(QueueFull));
    assert_eq!(session.counters().refused, 1);
    receive(&mut session, Channel::Receipt, r#"{"boot":7,"through":64}"#);
    assert_eq!(emptied(&mut session, 1), Ok(65));
}

/// Every event whose strings keep to their limits fits, however badly they escape.
#[test]
fn the_longest_event_can_be_accepted_and_sent() {
    let mut session = connected();
    let (command, detail) = ("\u{1}".repeat(48), "\u{1}".repeat(1000));
    let body = Body::Executed { command: &command, status: ExecutedStatus::Refused, detail: Some(&detail) };
    session.accept(body, UnixMillis(i64::MAX), -1439, true).unwrap();
    let card = "\u{1}".repeat(64);
    let body =
        Body::Deposit { stream: Stream::Recyclable, grams: 200_000, card: Some(&card), verdict: None, reason: None };
    session.accept(body, UnixMillis(0), 0, true).unwrap();
    let mut scratch = [0; MIN_SCRATCH];
    for _ in 0..2 {
        assert!(matches!(session.poll(Millis(0), &mut scratch), Action::Publish { .. }));
    }
    assert_eq!(session.into_queue().len(), 2);
}

/// A memory that has lost the second event of all that it took in.
struct Forgetful(Queue);

impl EventQueue for Forgetful {
    fn push(&mut self, boot: u32, seq: u64, event: &[u8]) -> Result<(), QueueFull> {
        self.0.push(boot, seq, event)
    }

    fn iter(&self) -> impl Iterator<Item = Queued> {
        self.0.iter()
    }

    fn read(&self, queued: Queued, out: &mut [u8]) -> Result<(), Gone> {
        if queued.seq == 2 { Err(Gone) } else { self.0.read(queued, out) }
    }

    fn settle(&mut self, receipt: &Receipt) -> usize {
        self.0.settle(receipt)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn an_event_that_the_memory_lost_is_declared_lost() {
    let mut session = Session::new(7, Forgetful(Queue::new()), 1);
    let mut scratch = [0; 4096];
    (1..=3).for_each(|grams| {
        let body = Body::Emptied { stream: Stream::Food, grams };
        session.accept(body, UnixMillis(0), 480, false).unwrap();
    });
    let mut published = Vec::new();
    loop {
        match session.poll(Millis(0), &mut scratch) {
            Action::Connect => session.on(Input::Connected),
            Action::Publish { channel: Channel::Event, payload, .. } => {
                published.push(String::from_utf8(payload.to_vec()).unwrap());
            }
            Action::Publish { .. } => {}
            _ => break,
        }
    }
    let lost = r#"{"boot":7,"seq":4,"time":"1970-01-01T00:00:00.000+00:00","clock":"unsynced","type":"lost","of_boot":7,"from":2,"to":2}"#;
    assert_eq!(published, [event(1, 1), format!("[{},{lost}]", event(3, 3))]);
    assert_eq!(session.waiting(), 3);
}
