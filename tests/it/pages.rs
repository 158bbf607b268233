//! The pages as a browser without a script sees them.

mod admin;
mod fleet;
mod figures;
mod sign_in;
mod visits;
mod walk;
