//! What is to be done when a Service no longer wants a load balancer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ensure::release;
use crate::domain::Ingress;
use crate::domain::record::{AddressSource, OnRelease, RECORD_ANNOTATION};
use crate::plan::{Action, Change, ServiceFacts, ServicePatch, Step};

/// What is left of a Service's load balancer; `None` when nothing need be taken down.
pub fn remnant(facts: &ServiceFacts) -> Option<Vec<Ingress>> {
    if let Some(record) = &facts.record {
        return Some(vec![Ingress::address(record.address)]);
    }
    let held: Vec<_> = facts.reservations.iter().collect();
    (!held.is_empty()).then(|| held.iter().filter_map(|r| r.usable_address()).map(Ingress::address).collect())
}

/// The steps that take it down, the backend's withdrawal excepted, which comes first: reservations are given back, and
/// only then the record of them goes.
pub fn teardown(facts: &ServiceFacts) -> Vec<Step> {
    let retained = facts.record.as_ref().is_some_and(|record| record.on_release == OnRelease::Retain);
    let releases = facts.reservations.iter().filter(|_| !retained).map(|r| release(r, &facts.service.key));
    let mut steps: Vec<Step> = releases.collect();
    // A Service that is going takes its own fields with it.
    if !facts.service.deleting {
        steps.extend(forget(facts));
    }
    steps
}

fn forget(facts: &ServiceFacts) -> Option<Step> {
    let service = &facts.service;
    let written: Option<IpAddr> = service.load_balancer_ip.as_deref().and_then(|text| text.parse().ok());
    let written_by_us = written.is_some_and(|address| match &facts.record {
        Some(record) => record.address == address && record.source != AddressSource::Requested,
        None => facts.reservations.iter().any(|r| r.usable_address() == Some(address)),
    });
    let recorded = service.annotations.contains_key(RECORD_ANNOTATION);
    let patch = ServicePatch {
        service: service.key.clone(),
        uid: service.uid.clone(),
        load_balancer_ip: if written_by_us { Change::Clear } else { Change::Keep },
        annotations: if recorded { BTreeMap::from([(RECORD_ANNOTATION.to_owned(), None)]) } else { BTreeMap::new() },
    };
    (!patch.is_empty()).then(|| Step::new(Action::PatchService(patch), "the service has no load balancer any more"))
}
