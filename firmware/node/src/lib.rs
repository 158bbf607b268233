//! Fenlei's device as an image for a microcontroller: the session, the journal and the roles of `fenlei-logic` with a clock,
//! a flash and a line to the broker. `board` knows what it runs on, and is the only module that does.

#![no_std]

pub mod board;
pub mod console;
pub mod device;
pub mod line;
pub mod memory;
pub mod settings;
#[cfg(feature = "tls")]
mod tls;
pub mod watchdog;

use core::panic::PanicInfo;

use embassy_time::{Duration, Instant};

/// A fault that was not foreseen: the device says where and starts anew, on what its flash holds. Not at once: each start
/// is written to the flash. What the fault would say of itself is left out, since the words of all faults that might be
/// take more room than the device has.
#[panic_handler]
fn panic(why: &PanicInfo<'_>) -> ! {
    if let Some(place) = why.location() {
        say!("\nfault at {}:{}", place.file(), place.line());
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {}
    board::reset()
}
