//! Reservations: blocks of addresses that belong to the project.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ledger::Pool;
use super::space::Space;
use super::{Due, Refusal, World, clock::later};
use crate::sandbox::metal::catalog::Metro;
use crate::sandbox::metal::config::{ApprovalRequired, Decision};

const NO_SPACE: &str = "The specified project contains insufficient public IPv4 space to complete the request. \
                        Please e-mail support@equinixmetal.com.";

/// A block of addresses that belongs to the project.
#[derive(Debug, Clone)]
pub(crate) struct Reservation {
    pub(crate) id: String,
    pub(crate) kind: ReservationKind,
    pub(crate) state: ReservationState,
    /// Absent until it is created.
    pub(crate) block: Option<IpNet>,
    pub(crate) quantity: u32,
    pub(crate) metro: Option<Metro>,
    pub(crate) facility: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) details: Option<String>,
    pub(crate) customdata: Value,
    pub(crate) origin: Origin,
    pub(crate) assignments: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) vrf: Option<String>,
    pub(super) space: Option<Space>,
}

/// A reservation's type, in the API's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationKind {
    /// Public IPv4 of one metro.
    PublicIpv4,
    /// Private IPv4 of one metro.
    PrivateIpv4,
    /// IPv6 of one metro.
    PublicIpv6,
    /// Public IPv4 announced everywhere.
    GlobalIpv4,
    /// A range of a VRF.
    Vrf,
    /// A word the documentation does not know.
    Other(String),
}

impl fmt::Display for ReservationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicIpv4 => "public_ipv4",
            Self::PrivateIpv4 => "private_ipv4",
            Self::PublicIpv6 => "public_ipv6",
            Self::GlobalIpv4 => "global_ipv4",
            Self::Vrf => "vrf",
            Self::Other(word) => word,
        })
    }
}

/// A reservation's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    /// Waiting for a human; it has no address.
    Pending,
    /// Usable.
    Created,
    /// Refused by a human.
    Denied,
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Created => "created",
            Self::Denied => "denied",
        })
    }
}

/// How a block came into the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was asked for.
    Requested,
    /// It came with the first device of a metro, and is listed.
    ProjectBlock,
    /// It came with one device, and no list shows it.
    DeviceBlock,
}

/// What a new reservation shall be.
#[derive(Debug, Clone)]
pub(crate) struct ReservationOrder {
    pub(crate) kind: ReservationKind,
    pub(crate) quantity: u32,
    /// The block itself, where it is not the API's choice.
    pub(crate) block: Option<IpNet>,
    pub(crate) metro: Option<Metro>,
    pub(crate) facility: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) details: Option<String>,
    pub(crate) customdata: Option<Value>,
    pub(crate) vrf: Option<String>,
    pub(crate) on_approval: OnApproval,
}

/// What the caller wants if a human must agree first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnApproval {
    Wait,
    Fail,
}

impl ReservationOrder {
    /// One address of this kind, with nothing else said.
    pub(crate) fn of(kind: ReservationKind, metro: Option<Metro>) -> Self {
        Self {
            kind,
            quantity: 1,
            block: None,
            metro,
            facility: None,
            tags: Vec::new(),
            details: None,
            customdata: None,
            vrf: None,
            on_approval: OnApproval::Wait,
        }
    }
}

impl Reservation {
    /// Its free pieces of this size, lowest first; none of a size that does not fit.
    pub(crate) fn available(&self, prefix: u8, limit: usize) -> Vec<IpNet> {
        let fits = |block: &IpNet| (block.prefix_len()..=block.max_prefix_len()).contains(&prefix);
        match (&self.space, self.block.filter(fits)) {
            (Some(space), Some(_)) => space.available(prefix, limit),
            _ => Vec::new(),
        }
    }
}

impl World {
    /// Reserves a block, or files the wish for one.
    pub(crate) fn reserve(&mut self, order: ReservationOrder) -> Result<String, Refusal> {
        let granted = self.grantable(&order);
        let block = match (granted, order.block) {
            (Grant::Now, Some(block)) => Some(self.take_named_block(&order.kind, block)?),
            (Grant::Now, None) => self.cut_block(&order.kind, order.quantity, order.metro),
            (Grant::NeedsApproval, _) => None,
        };
        if block.is_none() && order.on_approval == OnApproval::Fail {
            return Err(Refusal::unprocessable(NO_SPACE));
        }
        let id = self.insert_reservation(order, block, Origin::Requested);
        let approval = self.config.approval;
        if block.is_none() && approval.decision != Decision::Hold {
            let due = Due::Decision { reservation: id.clone(), decision: approval.decision };
            self.schedule(later(self.now, approval.after), due);
        }
        Ok(id)
    }

