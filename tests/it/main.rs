//! The tests that use Fenlei from outside, in one binary.
#![allow(unreachable_pub, reason = "a test binary has no outside: its modules share freely")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect is to fail, in its helpers too")]

mod alarms;
mod api;
mod architecture;
mod bench;
mod board;
mod cli;
mod cluster;
mod config;
mod crash;
mod credentials;
mod demo;
mod entrance;
mod export;
mod faults;
mod intake;
mod lids;
mod linkage;
mod mosquitto;
mod mqtt;
mod pages;
mod postgres;
mod projectors;
mod qemu;
mod recount;
mod support;
