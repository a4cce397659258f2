//! Carries a plan out, one step after the other. Nothing is chosen here.

use std::sync::Arc;

use tracing::info;

use crate::domain::{Node, Service};
use crate::plan::{Action, Step};
use crate::ports::{Cluster, Metal, ProviderError};

/// What a step brought about, to be absorbed into the facts.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Nothing to absorb here: the next reading of Metal shows it.
    Done,
    /// A Service was changed, and is now so.
    Service(Box<Service>),
    /// A Node was changed, and is now so.
    Node(Box<Node>),
}

/// Where steps are carried out.
pub(super) struct Executor {
    pub(super) metal: Arc<dyn Metal>,
    pub(super) cluster: Arc<dyn Cluster>,
}

impl Executor {
    /// Carries one step out.
    pub(super) async fn execute(&self, step: &Step) -> Result<Outcome, ProviderError> {
        let outcome = match &step.action {
            Action::EnableBgp { asn, password } => {
                let password = match password {
                    Some(source) => Some(self.cluster.password(source).await?),
                    None => None,
                };
                self.metal.enable_bgp(*asn, password.as_ref()).await?;
                Outcome::Done
            }
            Action::Reserve(request) => {
                self.metal.reserve(request).await?;
                Outcome::Done
            }
            Action::Release { reservation } => {
                self.metal.release(reservation).await?;
                Outcome::Done
            }
            Action::CreateBgpSession { device, family, node: _ } => {
                self.metal.create_bgp_session(device, *family).await?;
                Outcome::Done
            }
            Action::PatchService(patch) => Outcome::Service(Box::new(self.cluster.patch_service(patch).await?)),
            Action::PatchNode(patch) => Outcome::Node(Box::new(self.cluster.patch_node(patch).await?)),
        };
        info!(action = %step.action, reason = %step.reason, "carried out");
        Ok(outcome)
    }
}
