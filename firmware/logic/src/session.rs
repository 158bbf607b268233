//! The state machine of a device. A driver owns the sockets, clocks and storage: it tells what happened with
//! [`Session::on`], and after every input, every accepted event and every wait asks [`Session::poll`] what to do, until
//! the answer is [`Action::Wait`] or [`Action::Idle`].
//!
//! Receipts alone decide what is forgotten. Acks of the broker only steer the waiting, so a driver that reports them
//! wrongly causes repetitions at worst.

use core::ops::Range;

use fenlei_wire::command::Command;
use fenlei_wire::config::Config;
use fenlei_wire::event::{Body, Event};
use fenlei_wire::json;
use fenlei_wire::limits::{MAX_BATCH, MAX_FIRMWARE_BYTES, MAX_PAYLOAD, MAX_SEQ};
use fenlei_wire::receipt::Receipt;
use fenlei_wire::state::State;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::Channel;
use heapless::{Deque, String, Vec};

use crate::backoff::Backoff;
use crate::driver::{Action, Counters, Input, Millis};
use crate::flights::Flights;
use crate::queue::{EventQueue, MAX_EVENT_BYTES, QueueFull, Queued};
use crate::seen::{SeenCommand, SeenCommands};

/// Smallest scratch buffer with which every event can be sent. Its size is the limit of a publish: choose it no larger
/// than the packets that client and broker take.
pub const MIN_SCRATCH: usize = MAX_EVENT_BYTES + 2;

/// Longest will: `{"online":false,"boot":4294967295}` fits.
const MAX_WILL: usize = 48;

#[derive(Debug)]
enum Link {
    /// The next poll decides when to connect.
    Down,
    Waiting(Millis),
    Connecting,
    Up {
        birth_due: bool,
        births_unacked: u8,
    },
}

/// A device's session with the backend, from one start of the device to the next.
#[derive(Debug)]
pub struct Session<Q: EventQueue> {
    boot: u32,
    seq: u64,
    queue: Q,
    firmware: Option<String<MAX_FIRMWARE_BYTES>>,
    config: Option<Config>,
    configured: bool,
    wall: Option<UnixMillis>,
    seen: SeenCommands,
    commands: Deque<Command, 4>,
    link: Link,
    backoff: Backoff,
    flights: Flights,
    counters: Counters,
}

impl<Q: EventQueue> Session<Q> {
    /// A session of a new boot, greater than any before. The queue may hold events of earlier boots.
    #[must_use]
    pub const fn new(boot: u32, queue: Q, jitter_seed: u64) -> Self {
        Self {
            boot,
            seq: 0,
            queue,
            firmware: None,
            config: None,
            configured: false,
            wall: None,
            seen: SeenCommands::new(),
            commands: Deque::new(),
            link: Link::Waiting(Millis(0)),
            backoff: Backoff::new(jitter_seed),
            flights: Flights::new(),
            counters: Counters { refused: 0, malformed: 0, skipped: 0 },
        }
    }

    /// With the firmware version that the birth message tells.
    #[must_use]
    pub fn with_firmware(mut self, firmware: String<MAX_FIRMWARE_BYTES>) -> Self {
        self.firmware = Some(firmware);
        self
    }

    /// With what an earlier boot stored: its config and the commands it was given.
    #[must_use]
    pub fn with_stored(mut self, config: Option<Config>, seen: SeenCommands) -> Self {
        self.config = config;
        self.seen = seen;
        self
    }

    /// Follows the config that an earlier boot stored, as it came, before anything else happens. It is no news.
    #[inline(never)]
    pub fn recall(&mut self, config: &[u8]) {
        if let Ok(config) = json::from_slice(config) {
            self.config = Some(config);
        }
    }

    /// Takes an event in and gives its number: from here on it will be delivered.
    ///
    /// # Errors
    /// [`QueueFull`] if there is no room; the event is then counted as refused and no number is used up.
    pub fn accept(
        &mut self,
        body: Body<'_>,
        now: UnixMillis,
        offset_minutes: i16,
        unsynced: bool,
    ) -> Result<u64, QueueFull> {
        let seq = self.seq + 1;
        let event = Event { boot: self.boot, seq, time: now, offset_minutes, unsynced, body };
        let mut bytes = String::<MAX_EVENT_BYTES>::new();
        let fits = seq <= MAX_SEQ && event.encode(&mut bytes).is_ok();
        if !fits || self.queue.push(self.boot, seq, bytes.as_bytes()).is_err() {
            self.counters.refused += 1;
            return Err(QueueFull);
        }
        self.seq = seq;
        Ok(seq)
    }

