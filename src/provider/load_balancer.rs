//! `LoadBalancer`, carried out by the strategies of the policy in force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::AddressBook;
use super::bgp::{Announcement, NodeBgpState, is_newer};
use super::execute::{Executor, Outcome};
use crate::domain::record::AddressSource;
use crate::domain::{ClusterId, Ingress, ReservationId, Service, ServiceKey, ServiceTags, ServiceType};
use crate::plan::{ServiceFacts, Step};
use crate::policy::{Decision, Policy, PolicyStore, ServiceSubject};
use crate::ports::{Claim, Cluster, LoadBalancer, MaxAge, Metal, Namespaces, NodeSet, ProviderError};
use crate::strategy::Assignment;
use crate::strategy::load_balancer::{EnsurePlan, ensure, remnant, teardown};

/// Rounds after which something keeps undoing what is done.
const MAX_ROUNDS: usize = 8;
/// How long to wait for the first node that can announce; nodes that just joined are initialised by then.
const NODES_POLL: Duration = Duration::from_secs(1);
/// How long to wait for a decision of Metal's before looking again.
const DECISION_POLL: Duration = Duration::from_secs(15);

/// Addresses for Services, from a Metal project, as the policy in force says.
pub struct LoadBalancers {
    executor: Executor,
    policy: Arc<PolicyStore>,
    namespaces: Arc<dyn Namespaces>,
    cluster_id: ClusterId,
    book: AddressBook,
    nodes: NodeBgpState,
    /// Services as we last wrote them, for as long as the cache is behind.
    written: Mutex<HashMap<ServiceKey, Service>>,
}

impl LoadBalancers {
    /// Load balancers of one cluster.
    pub fn new(
        metal: Arc<dyn Metal>,
        cluster: Arc<dyn Cluster>,
        namespaces: Arc<dyn Namespaces>,
        policy: Arc<PolicyStore>,
        cluster_id: ClusterId,
    ) -> Self {
        Self {
            executor: Executor { metal, cluster },
            policy,
            namespaces,
            cluster_id,
            book: AddressBook::default(),
            nodes: NodeBgpState::default(),
            written: Mutex::default(),
        }
    }

    /// Enables the project's BGP where a load balancer of the policy announces with it, so that a project that may not
    /// use BGP is noticed at start and not at the first Service.
    pub async fn initialise(&self) -> Result<(), ProviderError> {
        let policy = self.policy.current();
        match policy.backends().iter().any(|backend| backend.announcer.uses_bgp()) {
            true => self.nodes.enable(&self.executor, &policy.bgp).await,
            false => Ok(()),
        }
    }

    fn decide(&self, policy: &Policy, service: &Service) -> Decision {
        let labels = self.namespaces.labels(&service.key.namespace).unwrap_or_default();
        policy.decide(&ServiceSubject { service, namespace_labels: &labels })
    }

    fn assignment(&self, policy: &Policy, service: &Service) -> Result<Arc<Assignment>, ProviderError> {
        match self.decide(policy, service) {
            Decision::Served(assignment) => Ok(assignment),
            Decision::Ignored { .. } | Decision::UnclaimedClass { .. } => Err(ProviderError::ImplementedElsewhere),
        }
    }

    /// The Service with our own last write, for as long as the cache does not show it.
    fn latest(&self, cached: &Service) -> Service {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(&cached.key) {
            Some(ours) if ours.uid == cached.uid && is_newer(&ours.resource_version, &cached.resource_version) => {
                ours.clone()
            }
            Some(_) => {
                written.remove(&cached.key);
                cached.clone()
            }
            None => cached.clone(),
        }
    }

    async fn observe_facts(&self, service: Service) -> Result<ServiceFacts, ProviderError> {
        let metal = &self.executor.metal;
        let mut facts = ServiceFacts::new(service, &self.cluster_id);
        facts.reservations = metal.reservations_tagged(&facts.tags.all(), MaxAge::RECENT).await?;
        // A listing may be behind. What the record says was reserved is asked for by its id before it is given up.
        let recorded = facts.record.as_ref().filter(|record| record.source == AddressSource::Reservation);
        let unseen = recorded.and_then(|record| record.reservation.as_ref()).map(ReservationId::new);
        if let Some(id) = unseen.filter(|id| !facts.reservations.iter().any(|r| r.id == *id))
            && let Some(found) = metal.reservation(&id).await?
            && found.has_tags(facts.tags.all())
        {
            facts.reservations.push(found);
        }
        let named = facts.service.load_balancer_ip.as_deref().and_then(|text| text.parse().ok());
        if let Some(address) = named.filter(|a| facts.record.as_ref().is_none_or(|record| record.address != *a)) {
            facts.requested_reservation = metal.reservation_of(address, MaxAge::RECENT).await?;
        }
        Ok(facts)
    }

    async fn carry_out(&self, facts: &mut ServiceFacts, steps: &[Step]) -> Result<(), ProviderError> {
        for step in steps {
            match self.executor.execute(step).await? {
                Outcome::Service(service) => {
                    self.book.observe(&service);
                    let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
                    written.insert(service.key.clone(), (*service).clone());
                    facts.service = *service;
                }
                Outcome::Done | Outcome::Node(_) => {}
            }
        }
        Ok(())
    }

