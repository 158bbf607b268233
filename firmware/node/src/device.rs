//! The device: it drives the session, keeps what must outlive a reset, and tells on the console what it does. The network
//! is elsewhere: whoever has a line to the broker says so to the session.

use core::ops::Range;

use embassy_time::{Instant, Timer};
use fenlei_logic::clock::WallClock;
use fenlei_logic::journal::{Index, Slot};
use fenlei_logic::role::{Report, Role};
use fenlei_logic::screen::Picture;
use fenlei_logic::{Action, Input, Journal, Millis, Session, stored};
use fenlei_wire::command::Command;
use fenlei_wire::event::Body;
use fenlei_wire::vocabulary::Channel;
use heapless::{Deque, String, Vec};
use static_cell::ConstStaticCell;

use crate::board::{self, Flash, SECTOR};
use crate::console::{self, Asked, LINES, Line};
use crate::memory::Sizes;
use crate::say;
use crate::settings::Settings;
use crate::watchdog::{self, Task};

/// The most events that wait for a receipt; more are refused.
const EVENTS: usize = 256;
/// Publishes of several events are no longer than that.
pub const SCRATCH: usize = 1600;
/// How often a device says that it is there, in milliseconds.
const HEARTBEAT: u64 = 3_600_000;

/// The device's memory.
pub type Memory = Journal<'static, Flash, SECTOR>;

static INDEX: ConstStaticCell<Index<EVENTS>> = ConstStaticCell::new(Index::new());

/// A device from one start to the next.
pub struct Device {
    /// Who it is.
    pub settings: &'static Settings,
    session: Session<Memory>,
    role: Role,
    clock: WallClock,
    /// What is to be told and found no room in the memory yet.
    due: Deque<Report, 8>,
    /// What the console was told last of lid or picture.
    shown: Shown,
    heartbeat: Millis,
}

#[derive(PartialEq, Eq)]
enum Shown {
    Unknown,
    Locked(bool),
    Picture(Option<String<{ fenlei_wire::limits::MAX_TEXT_BYTES }>>),
}

/// What the line to the broker is to do next.
pub enum Next {
    /// Connect.
    Connect,
    /// Publish this part of the scratch buffer.
    Publish {
        /// On which channel.
        channel: Channel,
        /// Whether the broker keeps it.
        retained: bool,
        /// Which part.
        payload: Range<usize>,
    },
    /// Nothing.
    Wait,
}

fn millis() -> Millis {
    Millis(Instant::now().as_millis())
}

impl Device {
    /// Starts on what an earlier start left in the flash; [`recall`](Self::recall) comes next.
    #[inline(never)]
    pub fn start(settings: &'static Settings, flash: Flash, buffer: &mut [u8]) -> Self {
        let mut memory = Memory::open(flash, INDEX.take()).unwrap_or_else(|error| panic!("{error}"));
        let boot = memory.next_boot().unwrap_or_else(|error| panic!("{error}"));
        let seen = memory.load(Slot::Seen, buffer).ok().flatten().map(stored::read_seen).unwrap_or_default();
        let role = memory.load(Slot::Application, buffer).ok().flatten().unwrap_or_default();
        let role = stored::read_role(settings.kind, role);
        let seed =
            board::seed() ^ settings.device.bytes().fold(u64::from(boot), |sum, byte| sum * 31 + u64::from(byte));
        let firmware = env!("CARGO_PKG_VERSION").try_into().unwrap_or_default();
        let session = Session::new(boot, memory, seed).with_firmware(firmware).with_stored(None, seen);
        say!("start {} {} boot {boot} waiting {}", settings.device, settings.kind, session.waiting());
        let (due, clock) = (Deque::new(), WallClock::new());
        Self { settings, session, role, clock, due, shown: Shown::Unknown, heartbeat: Millis(HEARTBEAT) }
    }

    /// Follows the config that the flash holds; `buffer` holds the longest. Apart from the start, which takes much of the
    /// stack already.
    pub fn recall(&mut self, buffer: &mut [u8]) {
        if let Ok(Some(config)) = self.session.queue_mut().load(Slot::Config, buffer) {
            self.session.recall(config);
        }
    }

    /// Payload of the last will.
    pub fn will(&self) -> Vec<u8, 48> {
        self.session.will()
    }

    /// Waits until something is typed or a second is over, and takes in what was typed.
    pub async fn attend(&mut self) {
        watchdog::check_in(Task::Device);
        match embassy_futures::select::select(LINES.receive(), Timer::after_secs(1)).await {
            embassy_futures::select::Either::First(line) => self.typed(&line),
            embassy_futures::select::Either::Second(()) => {}
        }
    }

