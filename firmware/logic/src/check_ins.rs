//! What a watchdog asks: whether every task has said lately that it still goes on. A watchdog that any one task may feed
//! proves only that this one runs.

use crate::driver::Millis;

/// When each of the tasks was last heard of.
#[derive(Clone, Copy, Debug)]
pub struct CheckIns<const TASKS: usize> {
    last: [Millis; TASKS],
    patience: u64,
}

impl<const TASKS: usize> CheckIns<TASKS> {
    /// All tasks are heard of at the start; each is given so many milliseconds from one time to the next.
    #[must_use]
    pub const fn new(patience: u64) -> Self {
        Self { last: [Millis(0); TASKS], patience }
    }

    /// The task goes on; there is no task beyond the last.
    pub fn check_in(&mut self, task: usize, now: Millis) {
        if let Some(last) = self.last.get_mut(task) {
            *last = now;
        }
    }

    /// A task that was not heard of for too long.
    #[must_use]
    pub fn late(&self, now: Millis) -> Option<usize> {
        self.last.iter().position(|last| last.after(self.patience) < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_task_is_enough() {
        let mut tasks = CheckIns::<2>::new(1_000);
        assert_eq!(tasks.late(Millis(1_000)), None);
        tasks.check_in(0, Millis(900));
        assert_eq!(tasks.late(Millis(1_001)), Some(1));
        tasks.check_in(1, Millis(1_001));
        assert_eq!((tasks.late(Millis(1_900)), tasks.late(Millis(1_901))), (None, Some(0)));
    }
}
