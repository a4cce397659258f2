//! The vendor's address space: where every block of the project is cut from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::space::Space;
use crate::sandbox::metal::catalog::{Metro, all_metros};

/// A kind of address space; all but the global one belong to a metro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pool {
    /// Public IPv4 that a project reserves.
    Elastic(u8),
    /// Public IPv4 that comes with a device.
    Management(u8),
    /// Private IPv4 of a project.
    Private(u8),
    /// IPv6 of a project.
    Ipv6(u8),
    /// Public IPv4 announced everywhere.
    Global,
}

/// Free and taken space of every pool.
#[derive(Debug)]
pub(crate) struct Ledger {
    pools: BTreeMap<Pool, Space>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let mut pools = BTreeMap::from([(Pool::Global, Space::new(v4([147, 28, 184, 0], 21)))]);
        for Metro { index, .. } in all_metros() {
            let (sixteen, within) = (usize::from(index / 16), (index % 16) * 16);
            let (elastic, management) = [([147, 75], [139, 178]), ([145, 40], [136, 144])][sixteen];
            pools.insert(Pool::Elastic(index), Space::new(v4([elastic[0], elastic[1], within, 0], 20)));
            pools.insert(Pool::Management(index), Space::new(v4([management[0], management[1], within, 0], 20)));
            pools.insert(Pool::Private(index), Space::new(v4([10, 64 + index, 0, 0], 16)));
            let six = Ipv6Addr::new(0x2604, 0x1380, 0x4600 + u16::from(index), 0, 0, 0, 0, 0);
            pools.insert(Pool::Ipv6(index), Space::new(IpNet::V6(Ipv6Net::new_assert(six, 48))));
        }
        Self { pools }
    }

    pub(crate) fn allocate(&mut self, pool: Pool, prefix: u8) -> Option<IpNet> {
        self.pools.get_mut(&pool)?.allocate(prefix)
    }

    /// Keeps a block that was chosen by name from being handed out. A block outside every pool is never handed out
    /// anyway; false when any part of it is in use.
    pub(crate) fn take(&mut self, block: IpNet) -> bool {
        self.pools.values_mut().find(|space| space.contains(block)).is_none_or(|space| space.take(block))
    }

    pub(crate) fn give_back(&mut self, block: IpNet) {
        for space in self.pools.values_mut() {
            space.give_back(block);
        }
    }
}

fn v4(octets: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(octets), prefix))
}

/// The n-th address of a block.
pub(crate) fn nth(net: IpNet, n: u32) -> IpAddr {
    match net.network() {
        IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(first).wrapping_add(n))),
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(u128::from(first).wrapping_add(u128::from(n)))),
    }
}
