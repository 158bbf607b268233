//! Alarms: why they are raised, how long they last, and how they are told.

mod causes;
mod delivery;
mod formats;
mod hooks;
mod life;
pub(crate) mod receiver;
pub(crate) mod world;
