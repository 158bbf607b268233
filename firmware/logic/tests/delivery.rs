//! The promise itself: over a line that loses, doubles and reorders, through lost connections and restarts of the device,
//! every accepted event arrives exactly once and nothing is invented.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use std::collections::BTreeMap;

use fenlei_logic::{Action, EventQueue, Input, Millis, RamQueue, Session};
use fenlei_wire::event::Body;
use fenlei_wire::json;
use fenlei_wire::limits::MAX_BEYOND;
use fenlei_wire::receipt::Receipt;
use fenlei_wire::state::State;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{Channel, Stream};
use proptest::prelude::*;

type Queue = RamQueue<48, 6000>;
type Ledger = BTreeMap<(u32, u64), u64>;

/// The backend by the contract: the first arrival counts, and every publish is answered by where its boot stands.
#[derive(Default)]
struct Backend {
    ledger: Ledger,
    arrivals: usize,
    newest_birth: u32,
}

impl Backend {
    fn take(&mut self, payload: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(payload).unwrap();
        let array = text.strip_prefix('[').map(|rest| rest.strip_suffix(']').unwrap());
        let mut boot = 0;
        for event in array.unwrap_or(text).split_inclusive('}') {
            boot = u32::try_from(number(event, "boot")).unwrap();
            let grams = number(event, "grams");
            let first = *self.ledger.entry((boot, number(event, "seq"))).or_insert(grams);
            assert_eq!(first, grams, "two events under one name");
            self.arrivals += 1;
        }
        let mut receipt = vec![0; 4096];
        let length = json::to_slice(&self.receipt(boot), &mut receipt).unwrap();
        receipt.truncate(length);
        receipt
    }

    /// Receipts speak of one boot: a batch over several is answered for its last, so the rest must come again.
    fn receipt(&self, boot: u32) -> Receipt {
        let mut receipt = Receipt { boot, through: 0, beyond: heapless::Vec::new() };
        for (_, seq) in self.ledger.keys().filter(|(of, _)| *of == boot) {
            if *seq == receipt.through + 1 {
                receipt.through = *seq;
            } else if let Some((_, last)) = receipt.beyond.last_mut().filter(|(_, last)| *last + 1 == *seq) {
                *last = *seq;
            } else if receipt.beyond.len() < MAX_BEYOND {
                receipt.beyond.push((*seq, *seq)).unwrap();
            }
        }
        receipt
    }
}

/// A number of an event; its exact spelling is the golden tests' matter.
fn number(event: &str, key: &str) -> u64 {
    let (_, rest) = event.split_once(&format!("\"{key}\":")).unwrap();
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap();
    rest[..end].parse().unwrap()
}

/// What may go wrong next.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Events(u8),
    Deliver,
    Lose,
    Double,
    Swap,
    Reply,
    LoseReply,
    DoubleReply,
    Disconnect,
    Restart,
    Wait(u16),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => (1..8_u8).prop_map(Fault::Events),
        8 => Just(Fault::Deliver),
        2 => Just(Fault::Lose),
        1 => Just(Fault::Double),
        1 => Just(Fault::Swap),
        6 => Just(Fault::Reply),
        2 => Just(Fault::LoseReply),
        1 => Just(Fault::DoubleReply),
        1 => Just(Fault::Disconnect),
        1 => Just(Fault::Restart),
        4 => (0..8_000_u16).prop_map(Fault::Wait),
    ]
}

struct World {
    session: Option<Session<Queue>>,
    backend: Backend,
    accepted: Ledger,
    up: Vec<Vec<u8>>,
    down: Vec<Vec<u8>>,
    now: u64,
    scratch: Vec<u8>,
    grams: u64,
}

impl World {
    fn new(seed: u64, scratch: usize) -> Self {
        Self {
            session: Some(Session::new(1, Queue::new(), seed)),
            backend: Backend::default(),
            accepted: Ledger::new(),
            up: Vec::new(),
            down: Vec::new(),
            now: 0,
            scratch: vec![0; scratch],
            grams: 0,
        }
    }

    fn session(&mut self) -> &mut Session<Queue> {
        self.session.as_mut().unwrap()
    }

