//! What several tests need.

pub(crate) mod api;
pub(crate) mod authority;
pub(crate) mod backend;
pub(crate) mod folder;
pub(crate) mod load;
pub(crate) mod pages;
pub(crate) mod place;
pub(crate) mod ports;
pub(crate) mod rollups;
