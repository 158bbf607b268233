//! What a device does apart from telling what happens at it: a bin keeps its lid, a projector its picture; a camera does
//! neither. Reports are what it has to tell of that.

use fenlei_wire::command::{Command, EVENING};
use fenlei_wire::config::Config;
use fenlei_wire::event::Body;
use fenlei_wire::limits::MAX_COMMAND_ID;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{DeviceKind, DisplayStatus, DoorBy, ExecutedStatus};
use heapless::{String, Vec};

use crate::lid::Lid;
use crate::screen::{Picture, Screen};

/// A device's role, and how it stands.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a device has one role, and no allocator")]
pub enum Role {
    /// A bin.
    Bin {
        /// Its lid.
        lid: Lid,
        /// Whether the lid was last seen locked.
        locked: bool,
    },
    /// A camera.
    Camera,
    /// A projector.
    Projector {
        /// Its picture.
        screen: Screen,
        /// Whether it was last seen to show its own message.
        evening: bool,
    },
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// What became of a bin's command.
    Executed(String<MAX_COMMAND_ID>, ExecutedStatus),
    /// How far a projector came with a command, or with its own message.
    Display(String<MAX_COMMAND_ID>, DisplayStatus),
    /// The lid was locked or unlocked.
    Door {
        /// Whether it is unlocked now.
        open: bool,
        /// Who did it.
        by: DoorBy,
    },
}

impl Report {
    /// The event that tells it.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Executed(command, status) => Body::Executed { command, status: *status, detail: None },
            Self::Display(command, status) => Body::Display { command, status: *status, detail: None },
            Self::Door { open, by } => Body::Door { open: *open, by: *by },
        }
    }
}

impl Role {
    /// A device as it starts for the first time.
    #[must_use]
    pub const fn new(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Bin => Self::Bin { lid: Lid::new(), locked: false },
            DeviceKind::Camera => Self::Camera,
            DeviceKind::Projector => Self::Projector { screen: Screen::new(), evening: false },
        }
    }

    /// Carries a command out, if it is one for this kind of device and the clock is known, and says what is to be told.
    pub fn obey(&mut self, command: &Command, config: Option<&Config>, now: Option<UnixMillis>) -> Vec<Report, 2> {
        use DisplayStatus::{Accepted, Displayed};
        let display = |status| Report::Display(command.id.clone(), status);
        let executed = |status| Report::Executed(command.id.clone(), status);
        match (self, now) {
            (Self::Bin { lid, .. }, Some(now)) => {
                let done = lid.obey(&command.body, config, now);
                let status = if done { ExecutedStatus::Done } else { ExecutedStatus::Refused };
                [executed(status)].into_iter().collect()
            }
            (Self::Projector { screen, .. }, Some(now)) => {
                let shown = screen.obey(&command.body, now);
                let steps: &[_] = if shown { &[Accepted, Displayed] } else { &[DisplayStatus::Refused] };
                steps.iter().copied().map(display).collect()
            }
            // What is to last for a time cannot be done without one.
            (Self::Bin { .. }, None) => [executed(ExecutedStatus::Failed)].into_iter().collect(),
            (Self::Projector { .. }, None) => [display(DisplayStatus::Failed)].into_iter().collect(),
            // It has no event to answer a command with.
            (Self::Camera, _) => Vec::new(),
        }
    }

    /// The config has changed.
    pub fn reconfigured(&mut self) {
        if let Self::Bin { lid, .. } = self {
            lid.reconfigured();
        }
    }

    /// Keeps to config, orders and time; says what changed by itself.
    pub fn keep(&mut self, config: Option<&Config>, now: Option<UnixMillis>) -> Option<Report> {
        match self {
            Self::Bin { lid, locked } => {
                let position = lid.position(config, now);
                let by = if position.ordered { DoorBy::Staff } else { DoorBy::Schedule };
                let changed = core::mem::replace(locked, position.locked) != position.locked;
                changed.then_some(Report::Door { open: !position.locked, by })
            }
            Self::Projector { screen, evening } => {
                let is_evening = matches!(screen.picture(config, now), Picture::Evening(_));
                let begins = !core::mem::replace(evening, is_evening) && is_evening;
                let id = String::try_from(EVENING).ok()?;
                begins.then_some(Report::Display(id, DisplayStatus::Displayed))
            }
            Self::Camera => None,
        }
    }

    /// When something may change by itself next, if nothing happens before.
    #[must_use]
    pub fn next_change(&self, config: Option<&Config>, now: UnixMillis) -> Option<UnixMillis> {
        match self {
            Self::Bin { lid, .. } => lid.next_change(config, now),
            Self::Projector { screen, .. } => screen.next_change(config, now),
            Self::Camera => None,
        }
    }
}
