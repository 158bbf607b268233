//! The HTTP API, over a real socket.

mod access;
mod document;
mod doorstep;
mod erasure;
mod events;
mod figures;
mod households;
mod notes;
mod outside;
mod problems;
mod quarantine;
mod registry;
mod stream;
mod surveys;
mod visits;
mod what_if;
