//! What `fenlei bench` measures, each beside its reference in the same run.

pub mod backend;
pub mod broker;
pub mod client;
pub mod connections;
mod devices;
pub mod growth;
pub mod ingestors;
mod mosquitto;
pub mod pages;
pub mod pipeline;
pub mod plot;
pub mod questions;
pub mod report;
pub mod visible;
pub mod what_if;
pub mod workload;
