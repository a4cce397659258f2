//! Which address a Service gets.

use std::net::IpAddr;
use std::sync::Arc;

use super::{ElasticPool, Pool, StaticPool};
use crate::domain::address::host_prefix;
use crate::domain::record::{AddressSource, OnRelease};
use crate::domain::reservation::{Location, ReservationState};
use crate::domain::tag::USAGE_TAG;
use crate::domain::{IpReservation, ReservationId, ReservationRequest, ReservationType};
use crate::plan::{Claims, ServiceFacts};
use crate::strategy::Overrides;

/// Text shown in Metal's console on what this controller reserves.
const DETAILS: &str = "Equinix Metal Kubernetes CCM auto-generated for Load Balancer";

/// An address for a Service, and what must be remembered of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The address.
    pub address: IpAddr,
    /// Prefix length to announce.
    pub cidr: u8,
    /// Where it came from.
    pub source: AddressSource,
    /// The reservation that holds it.
    pub reservation: Option<ReservationId>,
    /// The pool; absent when the user named the address.
    pub pool: Option<String>,
    /// What becomes of it when the Service goes.
    pub on_release: OnRelease,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressDecision {
    /// This address.
    Have(Given),
    /// One that is to be reserved first.
    Reserve(ReservationRequest),
    /// One that Metal has not decided about yet.
    Wait(String),
    /// None: what is wrong, and what would mend it.
    Refuse(String),
}

/// Chooses the address of a Service. What it was given before stays, whatever has become of the pool; a new one is taken
/// only when there is none. The choice depends on nothing but the arguments.
pub fn choose(facts: &ServiceFacts, pool: &Pool, overrides: &Overrides, claims: &dyn Claims) -> AddressDecision {
    let requested = match requested_address(facts) {
        Ok(requested) => requested,
        Err(refusal) => return AddressDecision::Refuse(refusal),
    };
    if let Some(address) = requested {
        return serve_requested(address, facts, pool, claims);
    }
    if let Some(given) = keep(facts, pool, claims) {
        return AddressDecision::Have(given);
    }
    match pool {
        Pool::Elastic(pool) => adopt(facts, pool).unwrap_or_else(|| reserve(facts, pool, overrides, claims)),
        Pool::Static(pool) => take(facts, pool, claims),
    }
}

/// The address that the user named in `spec.loadBalancerIP`; an address that was written there for the Service is none.
fn requested_address(facts: &ServiceFacts) -> Result<Option<IpAddr>, String> {
    let Some(text) = facts.service.load_balancer_ip.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let address: IpAddr =
        text.parse().map_err(|_| format!("spec.loadBalancerIP {text:?} is not an IP address; correct or remove it"))?;
    let ours = match &facts.record {
        Some(record) => record.address == address && record.source != AddressSource::Requested,
        None => facts.reservations.iter().any(|r| r.usable_address() == Some(address)),
    };
    Ok((!ours).then_some(address))
}

fn serve_requested(address: IpAddr, facts: &ServiceFacts, pool: &Pool, claims: &dyn Claims) -> AddressDecision {
    if let Some(holder) = claims.other_holder(address, &facts.service.key) {
        return AddressDecision::Refuse(format!(
            "the address {address} in spec.loadBalancerIP is held by service {holder}; choose another or remove the field"
        ));
    }
    if let Pool::Static(pool) = pool {
        if !pool.holds(address) {
            let ranges: Vec<_> = pool.ranges.iter().map(ToString::to_string).collect();
            return AddressDecision::Refuse(format!(
                "the address {address} in spec.loadBalancerIP is not in pool {} ({}); choose one of its addresses or remove the field",
                pool.name,
                ranges.join(", ")
            ));
        }
    } else if let Some(other) = &facts.requested_reservation
        && other.has_tags([USAGE_TAG])
        && !other.has_tags(facts.tags.all())
    {
        return AddressDecision::Refuse(format!(
            "the address {address} in spec.loadBalancerIP was reserved for another service (reservation {}); choose another or remove the field",
            other.id
        ));
    }
    let own = facts.reservations.iter().find(|r| r.usable_address() == Some(address));
    AddressDecision::Have(Given {
        address,
        cidr: own.map_or(host_prefix(address), |r| r.cidr),
        source: AddressSource::Requested,
        reservation: None,
        pool: None,
        on_release: OnRelease::Delete,
    })
}

