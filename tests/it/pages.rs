//! The pages as a browser without a script sees them.

mod admin;
mod figures;
mod awareness;
mod fleet;
mod sign_in;
mod visits;
mod walk;
