//! One pass over one Service: what is done in which order.

use std::sync::Arc;

use tokio::time::Instant;

use super::Shared;
use super::report::Report;
use super::tracker::{Cleaned, Work};
use crate::domain::{Ingress, Service, ServiceKey};
use crate::kubernetes::predicates::{LOAD_BALANCER_FINALIZER, has_finalizer};
use crate::kubernetes::queue::Outcome;
use crate::ports::{Claim, ClusterError, NodeSet, ProviderError, RetryClass};

/// A step of a pass failed.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("failed to add load balancer cleanup finalizer: {0}")]
    AddFinalizer(#[source] ClusterError),
    #[error("failed to ensure load balancer: {0}")]
    Ensure(#[source] ProviderError),
    #[error("failed to ensure load balancer: the provider returned no address")]
    NoIngress,
    #[error("failed to update load balancer status: {0}")]
    Status(#[source] ClusterError),
    #[error("failed to check if load balancer exists before cleanup: {0}")]
    Get(#[source] ProviderError),
    #[error("failed to delete load balancer: {0}")]
    Delete(#[source] ProviderError),
    #[error("failed to remove load balancer cleanup finalizer: {0}")]
    RemoveFinalizer(#[source] ClusterError),
    #[error("failed to check whether the service is gone: {0}")]
    Exists(#[source] ClusterError),
}

impl PassError {
    /// A delay that the provider asks for is honoured where a load balancer is being made.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Ensure(error) => match error.retry() {
                RetryClass::Backoff => Outcome::Failed,
                RetryClass::After(delay) => Outcome::RetryAfter(delay),
                RetryClass::Permanent => Outcome::FailedForGood,
            },
            Self::AddFinalizer(_)
            | Self::NoIngress
            | Self::Status(_)
            | Self::Get(_)
            | Self::Delete(_)
            | Self::RemoveFinalizer(_)
            | Self::Exists(_) => Outcome::Failed,
        }
    }
}

impl Shared {
    /// Does what is to be done for a Service now.
    pub(super) async fn pass(&self, key: ServiceKey) -> Outcome {
        let nodes = self.node_sets.current();
        let cached = self.services.get(&key).map(|service| {
            let claim = self.load_balancer.claim(&service);
            (service, claim)
        });
        match self.tracker.work(&key, cached, &nodes) {
            Work::Nothing => Outcome::Done,
            Work::Ensure(service) => self.ensure(&service, &nodes).await,
            Work::Replace { old, new } => match self.take_down_old(&old, &new).await {
                Ok(()) => self.ensure(&new, &nodes).await,
                Err(error) => self.failed(&new, &error),
            },
            Work::UpdateNodes { service, sync } => {
                self.update_nodes(&service, &nodes).await;
                drop(sync);
                Outcome::Done
            }
            Work::CleanUp(service) => match self.clean_up(&service).await {
                Ok(()) => Outcome::Done,
                Err(error) => self.failed(&service, &error),
            },
            Work::CleanUpGone(service) => match self.clean_up_gone(&service).await {
                Ok(()) => Outcome::Done,
                Err(error) => self.failed(&service, &error),
            },
        }
    }

    fn failed(&self, service: &Service, error: &PassError) -> Outcome {
        let outcome = error.outcome();
        tracing::warn!(service = %service.key, %error, ?outcome, "a pass over a service failed");
        Report::SyncFailed(error.to_string()).about(service, &*self.events);
        outcome
    }

    async fn ensure(&self, service: &Arc<Service>, nodes: &Arc<NodeSet>) -> Outcome {
        let claim = self.load_balancer.claim(service);
        match self.try_ensure(service, &claim, nodes).await {
            Ok(()) => {
                self.tracker.settle(service, &claim, &self.own_writes);
                Outcome::Done
            }
            Err(error) => self.failed(service, &error),
        }
    }

    async fn try_ensure(&self, service: &Arc<Service>, claim: &Claim, nodes: &Arc<NodeSet>) -> Result<(), PassError> {
        Report::Ensuring.about(service, &*self.events);
        self.tracker.begin_ensure(service, claim, nodes);
        let service = &*self.with_finalizer(service).await?;
        if nodes.is_empty() {
            Report::Unavailable.about(service, &*self.events);
        }
        match self.load_balancer.ensure_load_balancer(service, nodes).await {
            Ok(ingress) if ingress.is_empty() => Err(PassError::NoIngress),
            Ok(ingress) => {
                Report::Ensured.about(service, &*self.events);
                self.show(service, &ingress).await
            }
            Err(ProviderError::ImplementedElsewhere) => Ok(()),
            Err(ProviderError::Partial { ingress, failures }) => {
                // The address works already; whoever waits for it need not wait for the rest.
                self.show(service, &ingress).await?;
                Err(PassError::Ensure(ProviderError::Partial { ingress, failures }))
            }
            Err(error) => Err(PassError::Ensure(error)),
        }
    }

    /// The finalizer is there before anything is made in the cloud.
    async fn with_finalizer(&self, service: &Arc<Service>) -> Result<Arc<Service>, PassError> {
        if has_finalizer(service) {
            return Ok(Arc::clone(service));
        }
        self.api.add_finalizer(service).await.map_err(PassError::AddFinalizer)?;
        tracing::info!(service = %service.key, finalizer = LOAD_BALANCER_FINALIZER, "added the finalizer");
        let mut service = (**service).clone();
        service.finalizers.push(LOAD_BALANCER_FINALIZER.to_owned());
        Ok(Arc::new(service))
    }

    async fn show(&self, service: &Service, ingress: &[Ingress]) -> Result<(), PassError> {
        if service.ingress == ingress {
            return Ok(());
        }
        self.api.set_ingress(service, ingress).await.map_err(PassError::Status)?;
        tracing::info!(service = %service.key, ?ingress, "wrote the address into the status");
        Ok(())
    }

    async fn update_nodes(&self, service: &Arc<Service>, nodes: &Arc<NodeSet>) {
        self.tracker.begin_update(&service.key, nodes);
        let began = Instant::now();
        let updated = self.load_balancer.update_load_balancer(service, nodes).await;
        self.metrics.load_balancer_updated(began.elapsed());
        match updated {
            Ok(()) => {
                tracing::info!(service = %service.key, nodes = nodes.nodes().len(), "updated the nodes");
                let report = if nodes.is_empty() { Report::Unavailable } else { Report::Updated };
                report.about(service, &*self.events);
            }
            Err(ProviderError::ImplementedElsewhere) => {}
            Err(error) => self.update_failed(service, nodes, &error).await,
        }
    }

    /// A load balancer that is gone needs no nodes. Any other failure is mended by a full ensure, at once.
    async fn update_failed(&self, service: &Arc<Service>, nodes: &Arc<NodeSet>, error: &ProviderError) {
        match self.load_balancer.get_load_balancer(service).await {
            Ok(None) => return,
            Ok(Some(_)) => {}
            Err(error) => {
                tracing::warn!(service = %service.key, %error, "could not tell whether the load balancer exists");
            }
        }
        tracing::warn!(service = %service.key, %error, "updating the nodes failed; the service is ensured anew");
        Report::update_failed(nodes, error).about(service, &*self.events);
        self.metrics.node_sync_failed();
        self.tracker.unsettle(&service.key);
        self.queue.add(service.key.clone());
    }

    async fn clean_up(&self, service: &Arc<Service>) -> Result<(), PassError> {
        self.delete(service).await?;
        let left = match self.api.remove_finalizer(service).await {
            Ok(left) => {
                tracing::info!(service = %service.key, finalizer = LOAD_BALANCER_FINALIZER, "removed the finalizer");
                Some(left).filter(|left| !left.deleting || !left.finalizers.is_empty())
            }
            Err(ClusterError::NotFound { .. }) => None,
            Err(error) => return Err(PassError::RemoveFinalizer(error)),
        };
        let uid = service.uid.clone();
        let cleaned = match &left {
            Some(left) => Cleaned::At { uid, version: left.resource_version.clone() },
            None => Cleaned::Gone { uid },
        };
        self.tracker.clean(&service.key, Some(cleaned), &self.own_writes);
        Report::Deleted.about(service, &*self.events);
        match left {
            Some(left) => self.clear_status(&left).await,
            None => Ok(()),
        }
    }

    async fn clear_status(&self, service: &Service) -> Result<(), PassError> {
        if service.ingress.is_empty() {
            return Ok(());
        }
        match self.api.set_ingress(service, &[]).await {
            Ok(()) => {
                tracing::info!(service = %service.key, "cleared the status");
                Ok(())
            }
            Err(ClusterError::NotFound { .. }) => Ok(()),
            Err(error) => Err(PassError::Status(error)),
        }
    }

    /// Only the API server can say that a Service is gone; a cache that lost it proves nothing.
    async fn clean_up_gone(&self, service: &Arc<Service>) -> Result<(), PassError> {
        let replaced = self.services.get(&service.key).is_some_and(|cached| cached.uid != service.uid);
        if !replaced && self.api.exists(&service.key).await.map_err(PassError::Exists)? {
            return Ok(());
        }
        self.delete(service).await?;
        Report::Deleted.about(service, &*self.events);
        self.tracker.clean(&service.key, None, &self.own_writes);
        Ok(())
    }

    /// What is no remnant of anything is not deleted.
    async fn delete(&self, service: &Service) -> Result<(), PassError> {
        if self.load_balancer.get_load_balancer(service).await.map_err(PassError::Get)?.is_none() {
            return Ok(());
        }
        Report::Deleting.about(service, &*self.events);
        match self.load_balancer.ensure_load_balancer_deleted(service).await {
            Ok(()) => {
                tracing::info!(service = %service.key, "deleted the load balancer");
                Ok(())
            }
            Err(ProviderError::ImplementedElsewhere) => Ok(()),
            Err(error) => Err(PassError::Delete(error)),
        }
    }

    /// A Service was deleted and made anew under its name before we saw either; its load balancer goes first.
    async fn take_down_old(&self, old: &Arc<Service>, new: &Arc<Service>) -> Result<(), PassError> {
        Report::Deleting.about(new, &*self.events);
        match self.load_balancer.ensure_load_balancer_deleted(old).await {
            Ok(()) | Err(ProviderError::ImplementedElsewhere) => {
                tracing::info!(service = %old.key, uid = %old.uid, "deleted the load balancer of an earlier service");
                Report::Deleted.about(new, &*self.events);
                self.tracker.clean(&old.key, None, &self.own_writes);
                Ok(())
            }
            Err(error) => {
                Report::DeleteFailed(error.to_string()).about(new, &*self.events);
                Err(PassError::Delete(error))
            }
        }
    }
}
