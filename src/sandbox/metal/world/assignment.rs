//! Assignments: addresses that point at a device.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::device::Networking;
use super::ledger::nth;
use super::reservation::{ReservationKind, ReservationState};
use super::{Due, Refusal, World, clock::later};

const TAKEN: &str = "Address has already been taken";

/// An address of a reservation that points at a device.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) reservation: String,
    pub(crate) net: IpNet,
    pub(crate) address: IpAddr,
    pub(crate) public: bool,
    pub(crate) global: bool,
    pub(crate) role: Role,
    pub(crate) tags: Vec<String>,
    pub(crate) details: Option<String>,
    pub(crate) customdata: Value,
    pub(crate) created_at: Timestamp,
}

/// What an assignment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The device's own address, given with the device.
    Management,
    /// An address of the project that was pointed at the device.
    Elastic,
}

impl World {
    /// Points an address at a device.
    pub(crate) fn assign(&mut self, device: &str, piece: IpNet, customdata: Option<Value>) -> Result<String, Refusal> {
        let metro = self.device(device)?.metro;
        let unknown = || Refusal::unprocessable("Address is not within a reservation of this project");
        let id = self.holders.holder_of(piece).ok_or_else(unknown)?.to_owned();
        let reservation = self.reservations.get_mut(&id).ok_or_else(unknown)?;
        if reservation.state != ReservationState::Created {
            return Err(unknown());
        }
        if reservation.metro.is_some_and(|home| home.code != metro.code) {
            return Err(Refusal::unprocessable("Facility can't be blank"));
        }
        if !reservation.space.as_mut().is_some_and(|space| space.take(piece)) {
            return Err(Refusal::unprocessable(TAKEN));
        }
        let assignment = self.insert_assignment(device, &id, piece, Role::Elastic);
        if let (Some(customdata), Some(row)) = (customdata, self.assignments.get_mut(&assignment)) {
            row.customdata = customdata;
        }
        Ok(assignment)
    }

    /// Takes an address from its device; the network needs a while to notice.
    pub(crate) fn unassign(&mut self, id: &str) -> Result<(), Refusal> {
        let assignment = self.assignments.get(id).ok_or(Refusal::NotFound)?;
        match assignment.role {
            Role::Management => Err(Refusal::forbidden("You are not authorized to delete this ip address")),
            Role::Elastic => {
                self.drop_assignment(id);
                Ok(())
            }
        }
    }

    /// Frees what a device held that no longer exists.
    pub(super) fn unassign_from_gone_device(&mut self, id: &str) {
        let Some(assignment) = self.assignments.get(id) else {
            return;
        };
        let (reservation, role) = (assignment.reservation.clone(), assignment.role);
        self.drop_assignment(id);
        let own = self
            .reservations
            .get(&reservation)
            .is_some_and(|held| held.origin == super::reservation::Origin::DeviceBlock);
        if role == Role::Management && own {
            self.forget_reservation(&reservation);
        }
    }

    pub(super) fn address_drained(&mut self, reservation: &str, net: IpNet) {
        if let Some(space) = self.reservations.get_mut(reservation).and_then(|held| held.space.as_mut()) {
            space.give_back(net);
        }
    }

    /// Gives a new device the addresses it is managed by.
    pub(super) fn give_management_addresses(&mut self, device: &str) -> Result<(), Refusal> {
        let (metro, network) = {
            let device = self.device(device)?;
            (device.metro, device.network)
        };
        let full = Refusal::unprocessable("The specified project contains insufficient private space");
        if network == Networking::Layer3 {
            let (block, piece) = self.device_block(metro)?;
            self.insert_assignment(device, &block, piece, Role::Management);
            let (block, piece) =
                self.project_block(&ReservationKind::PublicIpv6, metro, 127).ok_or_else(|| full.clone())?;
            self.insert_assignment(device, &block, piece, Role::Management);
        }
        if network != Networking::Layer2 {
            let (block, piece) = self.project_block(&ReservationKind::PrivateIpv4, metro, 31).ok_or(full)?;
            self.insert_assignment(device, &block, piece, Role::Management);
        }
        Ok(())
    }

    fn insert_assignment(&mut self, device: &str, reservation: &str, net: IpNet, role: Role) -> String {
        let kind = self.reservations.get(reservation).map(|held| held.kind.clone());
        let id = self.identities.next(match role {
            Role::Management => "management-address",
            Role::Elastic => "assignment",
        });
        let assignment = Assignment {
            id: id.clone(),
            device: device.to_owned(),
            reservation: reservation.to_owned(),
            net,
            address: match role {
                Role::Management => nth(net, 1),
                Role::Elastic => net.network(),
            },
            public: kind != Some(ReservationKind::PrivateIpv4),
            global: kind == Some(ReservationKind::GlobalIpv4),
            role,
            tags: Vec::new(),
            details: None,
            customdata: json!({}),
            created_at: self.now,
        };
        self.assignments.insert(&id, assignment, self.listed_from());
        if let Some(device) = self.devices.get_mut(device) {
            device.assignments.push(id.clone());
        }
        if let Some(reservation) = self.reservations.get_mut(reservation) {
            reservation.assignments.push(id.clone());
        }
        id
    }

    fn drop_assignment(&mut self, id: &str) {
        let until = self.listed_until();
        let Some(assignment) = self.assignments.remove(id, until) else {
            return;
        };
        let due = Due::AddressDrained { reservation: assignment.reservation.clone(), net: assignment.net };
        self.schedule(later(self.now, self.config.drain_delay), due);
    }
}
