//! The server around the project: connections, keys, faults and the record of requests.

pub(crate) mod access;
pub(crate) mod fault;
pub(crate) mod faults;
pub(crate) mod journal;
pub(crate) mod pipeline;
pub(crate) mod server;
