//! The tests that use Fenlei from outside, in one binary.

mod config;
mod recount;