    /// Takes in what happened.
    pub fn on(&mut self, input: Input<'_>) {
        match input {
            Input::Connected => {
                self.link = Link::Up { birth_due: true, births_unacked: 0 };
                // What was under way when the last connection broke may be lost with it.
                self.flights.clear();
            }
            Input::Disconnected => self.link = Link::Down,
            Input::PublishAcked => self.acked(),
            Input::Clock(now) => {
                self.wall = Some(now);
                self.seen.expire(now);
            }
            Input::Received { channel, payload } => {
                let read = match channel {
                    Channel::Receipt => self.receipt(payload),
                    Channel::Command => self.command(payload),
                    Channel::Config => self.follow(payload),
                    Channel::Event | Channel::State => None,
                };
                if read.is_none() {
                    self.counters.malformed += 1;
                }
            }
        }
    }

    fn acked(&mut self) {
        // A broker may accept a connection and end it at once; only its ack shows that it is of use.
        self.backoff.reset();
        match &mut self.link {
            Link::Up { births_unacked, .. } if *births_unacked > 0 => *births_unacked -= 1,
            _ => self.flights.acked(),
        }
    }

    // Each kind of message is read in a function of its own, so that none takes the stack that another needs. `None` if
    // it cannot be read.

    #[inline(never)]
    fn receipt(&mut self, payload: &[u8]) -> Option<()> {
        let receipt: Receipt = json::from_slice(payload).ok()?;
        if self.queue.settle(&receipt) > 0 {
            let queue = &self.queue;
            self.flights.settled(|first, last| {
                queue.iter().map(|queued| queued.key()).skip_while(|key| *key < first).take(1).any(|key| key <= last)
            });
        }
        Some(())
    }

    #[inline(never)]
    fn command(&mut self, payload: &[u8]) -> Option<()> {
        let command: Command = json::from_slice(payload).ok()?;
        let expires = command.expires_at()?;
        if self.seen.contains(&command.id) || self.commands.iter().any(|waiting| waiting.id == command.id) {
            return Some(());
        }
        // What finds no room is not remembered either, so that its next repetition may find some.
        let expired = self.wall.is_some_and(|now| expires <= now);
        if expired || self.commands.push_back(command).is_err() {
            self.counters.skipped += 1;
        }
        Some(())
    }

    /// The next command to hand out. Only now is it remembered: had the device stopped before, it was not carried out.
    fn hand_out(&mut self) -> Option<Command> {
        while let Some(command) = self.commands.pop_front() {
            let expires = command.expires_at()?;
            if self.seen.remember(SeenCommand { id: command.id.clone(), expires }) {
                return Some(command);
            }
            self.counters.skipped += 1;
        }
        None
    }

    /// Configs come again with each connection; only a new one is news.
    #[inline(never)]
    fn follow(&mut self, payload: &[u8]) -> Option<()> {
        let Ok(config) = json::from_slice::<Config>(payload) else { return None };
        if self.config.as_ref() == Some(&config) {
            return Some(());
        }
        if let Link::Up { birth_due, .. } = &mut self.link {
            *birth_due |= self.config.as_ref().is_none_or(|old| old.version != config.version);
        }
        self.config = Some(config);
        self.configured = true;
        Some(())
    }

