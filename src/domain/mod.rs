//! What Fenlei knows about waste sorting, and nothing about where it runs.
//!
//! Pure: no clock, no network, no database, no file. Time is an argument. Everything that decides
//! whether a deposit counts, and how a figure comes about, is in here and can be tested without a
//! runtime. `tests/it/architecture.rs` holds the direction of imports.

pub mod account;
pub mod alarms;
pub mod awareness;
pub mod card;
pub mod clock_doubt;
pub mod comparison;
pub mod decode;
pub mod device_config;
pub mod event;
pub mod habit;
pub mod inbound;
pub mod lids;
pub mod line;
pub mod marks;
pub mod matching;
pub mod needs;
pub mod notice_text;
pub mod notices;
pub mod object;
pub mod period;
pub mod picture;
pub mod points;
pub mod projection;
pub mod projection_text;
pub mod published;
pub mod quarantine;
pub mod recount;
pub mod refusal;
pub mod registry;
pub mod revision;
pub mod roster;
pub mod rows;
pub mod schedule;
pub mod statistics;
pub mod timetable;
pub mod zone;

/// The version of the definitions in which every published figure is stated (`CONTRACT` section 3).
pub const DEFINITIONS: u32 = 1;
