//! Bad input: whatever comes over a topic is stored, refused or ignored as the contract says, and nothing else happens.

mod again;
pub(crate) mod bench;
mod bytes;
mod cards;
mod fields;
mod senders;