    /// Attends until something else is done.
    pub async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = core::pin::pin!(other);
        loop {
            if let embassy_futures::select::Either::First(done) =
                embassy_futures::select::select(other.as_mut(), self.attend()).await
            {
                return done;
            }
            self.keep();
        }
    }

    /// The line to the broker is there, or gone.
    pub fn connected(&mut self, connected: bool) {
        say!("{}", if connected { "connected" } else { "disconnected" });
        self.session.on(if connected { Input::Connected } else { Input::Disconnected });
    }

    /// The broker has the oldest publish that it had not.
    pub fn acked(&mut self) {
        self.session.on(Input::PublishAcked);
    }

    /// A message came. A new config is kept as it came, before anything is done by it.
    pub fn received(&mut self, channel: Channel, payload: &[u8]) {
        let waiting = self.session.waiting();
        self.session.on(Input::Received { channel, payload });
        if channel == Channel::Config
            && self.session.configured()
            && let Err(error) = self.session.queue_mut().store(Slot::Config, payload)
        {
            say!("not kept: {error}");
        }
        if self.session.waiting() < waiting {
            say!("waiting {}", self.session.waiting());
        }
    }

    /// Does what is to be done, up to what the line to the broker must do.
    pub fn act(&mut self, scratch: &mut [u8]) -> Next {
        let begin = scratch.as_ptr() as usize;
        loop {
            self.keep();
            match self.session.poll(millis(), scratch) {
                Action::Connect => return Next::Connect,
                Action::Publish { channel, retained, payload } => {
                    let first = payload.as_ptr() as usize - begin;
                    return Next::Publish { channel, retained, payload: first..first + payload.len() };
                }
                Action::Command(command) => self.obey(&command),
                Action::Configured => {
                    self.role.reconfigured();
                    say!("config {}", self.session.config().map_or(0, |config| config.version));
                }
                Action::Wait { .. } | Action::Idle => return Next::Wait,
            }
        }
    }

    /// Remembers the command, then carries it out: a reset in between leaves it undone, and never done twice.
    fn obey(&mut self, command: &Command) {
        let seen = stored::write_seen(self.session.seen());
        if let Err(error) = self.session.queue_mut().store(Slot::Seen, &seen) {
            say!("not kept: {error}");
            return;
        }
        let now = self.clock.now(millis());
        for report in self.role.obey(command, self.session.config(), now) {
            // More commands than these are not handed out at once.
            let _ = self.due.push_back(report);
        }
        let role = stored::write_role(&self.role);
        if let Err(error) = self.session.queue_mut().store(Slot::Application, &role) {
            say!("not kept: {error}");
        }
    }

    /// Reads the clock, keeps lid and picture to it, and tells what is due.
    fn keep(&mut self) {
        let now = millis();
        if let Some(wall) = board::wall_clock() {
            self.clock.set(now, wall);
            self.session.on(Input::Clock(wall));
        }
        let wall = self.clock.now(now);
        if let Some(report) = self.role.keep(self.session.config(), wall) {
            let _ = self.due.push_back(report);
        }
        self.show();
        while let Some(report) = self.due.front().cloned() {
            if self.accept(report.body()).is_none() {
                break;
            }
            self.due.pop_front();
        }
        if self.heartbeat <= now
            && self.accept(Body::Heartbeat { celsius: None, millivolts: None, rssi: None }).is_some()
        {
            self.heartbeat = Millis(now.0 + HEARTBEAT);
        }
    }

    /// Says how lid or picture stand, when that has changed.
    fn show(&mut self) {
        let wall = self.clock.now(millis());
        let config = self.session.config();
        let shown = match &mut self.role {
            Role::Bin { lid, .. } => Shown::Locked(lid.position(config, wall).locked),
            Role::Projector { screen, .. } => Shown::Picture(match screen.picture(config, wall) {
                Picture::Dark => None,
                Picture::Sent(text) | Picture::Evening(text) => text.try_into().ok(),
            }),
            Role::Camera => return,
        };
        if shown != self.shown {
            match &shown {
                Shown::Locked(locked) => {
                    board::lid(*locked);
                    say!("lid {}", if *locked { "locked" } else { "unlocked" });
                }
                Shown::Picture(Some(text)) => say!("shows {text}"),
                Shown::Picture(None) | Shown::Unknown => say!("shows nothing"),
            }
            self.shown = shown;
        }
    }

    /// Takes an event in; gives its number.
    fn accept(&mut self, body: Body<'_>) -> Option<u64> {
        let stamp = self.clock.stamp(millis());
        let offset = self.session.config().map_or(0, |config| config.offset_minutes(stamp.time));
        let offset = if stamp.unsynced { 0 } else { offset };
        self.session.accept(body, stamp.time, offset, stamp.unsynced).ok()
    }

    fn typed(&mut self, line: &Line) {
        match console::read(line) {
            Some(Asked::Event(body)) if !body.event_type().allowed_from(self.settings.kind) => {
                say!("refused: no event of a {}", self.settings.kind);
            }
            Some(Asked::Event(Body::Deposit { .. })) if matches!(self.shown, Shown::Locked(true)) => {
                say!("refused: locked");
            }
            Some(Asked::Event(body)) => match self.accept(body) {
                Some(seq) => say!("accepted {} {seq}", self.session.boot()),
                None => say!("refused: full"),
            },
            Some(Asked::Sizes) => say!("{Sizes}"),
            Some(Asked::Hang) => loop {},
            None => say!("refused: not understood"),
        }
    }
}
