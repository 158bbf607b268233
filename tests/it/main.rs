//! The tests that use Fenlei from outside, in one binary.

mod architecture;
mod config;
mod intake;
mod recount;