    /// Does what the session asks for until it waits, and says until when.
    fn run(&mut self) -> Option<u64> {
        let session = self.session.as_mut().unwrap();
        loop {
            match session.poll(Millis(self.now), &mut self.scratch) {
                Action::Connect => session.on(Input::Connected),
                Action::Publish { channel: Channel::State, retained, payload } => {
                    let state: State = json::from_slice(payload).unwrap();
                    assert!(retained && state.online && state.boot >= self.backend.newest_birth);
                    self.backend.newest_birth = state.boot;
                    session.on(Input::PublishAcked);
                }
                Action::Publish { channel, retained, payload } => {
                    assert!(channel == Channel::Event && !retained);
                    self.up.push(payload.to_vec());
                }
                Action::Wait { until } => return Some(until.0),
                Action::Idle => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    fn deliver(&mut self) {
        if !self.up.is_empty() {
            let payload = self.up.remove(0);
            self.session().on(Input::PublishAcked);
            let receipt = self.backend.take(&payload);
            self.down.push(receipt);
        }
    }

    fn reply(&mut self) {
        if !self.down.is_empty() {
            let payload = self.down.remove(0);
            self.session().on(Input::Received { channel: Channel::Receipt, payload: &payload });
        }
    }

    fn accept(&mut self) {
        self.grams += 1;
        let body = Body::Emptied { stream: Stream::Food, grams: self.grams as u32 };
        let time = UnixMillis(self.now as i64);
        let session = self.session.as_mut().unwrap();
        if let Ok(seq) = session.accept(body, time, 480, false) {
            assert_eq!(self.accepted.insert((session.boot(), seq), self.grams), None);
        }
    }

    fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Events(count) => (0..count).for_each(|_| self.accept()),
            Fault::Deliver => self.deliver(),
            Fault::Lose => drop(self.up.pop()),
            Fault::Double => self.up.extend(self.up.first().cloned()),
            Fault::Swap => self.up.reverse(),
            Fault::Reply => self.reply(),
            Fault::LoseReply => drop(self.down.pop()),
            Fault::DoubleReply => self.down.extend(self.down.first().cloned()),
            // What is on the line may arrive yet: the backend read it before the connection broke.
            Fault::Disconnect => self.session().on(Input::Disconnected),
            Fault::Restart => {
                let session = self.session.take().unwrap();
                let boot = session.boot() + 1;
                self.session = Some(Session::new(boot, session.into_queue(), self.now));
            }
            Fault::Wait(more) => self.now += u64::from(more),
        }
        self.run();
    }

    /// From here on all goes well; says how long it took until the queue was empty.
    fn recover(&mut self) -> u64 {
        let begun = self.now;
        for _ in 0..1_000 {
            let until = self.run();
            while !(self.up.is_empty() && self.down.is_empty()) {
                self.deliver();
                self.reply();
            }
            if self.session().waiting() == 0 {
                return self.now - begun;
            }
            let next = self.run();
            if self.up.is_empty() {
                self.now = next.or(until).unwrap_or(self.now).max(self.now);
            }
        }
        panic!("{} events never arrived", self.session().waiting());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_accepted_event_arrives_exactly_once(
        faults in prop::collection::vec(fault(), 0..300),
        seed in any::<u64>(),
        scratch in 1538..8000_usize,
    ) {
        let mut world = World::new(seed, scratch);
        for fault in faults {
            world.suffer(fault);
        }
        let took = world.recover();
        prop_assert!(took <= 240_000, "recovered only after {took} ms");
        prop_assert_eq!(&world.backend.ledger, &world.accepted);
        prop_assert!(world.session.take().unwrap().into_queue().is_empty());
    }
}

/// A day's outage is caught up in few publishes, each event sent once.
#[test]
fn catching_up_takes_arrays_and_no_repetition() {
    let mut queue = RamQueue::<3_000, { 320 * 1024 }>::new();
    let mut session = Session::new(1, &mut queue, 1);
    let mut accepted = Ledger::new();
    for grams in 1..=3_000 {
        let body = Body::Emptied { stream: Stream::Food, grams };
        let seq = session.accept(body, UnixMillis(0), 480, false).unwrap();
        accepted.insert((1, seq), u64::from(grams));
    }
    let mut backend = Backend::default();
    let mut scratch = vec![0; 256 * 1024];
    let mut publishes = 0;
    while session.waiting() > 0 {
        match session.poll(Millis(0), &mut scratch) {
            Action::Connect => session.on(Input::Connected),
            Action::Publish { channel: Channel::Event, payload, .. } => {
                publishes += 1;
                let receipt = backend.take(payload);
                session.on(Input::PublishAcked);
                session.on(Input::Received { channel: Channel::Receipt, payload: &receipt });
            }
            Action::Publish { .. } => session.on(Input::PublishAcked),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((publishes, backend.arrivals), (6, 3_000));
    assert_eq!(backend.ledger, accepted);
}
