//! An IP reservation: a block of addresses the project holds and pays for.

use std::fmt;
use std::net::IpAddr;

use super::DeviceId;

/// The id of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReservationId(String);

impl ReservationId {
    /// Wraps an id as the API gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of block it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are Metal's own")]
pub enum ReservationType {
    PublicIpv4,
    PublicIpv6,
    PrivateIpv4,
    GlobalIpv4,
    Vrf,
    /// A type this program does not know; never used, never released.
    Other(String),
}

impl ReservationType {
    /// Reads the wire's word; never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "public_ipv4" => Self::PublicIpv4,
            "public_ipv6" => Self::PublicIpv6,
            "private_ipv4" => Self::PrivateIpv4,
            "global_ipv4" => Self::GlobalIpv4,
            "vrf" => Self::Vrf,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The wire's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::PublicIpv4 => "public_ipv4",
            Self::PublicIpv6 => "public_ipv6",
            Self::PrivateIpv4 => "private_ipv4",
            Self::GlobalIpv4 => "global_ipv4",
            Self::Vrf => "vrf",
            Self::Other(word) => word,
        }
    }
}

/// Whether a reservation can be used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Metal's own")]
pub enum ReservationState {
    Created,
    Pending,
    Denied,
    Other(String),
}

impl ReservationState {
    /// Reads the wire's word; never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "pending" => Self::Pending,
            "denied" => Self::Denied,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A reservation as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpReservation {
    /// Its id.
    pub id: ReservationId,
    /// Its kind.
    pub kind: ReservationType,
    /// Whether it can be used.
    pub state: ReservationState,
    /// First address; absent while Metal has not chosen one.
    pub address: Option<IpAddr>,
    /// Network address of the block.
    pub network: Option<IpAddr>,
    /// Prefix length of the block.
    pub cidr: u8,
    /// All tags, ours and others'.
    pub tags: Vec<String>,
    /// Metro code, lower case.
    pub metro: Option<String>,
    /// Facility code, lower case.
    pub facility: Option<String>,
    /// Devices that hold an address of it, where the listing was expanded.
    pub assigned_to: Vec<DeviceId>,
    /// RFC 3339, whole seconds; the older of two twins is kept.
    pub created_at: Option<String>,
}

impl IpReservation {
    /// The address to hand out, once there is one: reserved, decided and not the unspecified address.
    pub fn usable_address(&self) -> Option<IpAddr> {
        match self.state {
            ReservationState::Created | ReservationState::Other(_) => self.address.filter(|a| !a.is_unspecified()),
            ReservationState::Pending | ReservationState::Denied => None,
        }
    }

    /// Whether every given tag is on it; more tags do no harm, order does not matter.
    pub fn has_tags<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> bool {
        tags.into_iter().all(|wanted| self.tags.iter().any(|tag| tag == wanted))
    }
}

/// What to ask Metal for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationRequest {
    /// The kind of address.
    pub kind: ReservationType,
    /// Where; `None` for global addresses only.
    pub location: Option<Location>,
    /// All tags, ownership first.
    pub tags: Vec<String>,
    /// Text shown in Metal's console.
    pub details: String,
}

/// Where an address is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A metro code.
    Metro(String),
    /// A facility code.
    Facility(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metro(code) => write!(f, "metro {code}"),
            Self::Facility(code) => write!(f, "facility {code}"),
        }
    }
}
