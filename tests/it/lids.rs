//! Lids: they keep the hours, are told so at the edges, and are opened by staff.

mod brokers;
mod day;
mod openings;
mod reports;
