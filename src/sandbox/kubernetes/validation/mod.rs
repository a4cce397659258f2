//! What a real server refuses with 422, and where it wants objects to be.

pub(crate) mod event;
pub(crate) mod ip;
pub(crate) mod lease;
pub(crate) mod metadata;
pub(crate) mod name;
pub(crate) mod node;
pub(crate) mod scope;
pub(crate) mod service;
mod service_addresses;
