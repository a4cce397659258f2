//! Where the address of a Service comes from.

mod choose;

pub use choose::{AddressDecision, Given, choose};

use std::net::IpAddr;

use crate::domain::address::AddressRange;
use crate::domain::record::OnRelease;
use crate::domain::reservation::{Location, ReservationType};

/// A pool of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pool {
    /// Addresses are reserved in Metal, one for each Service.
    Elastic(ElasticPool),
    /// Addresses are taken from ranges that are routed here already.
    Static(StaticPool),
}

/// A pool that reserves on demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElasticPool {
    /// Its name in the policy.
    pub name: String,
    /// What kind of address is reserved.
    pub kind: ReservationType,
    /// Where; `None` for global addresses, or when neither the pool nor the controller names a place.
    pub location: Option<Location>,
    /// Tags added to those that mark ownership.
    pub tags: Vec<String>,
    /// How many addresses the pool may hold at most.
    pub max_addresses: Option<u32>,
    /// What becomes of an address when its Service goes.
    pub on_release: OnRelease,
}

/// A pool of ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPool {
    /// Its name in the policy.
    pub name: String,
    /// The ranges, in the order in which they are used up.
    pub ranges: Vec<AddressRange>,
    /// Addresses never given out.
    pub exclude: Vec<AddressRange>,
}

impl Pool {
    /// Its name in the policy.
    pub fn name(&self) -> &str {
        match self {
            Self::Elastic(pool) => &pool.name,
            Self::Static(pool) => &pool.name,
        }
    }
}

impl StaticPool {
    /// Whether the pool may give out this address.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|r| r.contains(address)) && !self.exclude.iter().any(|r| r.contains(address))
    }

    /// The addresses in the order in which they are given out.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ranges.iter().flat_map(AddressRange::iter).filter(|a| !self.exclude.iter().any(|r| r.contains(*a)))
    }
}
