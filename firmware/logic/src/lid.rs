//! Whether a bin's lid is locked: by its schedule, or against it by order. The network is not needed for it: a bin that was
//! told its config once keeps the hours by itself.
//!
//! A bin that cannot know (no config yet, a clock that was never set) stays unlocked. Waste that is let in at the wrong hour
//! is counted as such; waste that is locked out by mistake lies in the street.

use fenlei_wire::command::CommandBody;
use fenlei_wire::config::Config;
use fenlei_wire::schedule::next_edge;
use fenlei_wire::time::UnixMillis;

const MINUTE: i64 = 60_000;
/// How far ahead the schedule is searched: beyond a week nothing new comes, and dates are told anew long before.
const AHEAD: i64 = 8 * 24 * 60 * MINUTE;

/// Locked or unlocked, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whether the lid is locked.
    pub locked: bool,
    /// Whether an order keeps it so; else it is the schedule.
    pub ordered: bool,
}

/// What a `lock` or `unlock` command holds the lid to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whether the lid is to be locked.
    pub locked: bool,
    /// From when the schedule rules again; absent: never by itself, since no schedule was known.
    pub until: Option<UnixMillis>,
    /// The command said for how long; else it holds until the schedule's next edge, and a new schedule ends it.
    pub timed: bool,
}

/// The lock of a lid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lid {
    order: Option<Order>,
}

impl Lid {
    /// A lid that the schedule rules.
    #[must_use]
    pub const fn new() -> Self {
        Self { order: None }
    }

    /// A lid under the order that an earlier boot stored.
    #[must_use]
    pub const fn restored(order: Option<Order>) -> Self {
        Self { order }
    }

    /// The order it is under, to be stored.
    #[must_use]
    pub const fn order(&self) -> Option<Order> {
        self.order
    }

    /// Takes a command; `false` if it is none for a lid.
    pub fn obey(&mut self, command: &CommandBody, config: Option<&Config>, now: UnixMillis) -> bool {
        let (locked, seconds) = match command {
            CommandBody::Lock { seconds } => (true, *seconds),
            CommandBody::Unlock { seconds } => (false, *seconds),
            CommandBody::Display { .. } | CommandBody::Clear => return false,
        };
        let until = match seconds {
            Some(seconds) => Some(UnixMillis(now.0.saturating_add(i64::from(seconds) * 1000))),
            None => config.and_then(|config| scheduled_change(config, now)),
        };
        self.order = Some(Order { locked, until, timed: seconds.is_some() });
        true
    }

    /// The schedule has changed: an order that held until the old one's next edge holds no longer.
    pub fn reconfigured(&mut self) {
        self.order = self.order.filter(|order| order.timed);
    }

    /// How the lid is to be now; `now` is absent while the clock is not set.
    pub fn position(&mut self, config: Option<&Config>, now: Option<UnixMillis>) -> Position {
        let over = |order: &Order| now.zip(order.until).is_some_and(|(now, until)| until <= now);
        self.order = self.order.filter(|order| !over(order));
        match (self.order, config.zip(now)) {
            (Some(order), _) => Position { locked: order.locked, ordered: true },
            (None, Some((config, now))) => Position { locked: scheduled(config, now), ordered: false },
            (None, None) => Position { locked: false, ordered: false },
        }
    }

    /// When the position may change next, if nothing happens before.
    #[must_use]
    pub fn next_change(&self, config: Option<&Config>, now: UnixMillis) -> Option<UnixMillis> {
        match self.order {
            Some(order) => order.until,
            None => config.and_then(|config| scheduled_change(config, now)),
        }
    }
}

/// Whether the schedule locks the lid at this instant. The backend sends a bin the windows of its own streams only.
#[must_use]
pub fn scheduled(config: &Config, now: UnixMillis) -> bool {
    let (windows, minute) = config.windows_at(now);
    !windows.iter().any(|window| window.contains(minute))
}

/// When the schedule next locks or unlocks the lid; `None`: not within eight days.
#[must_use]
pub fn scheduled_change(config: &Config, now: UnixMillis) -> Option<UnixMillis> {
    let before = scheduled(config, now);
    let mut at = now;
    while at.0 - now.0 < AHEAD {
        let (windows, minute) = config.windows_at(at);
        let edge = next_edge(&windows, minute).unwrap_or(24 * 60).min(24 * 60);
        // Offsets are whole minutes, so a local minute begins with one of UTC.
        let edge = (at.0.div_euclid(MINUTE) + i64::from(edge - minute)) * MINUTE;
        let step = config.zone.iter().map(|step| step.from.saturating_mul(1000)).filter(|from| *from > at.0).min();
        at = UnixMillis(step.map_or(edge, |step| step.min(edge)));
        if scheduled(config, at) != before {
            return Some(at);
        }
    }
    None
}
