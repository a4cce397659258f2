//! The events of the service controller. Their reasons are what users and tools look for.

use crate::domain::Service;
use crate::kubernetes::convert::service_reference;
use crate::kubernetes::events::{EventSink, NewEvent, Severity};
use crate::ports::NodeSet;

/// Names in a message, at most.
const NODE_NAMES: usize = 20;

/// Something told about a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// An ensure begins.
    Ensuring,
    /// The cloud has done its part.
    Ensured,
    /// A load balancer is about to be taken down.
    Deleting,
    /// It is gone.
    Deleted,
    /// It was told of other nodes.
    Updated,
    /// There is no node to send traffic to.
    Unavailable,
    /// An ensure or a cleanup failed.
    SyncFailed(String),
    /// An earlier Service's load balancer could not be taken down.
    DeleteFailed(String),
    /// It could not be told of other nodes.
    UpdateFailed(String),
}

impl Report {
    /// A failed update of nodes.
    pub(super) fn update_failed(nodes: &NodeSet, error: &dyn std::error::Error) -> Self {
        let names: Vec<&str> = nodes.nodes().iter().take(NODE_NAMES).map(|node| node.name.as_str()).collect();
        let (names, all) = (names.join(" "), nodes.nodes().len());
        Self::UpdateFailed(format!(
            "Error updating load balancer with new hosts [{names}] (names limited, {all} in all): {error}"
        ))
    }

    /// Tells it.
    pub(super) fn about(self, service: &Service, events: &dyn EventSink) {
        let (severity, reason, message) = self.parts();
        events.record(NewEvent { about: service_reference(service), severity, reason, message });
    }

    fn parts(self) -> (Severity, &'static str, String) {
        let normal = |reason, message: &str| (Severity::Normal, reason, message.to_owned());
        match self {
            Self::Ensuring => normal("EnsuringLoadBalancer", "Ensuring load balancer"),
            Self::Ensured => normal("EnsuredLoadBalancer", "Ensured load balancer"),
            Self::Deleting => normal("DeletingLoadBalancer", "Deleting load balancer"),
            Self::Deleted => normal("DeletedLoadBalancer", "Deleted load balancer"),
            Self::Updated => normal("UpdatedLoadBalancer", "Updated load balancer with new hosts"),
            Self::Unavailable => (
                Severity::Warning,
                "UnAvailableLoadBalancer",
                "There are no available nodes for LoadBalancer".to_owned(),
            ),
            Self::SyncFailed(error) => {
                (Severity::Warning, "SyncLoadBalancerFailed", format!("Error syncing load balancer: {error}"))
            }
            Self::DeleteFailed(error) => {
                (Severity::Warning, "DeleteLoadBalancerFailed", format!("Error deleting load balancer: {error}"))
            }
            Self::UpdateFailed(message) => (Severity::Warning, "UpdateLoadBalancerFailed", message),
        }
    }
}
