//! The export of the ledger as time series: what is written, what a server makes of it, and what comes of outages.

mod changes;
mod command;
mod dashboards;
mod faults;
mod ledger;
mod line;
mod one_line;
mod server;
mod victoria;
mod world;
