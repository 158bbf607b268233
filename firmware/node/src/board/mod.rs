//! The board: all that knows what the application runs on. Another board is another folder beside these with the same
//! functions, and a feature that chooses it; nothing outside of this module knows an address or a register.
//!
//! A board gives: [`start`] what the device was provisioned with, its flash and its network, and [`SECTOR`] how much of the
//! flash a journal takes for one sector; [`Link`] whatever the network needs to be kept up, with [`SOCKETS`] of its own;
//! [`wall_clock`] the time of day, if it is known; [`read`] and [`write`] a console; [`lid`] the lid's lock; [`seed`] some
//! randomness, with TLS [`random`] true randomness; [`stack`] and [`statics`] where its memory lies; [`reset`] and [`exit`];
//! [`entry`] and [`Executor`] how an image begins. It also drives embassy's time, and asks the watchdog at least twice a
//! second from an interrupt.

#[cfg(feature = "board-esp32c3")]
#[path = "esp32c3/mod.rs"]
mod chosen;
#[cfg(feature = "board-virt")]
#[path = "virt/mod.rs"]
mod chosen;

#[cfg(all(feature = "board-esp32c3", feature = "board-virt"))]
compile_error!("one board at a time: --no-default-features --features board-esp32c3");

#[cfg(feature = "tls")]
pub use chosen::random;
pub use chosen::{
    Executor, Flash, Link, Network, Parts, SECTOR, SOCKETS, entry, exit, lid, read, reset, seed, stack, start, statics,
    wall_clock, write,
};
