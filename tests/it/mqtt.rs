//! Devices as the program meets them, on its own broker and through Mosquitto: who gets in, what they reach, what they
//! are answered, and that one that misbehaves costs the others nothing.

mod access;
mod answers;
mod configs;
mod garbage;
mod line;
mod protocol;
mod states;
pub(crate) mod world;
