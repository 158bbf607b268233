//! The clock as an argument. Only this file reads the real one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// What tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> DateTime<Utc>;

    /// How much time has passed since some beginning, whoever sets the clock meanwhile.
    fn passed(&self) -> Duration;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real clock is read")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn passed(&self) -> Duration {
        static BEGINNING: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}

/// A clock that stands still until it is set: for tests, and for simulated days.
#[derive(Debug)]
pub struct SteppedClock(Mutex<(DateTime<Utc>, Duration)>);

impl SteppedClock {
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// It is so late by now: the time until then has passed.
    pub fn set(&self, now: DateTime<Utc>) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = (now - clock.0).to_std().unwrap_or_default();
        *clock = (now, clock.1 + passed);
    }

    /// Somebody sets the clock, wrongly or rightly, in no time.
    pub fn jump(&self, now: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = now;
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn passed(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Notices when the clock is set.
#[derive(Debug)]
pub struct Watch {
    /// What the clock shows beyond the time that has passed.
    offset: TimeDelta,
}

impl Watch {
    /// What is corrected bit by bit, or within a leap second, is no leap.
    const LEAP: TimeDelta = TimeDelta::minutes(1);

    pub fn begin(clock: &dyn Clock) -> Self {
        Self { offset: offset(clock) }
    }

    /// By how much it was set forward, or back where that is negative, since it was last asked.
    pub fn leapt(&mut self, clock: &dyn Clock) -> Option<TimeDelta> {
        let offset = offset(clock);
        let leap = offset - self.offset;
        self.offset = offset;
        (leap.abs() > Self::LEAP).then_some(leap)
    }
}

fn offset(clock: &dyn Clock) -> TimeDelta {
    let passed = TimeDelta::from_std(clock.passed()).unwrap_or(TimeDelta::MAX);
    TimeDelta::milliseconds(clock.now().timestamp_millis()) - passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_is_no_leap_and_a_clock_that_is_set_is() {
        let clock = SteppedClock::at(DateTime::UNIX_EPOCH);
        let mut watch = Watch::begin(&clock);
        clock.set(clock.now() + TimeDelta::days(9));
        assert_eq!(watch.leapt(&clock), None);
        clock.jump(clock.now() - TimeDelta::days(2));
        assert_eq!((watch.leapt(&clock), watch.leapt(&clock)), (Some(-TimeDelta::days(2)), None));
        clock.jump(clock.now() + TimeDelta::seconds(60));
        assert_eq!(watch.leapt(&clock), None);
        clock.jump(clock.now() + TimeDelta::hours(1));
        assert_eq!(watch.leapt(&clock), Some(TimeDelta::hours(1)));
        let mut real = Watch::begin(&SystemClock);
        assert_eq!(real.leapt(&SystemClock), None);
    }
}
