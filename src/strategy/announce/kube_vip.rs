//! kube-vip: reads the Node annotations and `spec.loadBalancerIP`; nothing else is made for it.

use super::Announcer;
use crate::domain::record::BackendRecord;

/// The kube-vip backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubeVip;

impl Announcer for KubeVip {
    fn record(&self) -> BackendRecord {
        BackendRecord::KubeVip
    }

    fn uses_bgp(&self) -> bool {
        true
    }
}
