//! How often a device is used to be heard, learnt from its heartbeats, and for how long it may be silent then.

/// How long a device may always be silent,
const LEAST_MS: i64 = 15 * 60 * 1000;
/// and how long at most, also while nothing is learnt; in milliseconds.
const MOST_MS: i64 = 24 * 60 * 60 * 1000;
/// So many of its usual pauses may pass.
const PAUSES: i64 = 5;
/// Pauses to learn from before they are a habit.
const ENOUGH: u32 = 3;
/// The weight of a new pause is one in so many: an exponentially weighted mean.
const MEMORY: i64 = 8;

/// What is learnt of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The time of its latest heartbeat, Unix milliseconds.
    pub latest: i64,
    /// How many pauses it was learnt from.
    pub pauses: u32,
    /// The usual pause, in milliseconds.
    pub pause: i64,
}

impl Habit {
    /// A device is heard for the first time.
    pub fn begin(time: i64) -> Self {
        Self { latest: time, pauses: 0, pause: 0 }
    }

    /// After a heartbeat at `time`. One older than the latest teaches nothing.
    #[must_use]
    pub fn heard(self, time: i64) -> Self {
        if time <= self.latest {
            return self;
        }
        // An outage is no habit; a device that really reports less often is learnt of step by step.
        let pause = (time - self.latest).min(self.patience());
        let mean = if self.pauses == 0 { pause } else { self.pause + (pause - self.pause) / MEMORY };
        Self { latest: time, pauses: self.pauses.saturating_add(1), pause: mean }
    }

    /// How long it may be silent, in milliseconds.
    pub fn patience(self) -> i64 {
        if self.pauses < ENOUGH { MOST_MS } else { self.pause.saturating_mul(PAUSES).clamp(LEAST_MS, MOST_MS) }
    }
}

/// How long a device of which nothing is learnt may be silent.
pub fn patience(habit: Option<Habit>) -> i64 {
    habit.map_or(MOST_MS, Habit::patience)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn after(pauses: &[i64]) -> Habit {
        let mut habit = Habit::begin(0);
        for pause in pauses {
            habit = habit.heard(habit.latest + pause * MINUTE);
        }
        habit
    }

    #[test]
    fn a_habit_is_learnt_from_a_few_pauses_and_an_outage_is_none() {
        assert_eq!(patience(None), MOST_MS);
        assert_eq!(after(&[10, 10]).patience(), MOST_MS);
        assert_eq!(after(&[10, 10, 10]).patience(), 50 * MINUTE);
        assert_eq!(after(&[1, 1, 1]).patience(), LEAST_MS);
        // After a week away, and one early heartbeat, it is much the same.
        let habit = after(&[10, 10, 10, 10_080, 10, 10, 10, 10]);
        assert!((50 * MINUTE..70 * MINUTE).contains(&habit.patience()), "{habit:?}");
        // One that is told to report every two hours is known by that before the day is over.
        let mut pauses = vec![10; 20];
        pauses.extend([120; 100]);
        assert_eq!(after(&pauses).patience() / MINUTE / 10, 59);
        assert_eq!(after(&[10, 10, 10]).heard(5), after(&[10, 10, 10]), "a late one teaches nothing");
    }

    proptest! {
        #[test]
        fn patience_keeps_its_bounds_and_a_steady_device_is_never_missed(pauses in prop::collection::vec(1..10_000_i64, 0..40), steady in 1..280_i64) {
            prop_assert!((LEAST_MS..=MOST_MS).contains(&after(&pauses).patience()));
            let habit = after(&[steady; 12]);
            prop_assert!(habit.patience() >= steady * MINUTE);
        }
    }
}