/// What the Service has, as long as it is still there to be had.
fn keep(facts: &ServiceFacts, pool: &Pool, claims: &dyn Claims) -> Option<Given> {
    let record = facts.record.as_ref()?;
    let given = Given {
        address: record.address,
        cidr: record.cidr,
        source: record.source.clone(),
        reservation: None,
        pool: record.pool.clone(),
        on_release: record.on_release,
    };
    match record.source {
        AddressSource::Reservation => {
            let reservation = facts.reservations.iter().find(|r| r.usable_address() == Some(record.address))?;
            // The pool's word on what becomes of the address is followed while the pool is the same.
            let on_release = match pool {
                Pool::Elastic(pool) if Some(&pool.name) == record.pool.as_ref() => pool.on_release,
                Pool::Elastic(_) | Pool::Static(_) => record.on_release,
            };
            Some(Given { reservation: Some(reservation.id.clone()), on_release, ..given })
        }
        AddressSource::Static => {
            // Outside the pool of today only what the status already showed is kept: a record alone could be forged by
            // whoever may edit the Service.
            let shown = facts.service.ingress.iter().any(|i| i.ip == Some(record.address));
            let in_pool = matches!(pool, Pool::Static(pool) if pool.holds(record.address));
            let free = claims.other_holder(record.address, &facts.service.key).is_none();
            ((shown || in_pool) && free).then_some(given)
        }
        // Nobody names it any more, or the backend that chose it is gone.
        AddressSource::Requested | AddressSource::Backend => None,
    }
}

/// What was reserved for the Service already: by an earlier run that ended before it could say so, or by the original.
fn adopt(facts: &ServiceFacts, pool: &ElasticPool) -> Option<AddressDecision> {
    // Where there are several, the one that is in use already: written on the Service, or else shown in its status.
    let written: Option<IpAddr> = facts.service.load_balancer_ip.as_deref().and_then(|text| text.parse().ok());
    let shown = facts.service.ingress.iter().filter_map(|i| i.ip);
    let usable = |address| facts.reservations.iter().find(|r| r.usable_address() == Some(address));
    let best = written
        .into_iter()
        .chain(shown)
        .find_map(usable)
        .or_else(|| facts.reservations.iter().find(|r| r.usable_address().is_some()));
    if let Some(reservation) = best {
        return Some(AddressDecision::Have(given_by(reservation, pool)?));
    }
    let denied = |r: &&Arc<IpReservation>| r.state == ReservationState::Denied;
    if let Some(waiting) = facts.reservations.iter().find(|r| !denied(r)) {
        return Some(AddressDecision::Wait(format!("Metal has not decided yet about reservation {}", waiting.id)));
    }
    let denied = facts.reservations.first()?;
    Some(AddressDecision::Refuse(format!(
        "Metal denied reservation {}; delete it in Metal, or raise the project's quota, and the service is tried again",
        denied.id
    )))
}

fn given_by(reservation: &IpReservation, pool: &ElasticPool) -> Option<Given> {
    Some(Given {
        address: reservation.usable_address()?,
        cidr: reservation.cidr,
        source: AddressSource::Reservation,
        reservation: Some(reservation.id.clone()),
        pool: Some(pool.name.clone()),
        on_release: pool.on_release,
    })
}

fn reserve(facts: &ServiceFacts, pool: &ElasticPool, overrides: &Overrides, claims: &dyn Claims) -> AddressDecision {
    if let Some(max) = pool.max_addresses {
        let held = claims.held_by_others(&pool.name, &facts.service.key);
        if held >= usize::try_from(max).unwrap_or(usize::MAX) {
            return AddressDecision::Refuse(format!(
                "pool {} holds {held} of at most {max} addresses; raise maxAddresses or delete a service",
                pool.name
            ));
        }
    }
    let annotation = |key: &Option<String>| {
        key.as_ref().and_then(|key| facts.service.annotations.get(key)).filter(|value| !value.is_empty()).cloned()
    };
    let location = match &pool.kind {
        ReservationType::GlobalIpv4 => None,
        ReservationType::PublicIpv4
        | ReservationType::PublicIpv6
        | ReservationType::PrivateIpv4
        | ReservationType::Vrf
        | ReservationType::Other(_) => {
            let asked = annotation(&overrides.metro).map(Location::Metro);
            let asked = asked.or_else(|| annotation(&overrides.facility).map(Location::Facility));
            match asked.or_else(|| pool.location.clone()) {
                Some(location) => Some(location),
                None => {
                    return AddressDecision::Refuse(format!(
                        "no metro is known for an address of pool {}; set metro in the pool, METAL_METRO_NAME for the controller, or an annotation of the service that its rule allows",
                        pool.name
                    ));
                }
            }
        }
    };
    let tags = facts.tags.all().into_iter().map(str::to_owned).chain(pool.tags.iter().cloned()).collect();
    AddressDecision::Reserve(ReservationRequest {
        kind: pool.kind.clone(),
        location,
        tags,
        details: DETAILS.to_owned(),
    })
}

fn take(facts: &ServiceFacts, pool: &StaticPool, claims: &dyn Claims) -> AddressDecision {
    let key = &facts.service.key;
    let set_aside = claims.set_aside(key).filter(|address| pool.holds(*address));
    let free = |address: &IpAddr| claims.other_holder(*address, key).is_none();
    match set_aside.into_iter().chain(pool.addresses()).find(free) {
        Some(address) => AddressDecision::Have(Given {
            address,
            cidr: host_prefix(address),
            source: AddressSource::Static,
            reservation: None,
            pool: Some(pool.name.clone()),
            on_release: OnRelease::Delete,
        }),
        None => AddressDecision::Refuse(format!(
            "every address of pool {} is in use; add a range to the pool or delete a service",
            pool.name
        )),
    }
}
