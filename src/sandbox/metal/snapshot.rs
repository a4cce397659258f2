//! What is in the project, as values to compare with.

use std::net::IpAddr;

use ipnet::IpNet;

use super::world::World;
use super::world::assignment::{Assignment, Role};
use super::world::device::{Device, DeviceState};
use super::world::reservation::{Reservation, ReservationKind, ReservationState};
use super::world::session::{AddressFamily, Session};

/// A device as it truly is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSnapshot {
    /// Its id.
    pub id: String,
    /// Its name.
    pub hostname: String,
    /// Its state.
    pub state: DeviceState,
    /// The code of its metro.
    pub metro: String,
    /// Its management addresses: public IPv4, IPv6, private IPv4, as far as it has them.
    pub management: Vec<IpAddr>,
    /// The addresses of the project that point at it.
    pub elastic: Vec<IpAddr>,
}

/// A reservation as it truly is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationSnapshot {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: ReservationKind,
    /// Its state.
    pub state: ReservationState,
    /// Its block; none while it is pending or was denied.
    pub block: Option<IpNet>,
    /// The code of its metro; none for a global one.
    pub metro: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its description.
    pub details: Option<String>,
    /// The devices that addresses of it point at.
    pub assigned_to: Vec<String>,
}

/// An elastic assignment as it truly is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentSnapshot {
    /// Its id.
    pub id: String,
    /// The addresses.
    pub net: IpNet,
    /// The device they point at.
    pub device: String,
    /// The reservation they are part of.
    pub reservation: String,
}

/// A BGP session as it truly is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// Its id.
    pub id: String,
    /// Its device.
    pub device: String,
    /// Its address family.
    pub family: AddressFamily,
    /// What the API believes of it.
    pub status: String,
}

impl DeviceSnapshot {
    pub(crate) fn of(device: &Device, world: &World) -> Self {
        let held = |role: Role| {
            let assignments = device.assignments.iter().filter_map(|id| world.assignments.get(id));
            assignments.filter(|assignment| assignment.role == role).map(|assignment| assignment.address).collect()
        };
        Self {
            id: device.id.clone(),
            hostname: device.hostname.clone(),
            state: device.state.clone(),
            metro: device.metro.code.to_owned(),
            management: held(Role::Management),
            elastic: held(Role::Elastic),
        }
    }
}

impl ReservationSnapshot {
    pub(crate) fn of(reservation: &Reservation, world: &World) -> Self {
        let assignments = reservation.assignments.iter().filter_map(|id| world.assignments.get(id));
        Self {
            id: reservation.id.clone(),
            kind: reservation.kind.clone(),
            state: reservation.state,
            block: reservation.block,
            metro: reservation.metro.map(|metro| metro.code.to_owned()),
            tags: reservation.tags.clone(),
            details: reservation.details.clone(),
            assigned_to: assignments.map(|assignment| assignment.device.clone()).collect(),
        }
    }
}

impl AssignmentSnapshot {
    pub(crate) fn of(assignment: &Assignment) -> Self {
        Self {
            id: assignment.id.clone(),
            net: assignment.net,
            device: assignment.device.clone(),
            reservation: assignment.reservation.clone(),
        }
    }
}

impl SessionSnapshot {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            id: session.id.clone(),
            device: session.device.clone(),
            family: session.family,
            status: session.status.clone(),
        }
    }
}
