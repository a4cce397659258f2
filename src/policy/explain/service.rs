//! Why a Service gets what it gets.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::{indented, wanted};
use crate::domain::record::AddressSource;
use crate::domain::{
    ClusterId, IpReservation, ReservationId, ReservationState, ReservationType, Service, ServiceKey, ServiceType,
};
use crate::plan::{Action, Claims, ServiceFacts, Step};
use crate::policy::document::OverrideNames;
use crate::policy::{DEFAULT_RULE, Decision, Miss, Policy, ServiceRule, ServiceSubject};
use crate::strategy::load_balancer::{EnsurePlan, ensure};
use crate::strategy::{Assignment, ElasticPool, Pool};

/// Why a Service gets what it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceExplanation {
    /// Namespace and name.
    pub service: String,
    /// What the policy says.
    pub decision: ServiceDecision,
    /// The rule that decides; `default` when none matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rules that were tried, in order; the last one applies if its `miss` is absent.
    pub tried: Vec<Tried>,
    /// What it gets, where it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<ServingText>,
}

/// What the policy says of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ServiceDecision {
    /// It is served.
    Served,
    /// It is left alone.
    Ignored,
    /// It sets a class that no matching rule names.
    UnclaimedClass,
    /// It is not of type LoadBalancer, and the policy is not asked.
    NotALoadBalancer,
}

/// A rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Its name.
    pub rule: String,
    /// The first field of its match that the Service does not meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// What the field wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What the Service has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// What a Service gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServingText {
    /// Name of the load balancer.
    pub load_balancer: String,
    /// Its kind.
    pub kind: &'static str,
    /// Name of the address pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_pool: Option<String>,
    /// What the pool is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What becomes of the Service's own wishes.
    pub overrides: Vec<OverrideText>,
    /// What would be made, as far as the Service tells: other Services and Metal are not asked.
    pub would_be_made: Vec<String>,
}

/// A wish of the Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideText {
    /// The annotation.
    pub annotation: String,
    /// What it says.
    pub value: String,
    /// Whether the rule allows it.
    pub honoured: bool,
}

impl ServiceExplanation {
    /// Explains what a policy decides for a Service.
    pub fn new(policy: &Policy, names: &OverrideNames, subject: &ServiceSubject<'_>) -> Self {
        let service = subject.service;
        if service.kind != ServiceType::LoadBalancer {
            return Self {
                service: service.key.to_string(),
                decision: ServiceDecision::NotALoadBalancer,
                rule: None,
                tried: Vec::new(),
                serving: None,
            };
        }
        let tried = policy.misses(subject).into_iter().map(|(rule, miss)| Tried::new(rule, miss, subject)).collect();
        let (decision, rule, serving) = match policy.decide(subject) {
            Decision::Served(assignment) => {
                let serving = ServingText::new(policy, names, &assignment, service);
                (ServiceDecision::Served, Some(assignment.rule.clone()), Some(serving))
            }
            Decision::Ignored { rule } => (ServiceDecision::Ignored, Some(rule), None),
            Decision::UnclaimedClass { .. } => (ServiceDecision::UnclaimedClass, None, None),
        };
        Self { service: service.key.to_string(), decision, rule, tried, serving }
    }
}

impl Tried {
    fn new(rule: &ServiceRule, miss: Option<Miss>, subject: &ServiceSubject<'_>) -> Self {
        let described = miss.map(|miss| wanted::describe(rule, &miss, subject));
        let (field, wanted, found) = match described {
            Some((field, wanted, found)) => (Some(field), Some(wanted), Some(found)),
            None => (None, None, None),
        };
        Self { rule: rule.name.clone(), field, wanted, found }
    }
}

impl ServingText {
    fn new(policy: &Policy, names: &OverrideNames, assignment: &Assignment, service: &Service) -> Self {
        let allowed = [&assignment.overrides.metro, &assignment.overrides.facility];
        let overrides = [&names.metro, &names.facility]
            .into_iter()
            .filter_map(|annotation| {
                let value = service.annotations.get(annotation)?;
                Some(OverrideText {
                    annotation: annotation.clone(),
                    value: value.clone(),
                    honoured: allowed.iter().any(|one| one.as_ref() == Some(annotation)),
                })
            })
            .collect();
        Self {
            load_balancer: assignment.backend.name.clone(),
            kind: assignment.backend.announcer.record().kind(),
            address_pool: assignment.pool.as_ref().map(|pool| pool.name().to_owned()),
            pool: assignment.pool.as_ref().map(|pool| describe_pool(pool)),
            overrides,
            would_be_made: steps(policy, assignment, service),
        }
    }
}

fn describe_pool(pool: &Pool) -> String {
    match pool {
        Pool::Elastic(pool) => describe_elastic(pool),
        Pool::Static(pool) => {
            let ranges: Vec<String> = pool.ranges.iter().map(ToString::to_string).collect();
            format!("addresses that are routed here already: {}", ranges.join(", "))
        }
    }
}

fn describe_elastic(pool: &ElasticPool) -> String {
    let place = match (&pool.location, &pool.kind) {
        (Some(location), _) => format!(" in {location}"),
        (None, ReservationType::GlobalIpv4) => String::new(),
        (None, _) => ", no metro known".to_owned(),
    };
    let most = pool.max_addresses.map(|most| format!(", at most {most}")).unwrap_or_default();
    format!("{} addresses reserved on demand{place}{most}", pool.kind.as_str())
}

