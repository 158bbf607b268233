//! A sample neighbourhood and its devices, for the demonstration and for trials against any broker.
//!
//! What its people do is pure and follows from a seed and the time; its devices are driven by the very state machine that
//! runs on microcontrollers, over real MQTT. Nothing here reaches into the backend: what it shows, any device can do.

mod bin;
pub mod by_hand;
mod device;
pub mod enrol;
pub mod fleet;
pub mod habits;
pub mod history;
mod link;
pub mod live;
pub mod neighbourhood;
pub mod occurrence;
#[cfg(test)]
mod outage;
pub mod simulation;
mod surveys;