    /// Makes a reservation without asking anybody.
    pub(crate) fn seed_reservation(&mut self, order: ReservationOrder) -> Result<String, Refusal> {
        let block = match order.block {
            Some(block) => self.take_named_block(&order.kind, block.trunc())?,
            None => self
                .cut_block(&order.kind, order.quantity, order.metro)
                .ok_or_else(|| Refusal::unprocessable(NO_SPACE))?,
        };
        Ok(self.insert_reservation(order, Some(block), Origin::Requested))
    }

    /// The VRF of a metro, made if there is none.
    pub(crate) fn vrf_in(&mut self, metro: &str) -> String {
        let id = self.identities.of("vrf", metro);
        self.vrfs.insert(id.clone(), metro.to_owned());
        id
    }

    /// Ends a pending reservation's wait.
    pub(crate) fn decide(&mut self, id: &str, decision: Decision) {
        let Some(pending) = self.reservations.get(id).filter(|r| r.state == ReservationState::Pending) else {
            return;
        };
        let (kind, quantity, metro) = (pending.kind.clone(), pending.quantity, pending.metro);
        let (state, block) = match decision {
            Decision::Hold => return,
            Decision::Deny => (ReservationState::Denied, None),
            Decision::Approve => match self.cut_block(&kind, quantity, metro) {
                Some(block) => (ReservationState::Created, Some(block)),
                None => (ReservationState::Denied, None),
            },
        };
        if let Some(reservation) = self.reservations.get_mut(id) {
            reservation.state = state;
            reservation.block = block;
            reservation.space = block.map(Space::new);
        }
        self.record_grant(id);
    }

    /// Frees a block for good, with its assignments.
    pub(crate) fn release(&mut self, id: &str) -> Result<(), Refusal> {
        let reservation = self.reservations.get(id).ok_or(Refusal::NotFound)?;
        if reservation.origin != Origin::Requested {
            return Err(Refusal::forbidden("You are not authorized to delete this ip address"));
        }
        self.forget_reservation(id);
        Ok(())
    }

    pub(super) fn forget_reservation(&mut self, id: &str) {
        let until = self.listed_until();
        let Some(reservation) = self.reservations.remove(id, until) else {
            return;
        };
        let (block, kind, quantity) = (reservation.block, reservation.kind.clone(), reservation.quantity);
        let (assignments, origin) = (reservation.assignments.clone(), reservation.origin);
        for assignment in assignments {
            if self.assignments.remove(&assignment, until).is_some() && origin == Origin::Requested {
                self.released_while_assigned.push(id.to_owned());
            }
        }
        let Some(block) = block else { return };
        if kind == ReservationKind::PublicIpv4 && origin == Origin::Requested {
            self.public_in_use = self.public_in_use.saturating_sub(quantity);
        }
        self.holders.withdraw(id, block);
        self.schedule(later(self.now, self.config.drain_delay), Due::BlockReturned { block });
    }

    /// The private or IPv6 block of a metro with room for a piece of this size, made if there is none.
    pub(super) fn project_block(
        &mut self,
        kind: &ReservationKind,
        metro: Metro,
        prefix: u8,
    ) -> Option<(String, IpNet)> {
        let known = (kind.to_string(), metro.index);
        for id in self.project_blocks.get(&known).cloned().unwrap_or_default() {
            let space = self.reservations.get_mut(&id).and_then(|block| block.space.as_mut());
            if let Some(piece) = space.and_then(|space| space.allocate(prefix)) {
                return Some((id, piece));
            }
        }
        let block = self.cut_block(kind, 0, Some(metro))?;
        let order = ReservationOrder::of(kind.clone(), Some(metro));
        let id = self.insert_reservation(order, Some(block), Origin::ProjectBlock);
        self.project_blocks.entry(known).or_default().push(id.clone());
        let piece = self.reservations.get_mut(&id)?.space.as_mut()?.allocate(prefix)?;
        Some((id, piece))
    }

