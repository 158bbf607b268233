//! What `fenlei bench` measures, each beside its reference in the same run.

pub mod broker;
pub mod pages;
pub mod pipeline;
pub mod what_if;
pub mod workload;
