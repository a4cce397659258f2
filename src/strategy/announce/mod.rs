//! How an address gets announced: one announcer for every kind of backend.

mod kube_vip;
mod none;

use std::fmt::Debug;

pub use kube_vip::KubeVip;
pub use none::NoAnnouncer;

use crate::domain::record::BackendRecord;

/// A kind of backend, as the policy configured it.
pub trait Announcer: Debug + Send + Sync {
    /// What must be remembered on a Service to be able to withdraw it later, whatever the policy says by then.
    fn record(&self) -> BackendRecord;

    /// Whether the project's BGP, a session on every node and the node annotations are part of it.
    fn uses_bgp(&self) -> bool;
}
