//! The linkage feed: what it tells, to whom, how it is followed and pushed, and what it never gives away.

mod attack;
mod feed;
mod follow;
mod guess;
mod hooks;
mod week;
mod world;
