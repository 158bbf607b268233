//! What projectors are asked to show: every step of a command's life, on a stepped clock and over real brokers.

mod brokers;
mod campaigns;
mod configs;
pub(crate) mod line;
mod proof;
mod requests;