    /// Gives the Service its address; announcing comes before what it no longer uses is given back.
    async fn settle(
        &self,
        service: &Service,
        policy: &Arc<Policy>,
        assignment: &Assignment,
        nodes: &Arc<NodeSet>,
    ) -> Result<Vec<Ingress>, ProviderError> {
        let mut current = self.latest(service);
        let mut announced: Option<Announcement> = None;
        for _ in 0..MAX_ROUNDS {
            let mut facts = self.observe_facts(current).await?;
            let plan = self.book.choose(
                &facts.service,
                |claims| ensure(&facts, assignment, policy.hash.as_str(), claims),
                |plan| match plan {
                    EnsurePlan::Steps { holds, .. } => holds.clone(),
                    EnsurePlan::Settled(_) | EnsurePlan::Wait(_) | EnsurePlan::Refuse(_) => None,
                },
            );
            let releases_only = matches!(&plan, EnsurePlan::Steps { steps, .. } if steps.iter().all(Step::is_release));
            let settled = matches!(plan, EnsurePlan::Settled(_));
            if (settled || releases_only) && announced.is_none() {
                announced = Some(self.announce(policy, assignment, nodes).await?);
            }
            match plan {
                EnsurePlan::Settled(ingress) => return finish(ingress, announced),
                EnsurePlan::Wait(message) => {
                    return Err(ProviderError::NotYet { message, after: DECISION_POLL });
                }
                EnsurePlan::Refuse(message) => return Err(ProviderError::Refused { message }),
                EnsurePlan::Steps { steps, .. } => self.carry_out(&mut facts, &steps).await?,
            }
            current = facts.service;
        }
        Err(ProviderError::Refused {
            message: format!(
                "service {} did not settle in {MAX_ROUNDS} rounds; somebody else writes the same fields",
                service.key
            ),
        })
    }

    async fn announce(
        &self,
        policy: &Arc<Policy>,
        assignment: &Assignment,
        nodes: &Arc<NodeSet>,
    ) -> Result<Announcement, ProviderError> {
        match assignment.backend.announcer.uses_bgp() {
            true => self.nodes.converge(&self.executor, policy, nodes).await,
            false => Ok(Announcement::Everywhere),
        }
    }
}

/// An address is shown as soon as one node can announce it.
fn finish(ingress: Vec<Ingress>, announced: Option<Announcement>) -> Result<Vec<Ingress>, ProviderError> {
    match announced {
        Some(Announcement::Everywhere) | None => Ok(ingress),
        Some(Announcement::NotOn(failures)) => Err(ProviderError::Partial { ingress, failures }),
        Some(Announcement::Nowhere(failures)) => Err(ProviderError::NotYet {
            message: format!("no node can announce the address yet: {}", failures.join("; ")),
            after: NODES_POLL,
        }),
    }
}

#[async_trait]
impl LoadBalancer for LoadBalancers {
    fn claim(&self, service: &Service) -> Claim {
        if service.kind != ServiceType::LoadBalancer {
            return Claim::NotOurs("its type is not LoadBalancer".to_owned());
        }
        match self.decide(&self.policy.current(), service) {
            Decision::Served(assignment) => Claim::Served(assignment.fingerprint()),
            Decision::Ignored { rule } => Claim::NotOurs(format!("rule {rule} ignores it")),
            Decision::UnclaimedClass { class } => Claim::NotOurs(format!("no matching rule names its class {class}")),
        }
    }

    fn observe(&self, service: &Service) {
        self.book.observe(service);
    }

    fn forget(&self, service: &ServiceKey) {
        self.book.forget(service);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
    }

    fn load_balancer_name(&self, service: &Service) -> String {
        ServiceTags::new(&service.key, &self.cluster_id).load_balancer_name()
    }

    async fn get_load_balancer(&self, service: &Service) -> Result<Option<Vec<Ingress>>, ProviderError> {
        Ok(remnant(&self.observe_facts(self.latest(service)).await?))
    }

    async fn ensure_load_balancer(
        &self,
        service: &Service,
        nodes: &Arc<NodeSet>,
    ) -> Result<Vec<Ingress>, ProviderError> {
        let policy = self.policy.current();
        let assignment = self.assignment(&policy, service)?;
        self.settle(service, &policy, &assignment, nodes).await
    }

    async fn update_load_balancer(&self, service: &Service, nodes: &Arc<NodeSet>) -> Result<(), ProviderError> {
        let policy = self.policy.current();
        let assignment = self.assignment(&policy, service)?;
        let announced = self.announce(&policy, &assignment, nodes).await?;
        finish(service.ingress.clone(), Some(announced)).map(|_| ())
    }

    async fn ensure_load_balancer_deleted(&self, service: &Service) -> Result<(), ProviderError> {
        let mut facts = self.observe_facts(self.latest(service)).await?;
        facts.service.deleting |= service.deleting;
        let steps = teardown(&facts);
        self.carry_out(&mut facts, &steps).await
    }
}
