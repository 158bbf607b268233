//! Whether a device's clock is off, by what its events say and when they arrive.
//!
//! Ahead is plain from one event. Behind is not: a device that catches up sends old events with a good clock. But it sends
//! fresh ones as well, so only a device whose every heartbeat comes late, for an hour, is behind.

/// How far an event may be ahead of its arrival, in milliseconds.
const AHEAD_MS: i64 = 60 * 1000;
/// How late an event of a good clock arrives at most while nothing is in its way, in milliseconds.
const LATE_MS: i64 = 2 * 60 * 1000;
/// How long events may be marked unsynced, or every heartbeat come late, in milliseconds.
const LONG_MS: i64 = 60 * 60 * 1000;
/// Late heartbeats that make a clock one that is behind.
const BEATS: u32 = 5;

/// How an event was stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// It was refused: its time was too far ahead or behind.
    Refused,
    /// The device does not know the time.
    Unsynced,
    /// It arrived so many milliseconds after its time.
    Lag { late: i64, heartbeat: bool },
}

impl Stamp {
    /// Whether it shows a clock that is right.
    pub fn is_sane(self) -> bool {
        matches!(self, Self::Lag { late, .. } if (-AHEAD_MS..=LATE_MS).contains(&late))
    }

    /// Whether it says anything about a device whose clock is not in doubt.
    pub fn is_doubtful(self) -> bool {
        match self {
            Self::Refused | Self::Unsynced => true,
            Self::Lag { late, heartbeat } => late < -AHEAD_MS || (heartbeat && late > LATE_MS),
        }
    }
}

/// Why a device's clock is in doubt. Instants are those of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// When the clock was found to be off last.
    pub off: Option<i64>,
    /// Since when its events are marked unsynced.
    pub unsynced: Option<i64>,
    /// Since when every heartbeat comes late,
    pub behind: Option<i64>,
    /// and how many did.
    pub beats: u32,
    /// When a sane event ended it.
    pub sane: Option<i64>,
}

impl Doubt {
    /// Takes an event in that arrived at `received`.
    pub fn hear(&mut self, stamp: Stamp, received: i64) {
        if stamp.is_sane() {
            *self = Self { off: self.off, sane: Some(received), ..Self::default() };
            return;
        }
        let off = match stamp {
            Stamp::Refused => true,
            Stamp::Unsynced => received - *self.unsynced.get_or_insert(received) > LONG_MS,
            Stamp::Lag { late, heartbeat } => {
                self.unsynced = None;
                if heartbeat && late > LATE_MS {
                    self.beats = self.beats.saturating_add(1);
                    received - *self.behind.get_or_insert(received) >= LONG_MS && self.beats >= BEATS
                } else {
                    late < -AHEAD_MS
                }
            }
        };
        if off {
            self.off = Some(received);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn beat(late: i64) -> Stamp {
        Stamp::Lag { late, heartbeat: true }
    }

    fn heard(events: impl IntoIterator<Item = (i64, Stamp)>) -> Doubt {
        let mut doubt = Doubt::default();
        for (minute, stamp) in events {
            doubt.hear(stamp, minute * MINUTE);
        }
        doubt
    }

    #[test]
    fn ahead_is_plain_at_once() {
        assert_eq!(heard([(0, beat(-AHEAD_MS))]).off, None);
        assert_eq!(heard([(3, beat(-AHEAD_MS - 1))]).off, Some(3 * MINUTE));
        assert_eq!(heard([(3, Stamp::Refused)]).off, Some(3 * MINUTE));
        let over = heard([(3, Stamp::Refused), (4, beat(0))]);
        assert_eq!((over.off, over.sane), (Some(3 * MINUTE), Some(4 * MINUTE)));
        // A late event that is no heartbeat proves nothing.
        assert_eq!(heard([(3, Stamp::Refused), (4, Stamp::Lag { late: 9 * MINUTE, heartbeat: false })]).sane, None);
    }

    #[test]
    fn unsynced_is_off_after_an_hour() {
        assert_eq!(heard([(0, Stamp::Unsynced), (60, Stamp::Unsynced)]).off, None);
        assert_eq!(heard([(0, Stamp::Unsynced), (61, Stamp::Unsynced)]).off, Some(61 * MINUTE));
        let synced_between = [(0, Stamp::Unsynced), (30, beat(0)), (61, Stamp::Unsynced)];
        assert_eq!(heard(synced_between).off, None);
    }

    #[test]
    fn behind_is_who_is_late_for_an_hour_and_never_in_time() {
        let late = |minutes: &[i64]| minutes.iter().map(|minute| (*minute, beat(10 * MINUTE))).collect::<Vec<_>>();
        assert_eq!(heard(late(&[0, 15, 30, 45])).off, None);
        assert_eq!(heard(late(&[0, 15, 30, 45, 59])).off, None, "not yet an hour");
        assert_eq!(heard(late(&[0, 20, 40, 60])).off, None, "too few");
        assert_eq!(heard(late(&[0, 15, 30, 45, 60])).off, Some(60 * MINUTE));
        // Twelve at once after an outage, and then in time.
        let mut catching_up = late(&[0; 12]);
        catching_up.push((1, beat(0)));
        catching_up.extend(late(&[70]));
        assert_eq!(heard(catching_up).off, None);
    }
}
