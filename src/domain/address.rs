//! Ranges of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::IpFamily;

/// An inclusive range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// A range from `first` to `last`, both included; `None` when they differ in family or are the wrong way round.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (IpFamily::of(first) == IpFamily::of(last) && first <= last).then_some(Self { first, last })
    }

    /// Every address of a network, its first and last included: a routed block has no broadcast address.
    pub fn of_network(network: IpNet) -> Self {
        Self { first: network.network(), last: network.broadcast() }
    }

    /// Lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Family of the addresses.
    pub fn family(&self) -> IpFamily {
        IpFamily::of(self.first)
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        IpFamily::of(address) == self.family() && self.first <= address && address <= self.last
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first <= other.last && other.first <= self.last
    }

    /// The addresses from lowest to highest.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        let (first, last, family) = (bits(self.first), bits(self.last), self.family());
        (first..=last).map(move |bits| match family {
            IpFamily::V4 => {
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).expect("an IPv4 range stays in 32 bits")))
            }
            IpFamily::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The prefix length of a single address.
pub fn host_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("a test address")
    }

    #[test]
    fn a_range_knows_its_addresses() {
        let range = AddressRange::new(ip("10.0.0.254"), ip("10.0.1.1")).expect("ordered");
        assert_eq!(
            range.iter().map(|a| a.to_string()).collect::<Vec<_>>(),
            ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]
        );
        assert!(range.contains(ip("10.0.1.0")) && !range.contains(ip("10.0.1.2")) && !range.contains(ip("::1")));
        assert!(range.overlaps(&AddressRange::of_network("10.0.1.0/24".parse().expect("a network"))));
        assert_eq!(AddressRange::new(ip("10.0.0.2"), ip("10.0.0.1")), None);
        assert_eq!(AddressRange::new(ip("10.0.0.2"), ip("::1")), None);
    }
}
