//! Which nodes receive traffic, which changes of a node matter to load balancers, and what a Service wants of us.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::domain::{Node, Service, ServiceType};
use crate::ports::Claim;

/// The finalizer that keeps a Service until its load balancer is gone.
pub const LOAD_BALANCER_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// The label that keeps a node out of load balancers.
pub const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// The taint that the cluster autoscaler puts on nodes it is about to remove.
pub const TO_BE_DELETED_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

/// Whether a node may receive traffic. Readiness plays no part: health checking is the backend's.
pub fn is_eligible(node: &Node) -> bool {
    !node.deleting && !is_excluded(&node.labels) && !node.taints.iter().any(|taint| taint.key == TO_BE_DELETED_TAINT)
}

/// Whether the labels keep a node out of load balancers: any value does that is not some spelling of "false".
pub fn is_excluded(labels: &BTreeMap<String, String>) -> bool {
    labels
        .get(EXCLUDE_LABEL)
        .is_some_and(|value| !matches!(value.as_str(), "0" | "f" | "F" | "false" | "False" | "FALSE"))
}

/// Whether a change of a node (`None`: not there) has every load balancer compared with its nodes again.
pub fn triggers_node_sync(old: Option<&Node>, new: Option<&Node>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            is_excluded(&old.labels) != is_excluded(&new.labels) || old.provider_id != new.provider_id
        }
        (None, Some(_)) | (Some(_), None) => true,
        (None, None) => false,
    }
}

/// Whether a change of a node makes another set of eligible nodes, or changes what backends read on them. A heartbeat
/// does not.
pub fn changes_node_set(old: Option<&Node>, new: Option<&Node>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            old.uid != new.uid
                || old.provider_id != new.provider_id
                || old.deleting != new.deleting
                || old.labels != new.labels
                || old.annotations != new.annotations
                || old.addresses != new.addresses
                || old.taints != new.taints
        }
        (None, Some(_)) | (Some(_), None) => true,
        (None, None) => false,
    }
}

/// Whether the Service carries our finalizer.
pub fn has_finalizer(service: &Service) -> bool {
    service.finalizers.iter().any(|finalizer| finalizer == LOAD_BALANCER_FINALIZER)
}

/// Whether the Service is to have its load balancer taken down.
pub fn needs_cleanup(service: &Service) -> bool {
    has_finalizer(service) && (service.deleting || service.kind != ServiceType::LoadBalancer)
}

/// Whether the Service is to have a load balancer. Once it is being deleted nothing is made for it any more.
pub fn is_wanted(service: &Service, claim: &Claim) -> bool {
    let served = match claim {
        Claim::Served(_) => true,
        Claim::NotOurs(_) => false,
    };
    served && service.kind == ServiceType::LoadBalancer && !service.deleting
}

/// Everything about a Service that has its load balancer ensured again when it changes, in one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a Service and of what the policy decided about it.
    pub fn of(service: &Service, claim: &Claim) -> Self {
        let mut hasher = DefaultHasher::new();
        match (is_wanted(service, claim), claim) {
            (true, Claim::Served(decision)) => decision.hash(&mut hasher),
            (true, Claim::NotOurs(_)) | (false, _) => false.hash(&mut hasher),
        }
        service.uid.hash(&mut hasher);
        service.annotations.hash(&mut hasher);
        service.load_balancer_ip.hash(&mut hasher);
        service.source_ranges.hash(&mut hasher);
        service.external_ips.hash(&mut hasher);
        service.ports.hash(&mut hasher);
        service.ip_families.len().hash(&mut hasher);
        service.external_traffic_policy.hash(&mut hasher);
        service.health_check_node_port.hash(&mut hasher);
        service.session_affinity.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests;
