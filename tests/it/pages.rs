//! The pages as a browser without a script sees them.

mod admin;
mod awareness;
mod figures;
mod fleet;
mod privacy;
mod projectors;
mod sign_in;
mod sites;
mod visits;
mod walk;
