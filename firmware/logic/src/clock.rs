//! The wall clock of a device, which may start without knowing it: until it is told, what happens is stamped with the time
//! since the start and marked as unsynced, so that the time of arrival stands in.

use fenlei_wire::time::UnixMillis;

use crate::driver::Millis;

/// The wall clock, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock {
    /// What it was, and when.
    set: Option<(Millis, UnixMillis)>,
}

/// A time for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it happens; without a clock the time since the start.
    pub time: UnixMillis,
    /// Whether that is no time of day.
    pub unsynced: bool,
}

impl WallClock {
    /// A clock that was never set.
    #[must_use]
    pub const fn new() -> Self {
        Self { set: None }
    }

    /// It is `wall` now. A clock that is set again jumps: what was stamped before stays as it was.
    pub const fn set(&mut self, now: Millis, wall: UnixMillis) {
        self.set = Some((now, wall));
    }

    /// What time it is, if that is known.
    #[must_use]
    pub fn now(&self, now: Millis) -> Option<UnixMillis> {
        let (then, wall) = self.set?;
        let since = i64::try_from(now.0.saturating_sub(then.0)).unwrap_or(i64::MAX);
        Some(UnixMillis(wall.0.saturating_add(since)))
    }

    /// The stamp of an event that happens now.
    #[must_use]
    pub fn stamp(&self, now: Millis) -> Stamp {
        match self.now(now) {
            Some(time) => Stamp { time, unsynced: false },
            None => Stamp { time: UnixMillis(i64::try_from(now.0).unwrap_or(i64::MAX)), unsynced: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_before_the_clock_is_set_is_marked() {
        let mut clock = WallClock::new();
        assert_eq!(clock.stamp(Millis(5_000)), Stamp { time: UnixMillis(5_000), unsynced: true });
        clock.set(Millis(6_000), UnixMillis(1_795_133_730_250));
        assert_eq!(clock.stamp(Millis(7_500)), Stamp { time: UnixMillis(1_795_133_731_750), unsynced: false });
        clock.set(Millis(8_000), UnixMillis(1_000));
        assert_eq!(clock.now(Millis(8_001)), Some(UnixMillis(1_001)), "set back");
    }
}
