//! What is to be done so that a Service has its address and the address is recorded.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Assignment;
use crate::domain::record::{AddressSource, OnRelease, RECORD_ANNOTATION};
use crate::domain::{Ingress, IpReservation, Record, ServiceKey};
use crate::plan::{Action, Change, Claims, ServiceFacts, ServicePatch, Step};
use crate::strategy::address::{AddressDecision, Given, choose};

/// What a round does for a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnsurePlan {
    /// Do these, then look again.
    Steps {
        /// In this order.
        steps: Vec<Step>,
        /// The address that the Service is about to hold, to be set aside at once.
        holds: Option<(IpAddr, Option<String>)>,
    },
    /// The Service has its address and the address is recorded.
    Settled(Vec<Ingress>),
    /// Metal has not decided yet.
    Wait(String),
    /// Not possible as things are.
    Refuse(String),
}

/// Plans one round. Announcing is not in it: what a backend needs comes between the record and the release of what the
/// Service no longer uses.
pub fn ensure(facts: &ServiceFacts, assignment: &Assignment, policy_hash: &str, claims: &dyn Claims) -> EnsurePlan {
    let Some(pool) = &assignment.pool else {
        return EnsurePlan::Refuse(format!("load balancer {} needs an address pool", assignment.backend.name));
    };
    match choose(facts, pool, &assignment.overrides, claims) {
        AddressDecision::Wait(reason) => EnsurePlan::Wait(reason),
        AddressDecision::Refuse(reason) => EnsurePlan::Refuse(reason),
        AddressDecision::Reserve(request) => {
            let reason = format!("service {} has no address yet, pool {}", facts.service.key, pool.name());
            EnsurePlan::Steps { steps: vec![Step::new(Action::Reserve(request), reason)], holds: None }
        }
        AddressDecision::Have(given) => settle(facts, assignment, policy_hash, &given),
    }
}

fn settle(facts: &ServiceFacts, assignment: &Assignment, policy_hash: &str, given: &Given) -> EnsurePlan {
    let holds = Some((given.address, given.pool.clone()));
    let record = record_of(assignment, policy_hash, given);
    if let Some(step) = write_down(facts, &record) {
        return EnsurePlan::Steps { steps: vec![step], holds };
    }
    let steps: Vec<Step> = superfluous(facts, given).map(|twin| release(twin, &facts.service.key)).collect();
    if steps.is_empty() {
        return EnsurePlan::Settled(vec![Ingress::address(given.address)]);
    }
    EnsurePlan::Steps { steps, holds }
}

fn record_of(assignment: &Assignment, policy_hash: &str, given: &Given) -> Record {
    Record {
        load_balancer: assignment.backend.name.clone(),
        backend: assignment.backend.announcer.record(),
        pool: given.pool.clone(),
        address: given.address,
        cidr: given.cidr,
        source: given.source.clone(),
        reservation: given.reservation.as_ref().map(ToString::to_string),
        on_release: given.on_release,
        rule: assignment.rule.clone(),
        policy: policy_hash.to_owned(),
    }
}

/// Writes the address into `spec.loadBalancerIP`, where backends read it, together with the record.
fn write_down(facts: &ServiceFacts, record: &Record) -> Option<Step> {
    let service = &facts.service;
    let written = service.load_balancer_ip.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
    let load_balancer_ip = if written == Some(record.address) { Change::Keep } else { Change::Set(record.address) };
    let recorded = facts.record.as_ref().is_some_and(|old| old.gives_the_same_as(record));
    let annotations = match recorded {
        true => BTreeMap::new(),
        false => BTreeMap::from([(RECORD_ANNOTATION.to_owned(), Some(record.to_annotation()))]),
    };
    let patch = ServicePatch { service: service.key.clone(), uid: service.uid.clone(), load_balancer_ip, annotations };
    let origin = match (&record.pool, &record.source) {
        (Some(pool), _) => format!("from pool {pool}"),
        (None, AddressSource::Requested) => "as the user asked".to_owned(),
        (None, _) => "as the backend chose".to_owned(),
    };
    let reason =
        format!("rule {}: address {} {origin}, load balancer {}", record.rule, record.address, record.load_balancer);
    (!patch.is_empty()).then(|| Step::new(Action::PatchService(patch), reason))
}

/// Reservations made for the Service that it does not use: a twin from an answer that was lost, or the former address
/// after the user named another. One that somebody put on a device is left alone, and so is all of a pool that retains.
fn superfluous<'a>(facts: &'a ServiceFacts, given: &Given) -> impl Iterator<Item = &'a IpReservation> {
    let retains = given.on_release == OnRelease::Retain
        || facts.record.as_ref().is_some_and(|record| record.on_release == OnRelease::Retain);
    facts
        .reservations
        .iter()
        .map(AsRef::as_ref)
        .filter(move |r| !retains && r.assigned_to.is_empty() && r.usable_address() != Some(given.address))
}

pub(super) fn release(reservation: &IpReservation, service: &ServiceKey) -> Step {
    let address = reservation.address.map_or_else(|| "no address yet".to_owned(), |a| a.to_string());
    let reason = format!("service {service} does not use it ({address})");
    Step::new(Action::Release { reservation: reservation.id.clone() }, reason)
}