/// Nobody else holds an address: an explanation looks at one Service alone.
struct Alone;

impl Claims for Alone {
    fn other_holder(&self, _: IpAddr, _: &ServiceKey) -> Option<ServiceKey> {
        None
    }

    fn set_aside(&self, _: &ServiceKey) -> Option<IpAddr> {
        None
    }

    fn held_by_others(&self, _: &str, _: &ServiceKey) -> usize {
        0
    }
}

fn steps(policy: &Policy, assignment: &Assignment, service: &Service) -> Vec<String> {
    let mut facts = ServiceFacts::new(service.clone(), &ClusterId::new("unknown"));
    facts.reservations = reserved_before(&facts).into_iter().map(Arc::new).collect();
    let mut steps = match ensure(&facts, assignment, policy.hash.as_str(), &Alone) {
        EnsurePlan::Steps { steps, holds } => {
            let mut steps: Vec<String> = steps.iter().map(describe_step).collect();
            if holds.is_none() {
                steps.push("then write the address into spec.loadBalancerIP, the record and the status".to_owned());
            }
            steps
        }
        EnsurePlan::Settled(ingress) => ingress
            .iter()
            .filter_map(|entry| entry.ip)
            .map(|address| format!("nothing: it has {address} already"))
            .collect(),
        EnsurePlan::Wait(reason) => vec![format!("nothing yet: {reason}")],
        EnsurePlan::Refuse(reason) => return vec![format!("nothing: {reason}")],
    };
    if assignment.backend.announcer.uses_bgp() {
        let nodes = match policy.bgp.node_selector.is_empty() {
            true => "every node".to_owned(),
            false => format!("every node with {}", policy.bgp.node_selector),
        };
        steps.push(format!(
            "BGP: AS {} where the project has none yet, a session and annotations for {nodes}",
            policy.bgp.local_asn
        ));
    }
    steps
}

/// The record that is written on a Service is for programs; its reason says the same to people.
fn describe_step(step: &Step) -> String {
    match &step.action {
        Action::PatchService(_) => {
            format!("{}; written into spec.loadBalancerIP, the record and the status", step.reason)
        }
        Action::EnableBgp { .. }
        | Action::Reserve(_)
        | Action::Release { .. }
        | Action::CreateBgpSession { .. }
        | Action::PatchNode(_) => step.to_string(),
    }
}

/// The reservation that the Service's own record tells of.
fn reserved_before(facts: &ServiceFacts) -> Option<IpReservation> {
    let record = facts.record.as_ref().filter(|record| record.source == AddressSource::Reservation)?;
    Some(IpReservation {
        id: ReservationId::new(record.reservation.clone().unwrap_or_default()),
        kind: ReservationType::PublicIpv4,
        state: ReservationState::Created,
        address: Some(record.address),
        network: Some(record.address),
        cidr: record.cidr,
        tags: facts.tags.all().into_iter().map(str::to_owned).collect(),
        metro: None,
        facility: None,
        assigned_to: Vec::new(),
        created_at: None,
    })
}

impl fmt::Display for ServiceExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule.as_deref().unwrap_or_default();
        let decision = match (self.decision, rule) {
            (ServiceDecision::NotALoadBalancer, _) => "left alone: it is not of type LoadBalancer".to_owned(),
            (ServiceDecision::UnclaimedClass, _) => {
                "left alone: it sets a loadBalancerClass that no matching rule names".to_owned()
            }
            (ServiceDecision::Ignored, DEFAULT_RULE) => "left alone by the default, as no rule matches".to_owned(),
            (ServiceDecision::Ignored, rule) => format!("left alone by rule {rule}"),
            (ServiceDecision::Served, DEFAULT_RULE) => "served by the default, as no rule matches".to_owned(),
            (ServiceDecision::Served, rule) => format!("served by rule {rule}"),
        };
        writeln!(f, "Service {}: {decision}", self.service)?;
        let tried: Vec<String> = self.tried.iter().map(ToString::to_string).collect();
        indented(f, "rules", &tried)?;
        match &self.serving {
            Some(serving) => write!(f, "{serving}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.field, &self.wanted, &self.found) {
            (Some(field), Some(wanted), Some(found)) => {
                write!(f, "{}: no, {field} wants {wanted}, found {found}", self.rule)
            }
            _ => write!(f, "{}: yes", self.rule),
        }
    }
}

impl fmt::Display for ServingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.load_balancer == self.kind {
            true => writeln!(f, "  load balancer: {}", self.kind)?,
            false => writeln!(f, "  load balancer: {} ({})", self.load_balancer, self.kind)?,
        }
        if let (Some(name), Some(pool)) = (&self.address_pool, &self.pool) {
            writeln!(f, "  address pool: {name} ({pool})")?;
        }
        let overrides: Vec<String> = self
            .overrides
            .iter()
            .map(|one| match one.honoured {
                true => format!("{}={}: honoured", one.annotation, one.value),
                false => format!("{}={}: without effect, as the rule does not allow it", one.annotation, one.value),
            })
            .collect();
        indented(f, "overrides", &overrides)?;
        indented(f, "would be made", &self.would_be_made)
    }
}
