//! Fenlei: an IoT backend for smart waste-sorting sites.
//!
//! Imports run one way: `cli → serve → web | jobs | ingest → store | mqtt → domain`. The domain does no
//! I/O and reads no clock, so it cannot fail for reasons of its own. `tests/it/architecture.rs` holds this.

pub mod bench;
pub mod card_key;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod domain;
pub mod draft;
pub mod entrance;
pub mod faults;
pub mod influx;
pub mod ingest;
pub mod jobs;
pub mod mqtt;
pub mod passwords;
pub mod rows;
pub mod serve;
pub mod sheets;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod trust;
pub mod web;
pub mod webhook;
