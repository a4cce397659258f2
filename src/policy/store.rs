//! The policy in force: swapped whole, read without waiting.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Policy, PolicyHash};

/// Holds the policy in force. A round takes one policy at its start and keeps it to its end.
#[derive(Debug)]
pub struct PolicyStore {
    current: ArcSwap<Policy>,
    changed: watch::Sender<PolicyHash>,
}

impl PolicyStore {
    /// A store with its first policy.
    pub fn new(policy: Policy) -> Self {
        let (changed, _) = watch::channel(policy.hash.clone());
        Self { current: ArcSwap::from_pointee(policy), changed }
    }

    /// The policy in force.
    pub fn current(&self) -> Arc<Policy> {
        self.current.load_full()
    }

    /// Puts another policy in force, at once and for everybody.
    pub fn swap(&self, policy: Policy) {
        let hash = policy.hash.clone();
        self.current.store(Arc::new(policy));
        self.changed.send_replace(hash);
    }

    /// Wakes whenever another policy comes into force.
    pub fn subscribe(&self) -> watch::Receiver<PolicyHash> {
        self.changed.subscribe()
    }
}
