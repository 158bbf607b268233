//! What a device is to be told, and what it has not yet said that it was told. It outlives the device's connections.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mqtt5_protocol::QoS;
use mqtt5_protocol::packet::subscribe_options::SubscriptionOptions;

use super::messages::{Delivery, Outbound};

/// What may wait for a device. What is over it is dropped: commands are sent again until they expire, receipts answer a
/// device that sends its events again, and the newest config is retained.
const MESSAGES: usize = 10_000;
const BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct Subscription {
    filter: String,
    options: SubscriptionOptions,
    number: Option<u32>,
}

#[derive(Debug)]
struct Waiting {
    message: Outbound,
    acknowledged: bool,
    subscription: Option<u32>,
}

/// A device has as many subscriptions as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug, Default)]
pub(super) struct Session {
    subscriptions: Vec<Subscription>,
    waiting: VecDeque<Waiting>,
    /// Of what waits.
    bytes: usize,
    /// Sent and not acknowledged, in the order in which it was sent.
    under_way: VecDeque<(u16, Waiting)>,
    /// How many of these, the last ones, this connection has not sent again yet.
    again: usize,
    last_id: u16,
    /// While the device is away: when all of this is forgotten.
    pub(super) over: Option<Instant>,
    /// Whether something was dropped since the device was last there.
    overflowed: bool,
}

impl Session {
    /// A connection begins. Tells whether it finds something of the one before.
    pub(super) fn begin(&mut self, anew: bool, now: Instant) -> bool {
        let found = self.over.is_some_and(|over| now < over) && !anew;
        if !found {
            *self = Self::default();
        }
        self.again = self.under_way.len();
        (self.over, self.overflowed) = (None, false);
        found
    }

    /// It ended, and the rest is kept for so long.
    pub(super) fn end(&mut self, kept: Duration, now: Instant) {
        if kept.is_zero() {
            *self = Self::default();
        } else {
            self.over = now.checked_add(kept);
        }
    }

    /// Tells whether it has this subscription only now.
    pub(super) fn subscribe(
        &mut self,
        filter: &str,
        options: SubscriptionOptions,
        number: Option<u32>,
        most: usize,
    ) -> Result<bool, Full> {
        if let Some(known) = self.subscriptions.iter_mut().find(|known| known.filter == filter) {
            (known.options, known.number) = (options, number);
            return Ok(false);
        }
        if self.subscriptions.len() >= most {
            return Err(Full);
        }
        self.subscriptions.push(Subscription { filter: filter.to_owned(), options, number });
        Ok(true)
    }

    /// Tells whether there was one.
    pub(super) fn unsubscribe(&mut self, filter: &str) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|known| known.filter != filter);
        self.subscriptions.len() < before
    }

    /// A message was published. Tells whether one had to be dropped, the first time.
    pub(super) fn offer(&mut self, message: &Outbound) -> bool {
        let found = self.subscriptions.iter().filter(|known| topic_of(&known.filter) == &*message.topic);
        let Some(known) = found.max_by_key(|known| known.options.qos as u8) else { return false };
        let retain = message.retain && known.options.retain_as_published;
        let (acknowledged, subscription) = (known.options.qos != QoS::AtMostOnce, known.number);
        self.wait(Waiting { message: Outbound { retain, ..message.clone() }, acknowledged, subscription })
    }

    /// The device just subscribed to what this was retained for.
    pub(super) fn offer_retained(&mut self, filter: &str, message: &Outbound) -> bool {
        let Some(known) = self.subscriptions.iter().find(|known| known.filter == filter) else { return false };
        let (acknowledged, subscription) = (known.options.qos != QoS::AtMostOnce, known.number);
        self.wait(Waiting { message: message.clone(), acknowledged, subscription })
    }

    fn wait(&mut self, waiting: Waiting) -> bool {
        let bytes = size(&waiting.message);
        if self.waiting.len() >= MESSAGES || self.bytes + bytes > BYTES {
            return !std::mem::replace(&mut self.overflowed, true);
        }
        self.bytes += bytes;
        self.waiting.push_back(waiting);
        false
    }

    /// What is to be sent next, while fewer than `window` are under way.
    pub(super) fn next(&mut self, window: usize, now: Instant) -> Option<Delivery> {
        while self.again > 0 {
            // As many as this connection has under way.
            let place = self.under_way.len() - self.again;
            if place >= window {
                return None;
            }
            self.again -= 1;
            let (id, waiting) = self.under_way.get(place)?;
            if waiting.message.until.is_none_or(|until| now < until) {
                return Some(delivery(waiting, Some(*id), true, now));
            }
            self.under_way.remove(place);
        }
        while let Some(waiting) = self.waiting.front() {
            if waiting.acknowledged && self.under_way.len() >= window {
                return None;
            }
            let waiting = self.waiting.pop_front()?;
            self.bytes -= size(&waiting.message);
            if waiting.message.until.is_some_and(|until| until <= now) {
                continue;
            }
            if !waiting.acknowledged {
                return Some(delivery(&waiting, None, false, now));
            }
            let id = self.free_id();
            let delivery = delivery(&waiting, Some(id), false, now);
            self.under_way.push_back((id, waiting));
            return Some(delivery);
        }
        None
    }

    pub(super) fn acknowledged(&mut self, id: u16) {
        let Some(place) = self.under_way.iter().position(|(known, _)| *known == id) else { return };
        self.under_way.remove(place);
        if place >= self.under_way.len() + 1 - self.again {
            self.again -= 1;
        }
    }

    /// There is one: the window is narrower than there are ids.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.under_way.iter().all(|(id, _)| *id != self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// A filter of this broker is a topic's full name, shared or not.
