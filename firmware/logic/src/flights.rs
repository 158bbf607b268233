//! Which events are under way. A flight is one publish, known by the first and the last event in it; what is in the queue
//! and in no flight is due to be sent. So forgetting a flight is all it takes to send its events again, and nothing here
//! can lose one.

use heapless::Vec;

use crate::driver::Millis;

/// Publishes that may wait for receipts at once: enough to fill the line, few enough for a microcontroller.
pub(crate) const WINDOW: usize = 4;
/// How long to wait for a receipt once the broker has the publish.
const PATIENCE: u64 = 5_000;
/// The same after many vain waits, and how long to wait for the broker itself: a slow line must not be filled with
/// repetitions of what is still being sent.
const LONGEST: u64 = 60_000;

/// Boot and number of an event.
pub(crate) type Key = (u32, u64);

#[derive(Debug)]
struct Flight {
    first: Key,
    last: Key,
    acked: bool,
    /// `None` until the next poll brings the time.
    deadline: Option<Millis>,
}

/// The flights, oldest first, and how long they are waited for.
#[derive(Debug)]
pub(crate) struct Flights {
    list: Vec<Flight, WINDOW>,
    patience: u64,
}

impl Flights {
    pub(crate) const fn new() -> Self {
        Self { list: Vec::new(), patience: PATIENCE }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.list.is_full()
    }

    /// Whether the event is under way.
    pub(crate) fn holds(&self, key: Key) -> bool {
        self.list.iter().any(|flight| flight.first <= key && key <= flight.last)
    }

    /// A publish of these events goes out; without room for it they merely count as not sent.
    pub(crate) fn launch(&mut self, first: Key, last: Key, now: Millis) {
        let deadline = Some(now.after(LONGEST));
        // A full list forgets the flight, and forgetting is always safe.
        let _ = self.list.push(Flight { first, last, acked: false, deadline });
    }

    /// The broker has the oldest publish that it had not.
    pub(crate) fn acked(&mut self) {
        if let Some(flight) = self.list.iter_mut().find(|flight| !flight.acked) {
            flight.acked = true;
            flight.deadline = None;
        }
    }

    /// A receipt settled something; flights of which nothing waits any more have landed.
    pub(crate) fn settled(&mut self, waits: impl Fn(Key, Key) -> bool) {
        self.patience = PATIENCE;
        self.list.retain(|flight| waits(flight.first, flight.last));
    }

    /// Forgets the flights that were waited for in vain; from then on each is waited for longer.
    pub(crate) fn tick(&mut self, now: Millis) {
        let patience = self.patience;
        let before = self.list.len();
        self.list.retain_mut(|flight| *flight.deadline.get_or_insert(now.after(patience)) > now);
        if self.list.len() < before {
            self.patience = (patience * 2).min(LONGEST);
        }
    }

    /// When the next flight is given up; asked after [`tick`](Self::tick).
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.list.iter().filter_map(|flight| flight.deadline).min()
    }

    /// The connection is gone, and with it everything under way.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }
}
