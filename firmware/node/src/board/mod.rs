//! The board: all that knows what the application runs on. Another board is another folder beside `virt` with the same
//! functions; nothing outside of this module knows an address or a register.
//!
//! A board gives: [`start`] its flash and its network, and [`SECTOR`] how much of
//! the flash a journal takes for one sector; [`settings`] what the device was provisioned with; [`wall_clock`]
//! the time of day, if it is known; [`read`] and [`write`] a console; [`seed`] some randomness; [`reset`] and [`exit`].
//! It also drives embassy's time, and asks the watchdog at least twice a second from an interrupt.

mod virt;

pub use virt::{Flash, Network, Parts, SECTOR, exit, read, reset, seed, settings, start, wall_clock, write};
