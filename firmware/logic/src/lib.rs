//! The device's side of the contract without any I/O: what happened is queued until a receipt covers it, the device
//! announces itself, catches up after outages and carries out each command once.
//!
//! The host simulator and the microcontrollers drive the same code, so what the simulator proves of an outage holds in the
//! field. What always holds in it: time is an argument; there is no allocator and no socket; no input can make it
//! panic; and an event once accepted stays in the queue until a receipt covers it, whatever else goes wrong.

#![no_std]

mod backoff;
pub mod check_ins;
pub mod clock;
pub mod driver;
mod flights;
pub mod journal;
pub mod lid;
pub mod queue;
pub mod ram_queue;
pub mod role;
pub mod screen;
pub mod seen;
pub mod session;
pub mod stored;

pub use driver::{Action, Counters, Input, Millis};
pub use journal::Journal;
pub use queue::{EventQueue, QueueFull};
pub use ram_queue::RamQueue;
pub use session::Session;