    /// The /31 that only one device uses.
    pub(super) fn device_block(&mut self, metro: Metro) -> Result<(String, IpNet), Refusal> {
        let block =
            self.ledger.allocate(Pool::Management(metro.index), 31).ok_or_else(|| Refusal::unprocessable(NO_SPACE))?;
        let order = ReservationOrder { quantity: 2, ..ReservationOrder::of(ReservationKind::PublicIpv4, Some(metro)) };
        let id = self.insert_reservation(order, Some(block), Origin::DeviceBlock);
        if let Some(space) = self.reservations.get_mut(&id).and_then(|reservation| reservation.space.as_mut()) {
            let taken = space.take(block);
            debug_assert!(taken, "a new block is free");
        }
        Ok((id, block))
    }

    fn insert_reservation(&mut self, order: ReservationOrder, block: Option<IpNet>, origin: Origin) -> String {
        let id = self.identities.next(match origin {
            Origin::Requested => "reservation",
            Origin::ProjectBlock => "project-block",
            Origin::DeviceBlock => "device-block",
        });
        let reservation = Reservation {
            id: id.clone(),
            state: if block.is_some() { ReservationState::Created } else { ReservationState::Pending },
            kind: order.kind,
            block,
            quantity: block.map_or(order.quantity, addresses),
            metro: order.metro,
            facility: order.facility,
            tags: order.tags,
            details: order.details,
            customdata: order.customdata.unwrap_or_else(|| json!({})),
            origin,
            assignments: Vec::new(),
            created_at: self.now,
            vrf: order.vrf,
            space: block.map(Space::new),
        };
        self.reservations.insert(&id, reservation, self.listed_from());
        self.record_grant(&id);
        id
    }

    fn record_grant(&mut self, id: &str) {
        let Some(reservation) = self.reservations.get(id) else {
            return;
        };
        let Some(block) = reservation.block else { return };
        if reservation.kind == ReservationKind::PublicIpv4 && reservation.origin == Origin::Requested {
            self.public_in_use = self.public_in_use.saturating_add(reservation.quantity);
        }
        if reservation.kind != ReservationKind::Vrf {
            self.holders.grant(id, block);
        }
    }

    fn grantable(&self, order: &ReservationOrder) -> Grant {
        let public = matches!(order.kind, ReservationKind::PublicIpv4 | ReservationKind::GlobalIpv4);
        let over = order.kind == ReservationKind::PublicIpv4
            && self.public_in_use.saturating_add(order.quantity) > self.config.quota;
        let always = self.config.approval.required == ApprovalRequired::Always && public;
        if over || always { Grant::NeedsApproval } else { Grant::Now }
    }

    fn take_named_block(&mut self, kind: &ReservationKind, block: IpNet) -> Result<IpNet, Refusal> {
        let shared = *kind == ReservationKind::Vrf;
        if !shared && (self.holders.overlaps(block) || !self.ledger.take(block)) {
            return Err(Refusal::unprocessable("Address has already been taken"));
        }
        Ok(block)
    }

    fn cut_block(&mut self, kind: &ReservationKind, quantity: u32, metro: Option<Metro>) -> Option<IpNet> {
        let v4_prefix = 32 - u8::try_from(quantity.max(1).ilog2()).unwrap_or(0);
        let index = metro.map(|metro| metro.index);
        let (pool, prefix) = match kind {
            ReservationKind::PublicIpv4 => (Pool::Elastic(index?), v4_prefix),
            ReservationKind::GlobalIpv4 => (Pool::Global, v4_prefix),
            ReservationKind::PrivateIpv4 => (Pool::Private(index?), 25),
            ReservationKind::PublicIpv6 => (Pool::Ipv6(index?), 56),
            ReservationKind::Vrf | ReservationKind::Other(_) => return None,
        };
        self.ledger.allocate(pool, prefix)
    }
}

/// How many addresses a block of IPv4 has, which is what the quota counts.
fn addresses(block: IpNet) -> u32 {
    match block {
        IpNet::V4(block) => 1_u32.checked_shl(32 - u32::from(block.prefix_len())).unwrap_or(u32::MAX),
        IpNet::V6(_) => 0,
    }
}

#[derive(Debug, Clone, Copy)]
enum Grant {
    Now,
    NeedsApproval,
}
