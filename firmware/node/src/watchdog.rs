//! The watchdog: every task checks in, and one that does not for half a minute has the device started anew. Whoever asks
//! is the board's, as far outside of the tasks as the board allows.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_time::Instant;
use fenlei_logic::Millis;
use fenlei_logic::check_ins::CheckIns;

use crate::board;

/// Longer than anything a task waits for.
const PATIENCE: u64 = 30_000;

/// Who checks in.
#[derive(Clone, Copy)]
pub enum Task {
    /// The device itself.
    Device,
    /// The network.
    Network,
    /// The console.
    Console,
}

static TASKS: Mutex<RefCell<CheckIns<3>>> = Mutex::new(RefCell::new(CheckIns::new(PATIENCE)));

fn now() -> Millis {
    Millis(Instant::now().as_millis())
}

/// The task goes on.
pub fn check_in(task: Task) {
    critical_section::with(|lock| TASKS.borrow_ref_mut(lock).check_in(task as usize, now()));
}

/// Starts the device anew if a task is late.
pub fn look() {
    let late = critical_section::with(|lock| TASKS.borrow_ref(lock).late(now()));
    if late.is_some() {
        board::write("\nwatchdog: a task is stuck\n");
        board::reset();
    }
}
