//! What Fenlei's devices and backend say to each other, version 1: words, topics, messages and the schedule arithmetic
//! that both sides must agree on.
//!
//! This crate exists so that a lid on a microcontroller and a statistic in the backend cannot drift apart: both compile
//! the same definitions. What always holds in it: no allocator, no I/O and no clock (time is an argument); no input can
//! make it panic; and the bytes it writes for version 1 never change (`tests/golden/v1` keeps them), since devices in
//! the field cannot be recompiled.

#![no_std]

pub mod command;
pub mod config;
pub mod event;
pub mod json;
pub mod limits;
pub mod receipt;
pub mod schedule;
pub mod state;
pub mod time;
pub mod topic;
pub mod vocabulary;
