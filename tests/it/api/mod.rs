//! The HTTP API, over a real socket.

mod access;
mod asyncapi;
mod document;
mod doorstep;
mod erasure;
mod events;
mod everywhere;
mod figures;
mod households;
mod limits;
mod notes;
mod outside;
mod problems;
mod quarantine;
mod registry;
mod retention;
mod stream;
mod surveys;
mod visits;
mod what_if;