fn topic_of(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/").and_then(|shared| shared.split_once('/'));
    shared.map_or(filter, |(_, topic)| topic)
}

fn size(message: &Outbound) -> usize {
    message.topic.len() + message.payload.len()
}

fn delivery(waiting: &Waiting, id: Option<u16>, again: bool, now: Instant) -> Delivery {
    let Outbound { topic, payload, retain, until } = waiting.message.clone();
    let lifetime = until.map(|until| until.saturating_duration_since(now));
    Delivery { topic, payload, retain, id, again, lifetime, subscription: waiting.subscription }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const WINDOW: usize = 3;

    fn message(number: u32, until: Option<Instant>) -> Outbound {
        Outbound { topic: "a/b".into(), payload: Bytes::from(number.to_string()), retain: false, until }
    }

    fn subscribed(qos: QoS) -> Session {
        let mut session = Session::default();
        session.begin(true, Instant::now());
        let options = SubscriptionOptions { qos, ..SubscriptionOptions::default() };
        assert_eq!(session.subscribe("a/b", options, Some(9), 1), Ok(true));
        session
    }

    fn number(delivery: &Delivery) -> u32 {
        str::from_utf8(&delivery.payload).unwrap().parse().unwrap()
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Offer,
        Send,
        /// The one of those under way that comes at this place.
        Acknowledge(usize),
        ConnectAgain,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Offer),
            4 => Just(Step::Send),
            3 => (0..WINDOW).prop_map(Step::Acknowledge),
            1 => Just(Step::ConnectAgain),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever is acknowledged when, and however often the device comes back: each message is sent until it is
        /// acknowledged, in the order of the offers, each under an id of its own, and no more at once than the window holds.
        #[test]
        fn each_message_arrives_in_order(steps in steps()) {
            let (mut session, now) = (subscribed(QoS::AtLeastOnce), Instant::now());
            // What the device holds: its ids and numbers since it last connected, not acknowledged; and all acknowledged.
            let (mut offered, mut first, mut held, mut done) = (0, 0, Vec::<(u16, u32)>::new(), Vec::new());
            let mut before = Vec::new();
            let drain = steps.iter().copied().chain(std::iter::repeat_n([Step::Send, Step::Acknowledge(0)], 400).flatten());
            for step in drain {
                match step {
                    Step::Offer => {
                        prop_assert!(!session.offer(&message(offered, None)));
                        offered += 1;
                    }
                    Step::Send => {
                        let Some(sent) = session.next(WINDOW, now) else { continue };
                        let (id, number) = (sent.id.unwrap(), number(&sent));
                        prop_assert_eq!(sent.again, before.contains(&(id, number)));
                        prop_assert!(held.iter().all(|(known, _)| *known != id));
                        if !sent.again {
                            prop_assert_eq!(number, first);
                            first += 1;
                        }
                        prop_assert!(held.last().is_none_or(|(_, last)| *last < number));
                        held.push((id, number));
                        prop_assert!(held.len() <= WINDOW);
                    }
                    Step::Acknowledge(place) if !held.is_empty() => {
                        let (id, number) = held.remove(place % held.len());
                        session.acknowledged(id);
                        done.push(number);
                    }
                    Step::Acknowledge(_) => {}
                    Step::ConnectAgain => {
                        session.end(Duration::from_secs(9), now);
                        prop_assert!(session.begin(false, now + Duration::from_secs(8)));
                        before.retain(|(_, number)| !done.contains(number));
                        before.append(&mut held);
                    }
                }
            }
            done.sort_unstable();
            prop_assert_eq!(done, (0..offered).collect::<Vec<_>>());
            prop_assert_eq!(session.bytes, 0);
        }
    }

    #[test]
    fn what_expires_is_not_sent_nor_sent_again() {
        let (mut session, now) = (subscribed(QoS::AtLeastOnce), Instant::now());
        let until = now + Duration::from_secs(5);
        for number in 0..2 {
            session.offer(&message(number, Some(until)));
        }
        session.offer(&message(2, None));
        let sent = session.next(WINDOW, now).unwrap();
        assert_eq!((sent.lifetime, sent.subscription), (Some(Duration::from_secs(5)), Some(9)));
        assert_eq!(session.next(WINDOW, until).map(|sent| number(&sent)), Some(2));
        session.end(Duration::from_secs(9), until);
        assert!(session.begin(false, until));
        let again = session.next(WINDOW, until).unwrap();
        assert_eq!((number(&again), again.again), (2, true));
        assert_eq!(session.next(WINDOW, until), None);
    }

    #[test]
    fn a_session_is_kept_as_long_as_it_was_asked_for() {
        let (kept, now) = (Duration::from_secs(9), Instant::now());
        for (kept, anew, away, found) in
            [(kept, false, 8, true), (kept, true, 8, false), (kept, false, 9, false), (Duration::ZERO, false, 0, false)]
        {
            let mut session = subscribed(QoS::AtLeastOnce);
            session.offer(&message(1, None));
            session.end(kept, now);
            assert_eq!(session.begin(anew, now + Duration::from_secs(away)), found);
            assert_eq!(session.next(WINDOW, now).is_some(), found);
            session.offer(&message(2, None));
            assert_eq!(session.next(WINDOW, now).is_some(), found, "its subscriptions are of the session");
        }
    }

    #[test]
    fn a_narrower_window_holds_for_what_is_sent_again() {
        let (mut session, now) = (subscribed(QoS::AtLeastOnce), Instant::now());
        for number in 0..4 {
            session.offer(&message(number, None));
        }
        while session.next(WINDOW, now).is_some() {}
        session.end(Duration::from_secs(9), now);
        assert!(session.begin(false, now));
        for expected in 0..4 {
            let sent = session.next(1, now).unwrap();
            assert_eq!((number(&sent), sent.again), (expected, expected < 3));
            assert_eq!(session.next(1, now), None);
            session.acknowledged(sent.id.unwrap());
        }
    }

    #[test]
    fn what_is_over_the_bounds_is_dropped_and_said_once() {
        let (mut session, large) = (subscribed(QoS::AtLeastOnce), Bytes::from(vec![0; BYTES / 3]));
        let large = Outbound { payload: large, ..message(0, None) };
        assert_eq!([0; 4].map(|_| session.offer(&large)), [false, false, true, false]);
        let mut session = subscribed(QoS::AtLeastOnce);
        let dropped = (0..).take_while(|number| !session.offer(&message(*number, None))).count();
        assert_eq!(dropped, MESSAGES);
    }

    #[test]
    fn a_subscription_of_qos_0_waits_for_nothing() {
        let (mut session, now) = (subscribed(QoS::AtMostOnce), Instant::now());
        for number in 0..5 {
            session.offer(&message(number, None));
        }
        for expected in 0..5 {
            let sent = session.next(0, now).unwrap();
            assert_eq!((number(&sent), sent.id, sent.again), (expected, None, false));
        }
    }

    #[test]
    fn a_message_is_marked_as_retained_by_why_it_is_sent() {
        let options =
            |retain_as_published| SubscriptionOptions { retain_as_published, ..SubscriptionOptions::default() };
        let retained = Outbound { retain: true, ..message(1, None) };
        for as_published in [false, true] {
            let mut session = Session::default();
            session.subscribe("$share/g/a/b", options(as_published), None, 1).unwrap();
            session.offer(&retained);
            session.offer_retained("$share/g/a/b", &retained);
            let marks = [0; 2].map(|_| session.next(1, Instant::now()).unwrap().retain);
            assert_eq!(marks, [as_published, true]);
        }
        let mut session = Session::default();
        assert!(!session.offer(&retained), "nobody asked for it");
        assert_eq!(session.next(1, Instant::now()), None);
        session.subscribe("a/b", options(false), None, 1).unwrap();
        assert_eq!(session.subscribe("c/d", options(false), None, 1), Err(Full));
        assert_eq!(session.subscribe("a/b", options(true), None, 1), Ok(false));
        assert!(session.unsubscribe("a/b") && !session.unsubscribe("a/b"));
    }
}