    /// What to do now. `scratch` holds the payload of a publish and should have at least [`MIN_SCRATCH`] bytes.
    pub fn poll<'a>(&mut self, now: Millis, scratch: &'a mut [u8]) -> Action<'a> {
        if core::mem::take(&mut self.configured) {
            return Action::Configured;
        }
        if let Some(command) = self.hand_out() {
            return Action::Command(command);
        }
        if let Link::Down = self.link {
            self.link = Link::Waiting(now.after(self.backoff.next()));
        }
        match self.link {
            Link::Waiting(until) if now < until => Action::Wait { until },
            Link::Waiting(_) => {
                self.link = Link::Connecting;
                Action::Connect
            }
            Link::Down | Link::Connecting => Action::Idle,
            Link::Up { birth_due: true, births_unacked } => {
                self.link = Link::Up { birth_due: false, births_unacked: births_unacked.saturating_add(1) };
                self.publish_birth(scratch)
            }
            Link::Up { .. } => self.publish_events(now, scratch),
        }
    }

    fn publish_birth<'a>(&self, scratch: &'a mut [u8]) -> Action<'a> {
        let config = self.config.as_ref().map(|config| config.version);
        let state = State { online: true, boot: self.boot, firmware: self.firmware.clone(), config };
        match json::to_slice(&state, scratch) {
            Ok(length) => Action::Publish { channel: Channel::State, retained: true, payload: &scratch[..length] },
            Err(_) => Action::Idle,
        }
    }

    fn publish_events<'a>(&mut self, now: Millis, scratch: &'a mut [u8]) -> Action<'a> {
        self.flights.tick(now);
        if let Some(payload) = self.fill(now, scratch) {
            return Action::Publish { channel: Channel::Event, retained: false, payload: &scratch[payload] };
        }
        match self.flights.next_deadline() {
            Some(until) => Action::Wait { until },
            None => Action::Idle,
        }
    }

    /// Puts the oldest run of events that are not under way into the buffer: one as it is, several as an array.
    fn fill(&mut self, now: Millis, scratch: &mut [u8]) -> Option<Range<usize>> {
        if !self.flights.has_room() {
            return None;
        }
        let limit = scratch.len().min(MAX_PAYLOAD);
        // Each event follows one byte: the bracket or a comma.
        let (mut length, mut count, mut run, mut gone) = (0, 0, None, None);
        for queued in self.queue.iter() {
            if self.flights.holds(queued.key()) {
                if count > 0 {
                    break;
                }
                continue;
            }
            let end = length + 1 + queued.length;
            if count == MAX_BATCH || end + 1 > limit {
                break;
            }
            if self.queue.read(queued, &mut scratch[length + 1..end]).is_err() {
                gone = Some(queued);
                break;
            }
            scratch[length] = if count == 0 { b'[' } else { b',' };
            length = end;
            count += 1;
            run = Some((run.map_or(queued.key(), |(first, _)| first), queued.key()));
        }
        let Some((first, last)) = run else {
            return if self.give_up(gone?) { self.fill(now, scratch) } else { None };
        };
        self.flights.launch(first, last, now);
        if count == 1 {
            return Some(1..length);
        }
        scratch[length] = b']';
        Some(0..length + 1)
    }

    /// An event that the memory lost is declared so, which closes the gap that it would leave for ever. Whether it could be.
    fn give_up(&mut self, Queued { boot, seq, .. }: Queued) -> bool {
        let now = self.wall.unwrap_or_default();
        let offset = self.config.as_ref().map_or(0, |config| config.offset_minutes(now));
        let lost = Body::Lost { of_boot: boot, from: seq, to: seq };
        let settled = Receipt { boot, through: 0, beyond: core::iter::once((seq, seq)).collect() };
        self.accept(lost, now, offset, self.wall.is_none()).is_ok() && self.queue.settle(&settled) > 0
    }

    /// Payload of the last will, to be retained; also what a device publishes before it stops in order.
    #[must_use]
    pub fn will(&self) -> Vec<u8, MAX_WILL> {
        let mut buffer = [0; MAX_WILL];
        let length = json::to_slice(&State::will(self.boot), &mut buffer).unwrap_or_default();
        buffer[..length].iter().copied().collect()
    }

    /// The boot that this session is of.
    #[must_use]
    pub const fn boot(&self) -> u32 {
        self.boot
    }

    /// The config that the device keeps to.
    #[must_use]
    pub const fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// Whether the config is new, so that [`Action::Configured`] comes next.
    #[must_use]
    pub const fn configured(&self) -> bool {
        self.configured
    }

    /// The commands that were handed out, to be stored before one is carried out.
    #[must_use]
    pub const fn seen(&self) -> &SeenCommands {
        &self.seen
    }

    /// How many accepted events no receipt has covered yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What has been counted since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The queue, which may keep other things too; its events are the session's.
    #[must_use]
    pub const fn queue_mut(&mut self) -> &mut Q {
        &mut self.queue
    }

    /// Ends the session and gives the queue back, for the next boot.
    #[must_use]
    pub fn into_queue(self) -> Q {
        self.queue
    }
}
