//! Cluster addresses and node ports: given out once each.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use rand::RngExt;
use serde_json::{Value, json};

use super::api::IpFamily;
use super::object;
use super::service;
use super::validation::ip;

const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// What is given out.
#[derive(Debug)]
pub(crate) struct Allocations {
    families: Vec<IpFamily>,
    addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

/// What a Service holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

/// Why nothing was given out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AllocationFault {
    /// Somebody has it.
    #[error("provided {what} is already allocated")]
    Taken { what: &'static str },
    /// It is none of the cluster's.
    #[error("{0}")]
    OutOfRange(String),
    /// Nothing is left.
    #[error("range is full")]
    Full,
}

impl Allocations {
    /// Nothing is given out yet.
    pub(crate) fn new(families: &[IpFamily]) -> Self {
        Self { families: families.to_vec(), addresses: BTreeSet::new(), ports: BTreeSet::new() }
    }

    /// The cluster's families, the primary first.
    pub(crate) fn families(&self) -> &[IpFamily] {
        &self.families
    }

    /// Gives out an address of that family: the one asked for, or any.
    ///
    /// # Errors
    /// When the one asked for is taken or none of the cluster's, or nothing is left.
    pub(crate) fn address(&mut self, family: IpFamily, asked: Option<IpAddr>) -> Result<IpAddr, AllocationFault> {
        if let Some(address) = asked {
            let range = match family {
                IpFamily::V4 => "10.96.0.0/16",
                IpFamily::V6 => "fd00:10:96::/112",
            };
            let fits = range.parse::<ipnet::IpNet>().is_ok_and(|net| net.contains(&address));
            if !fits {
                let why = "the provided network does not match the current range";
                return Err(AllocationFault::OutOfRange(why.to_owned()));
            }
            return match self.addresses.insert(address) {
                true => Ok(address),
                false => Err(AllocationFault::Taken { what: "IP" }),
            };
        }
        let mut random = rand::rng();
        for _ in 0..100_000 {
            let address = numbered(family, random.random_range(0x100..0xffff));
            if self.addresses.insert(address) {
                return Ok(address);
            }
        }
        Err(AllocationFault::Full)
    }

    /// Gives out a node port: the one asked for, or any.
    ///
    /// # Errors
    /// When the one asked for is taken or out of range, or nothing is left.
    pub(crate) fn port(&mut self, asked: Option<u16>) -> Result<u16, AllocationFault> {
        if let Some(port) = asked {
            return match (NODE_PORTS.contains(&port), self.ports.insert(port)) {
                (true, true) => Ok(port),
                (true, false) => Err(AllocationFault::Taken { what: "port" }),
                (false, _) => {
                    self.ports.remove(&port);
                    let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                    Err(AllocationFault::OutOfRange(why.to_owned()))
                }
            };
        }
        let mut random = rand::rng();
        let start = random.random_range(NODE_PORTS);
        let free =
            (start..=*NODE_PORTS.end()).chain(*NODE_PORTS.start()..start).find(|port| !self.ports.contains(port));
        let port = free.ok_or(AllocationFault::Full)?;
        self.ports.insert(port);
        Ok(port)
    }

    /// Takes back what `before` holds and `after` does not.
    pub(crate) fn release(&mut self, before: &Claims, after: &Claims) {
        for address in before.addresses.difference(&after.addresses) {
            self.addresses.remove(address);
        }
        for port in before.ports.difference(&after.ports) {
            self.ports.remove(port);
        }
    }
}

impl Claims {
    /// Just these.
    pub(crate) fn only(addresses: impl IntoIterator<Item = IpAddr>, ports: impl IntoIterator<Item = u16>) -> Self {
        Self { addresses: addresses.into_iter().collect(), ports: ports.into_iter().collect() }
    }

    /// Whether the address is among them.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether the port is among them.
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }

    /// What a Service holds.
    pub(crate) fn of(service: &Value) -> Self {
        let addresses = object::items(service, "spec.clusterIPs").iter().filter_map(Value::as_str);
        let ports = object::items(service, "spec.ports").iter().map(|port| &port["nodePort"]);
        let check = service::needs_health_check(service).then_some(&service["spec"]["healthCheckNodePort"]);
        let numbers = ports.chain(check).filter_map(Value::as_u64).filter_map(|port| u16::try_from(port).ok());
        Self {
            addresses: addresses.filter_map(ip::parse).collect(),
            ports: numbers.filter(|port| *port != 0).collect(),
        }
    }
}

impl IpFamily {
    /// The API's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Reads the API's word.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value.as_str() {
            Some("IPv4") => Some(Self::V4),
            Some("IPv6") => Some(Self::V6),
            Some(_) | None => None,
        }
    }

    /// The family of an address.
    pub(crate) fn of_address(address: &str) -> Self {
        if ip::is_v6(address) { Self::V6 } else { Self::V4 }
    }

    /// The one that is not this.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The API's word as JSON.
    pub(crate) fn json(self) -> Value {
        json!(self.as_str())
    }
}

fn numbered(family: IpFamily, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match family {
        IpFamily::V4 => IpAddr::from([10, 96, high, low]),
        IpFamily::V6 => IpAddr::from(Ipv6Addr::from([0xfd00, 0x10, 0x96, 0, 0, 0, 0, number])),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_is_given_out_is_given_once_and_comes_back() {
        let mut allocations = Allocations::new(&[IpFamily::V4]);
        let service =
            json!({"spec": {"type": "NodePort", "clusterIPs": ["10.96.0.9"], "ports": [{"nodePort": 30123}]}});
        let address: IpAddr = "10.96.0.9".parse().unwrap();
        assert_eq!(allocations.address(IpFamily::V4, Some(address)), Ok(address));
        assert_eq!(allocations.port(Some(30123)), Ok(30123));
        assert_eq!(allocations.address(IpFamily::V4, Some(address)), Err(AllocationFault::Taken { what: "IP" }));
        assert_eq!(allocations.port(Some(30123)), Err(AllocationFault::Taken { what: "port" }));
        assert!(matches!(allocations.port(Some(80)), Err(AllocationFault::OutOfRange(_))));
        allocations.release(&Claims::of(&service), &Claims::default());
        assert_eq!(allocations.address(IpFamily::V4, Some(address)), Ok(address));
        assert_eq!(allocations.port(Some(30123)), Ok(30123));
    }

    #[test]
    fn all_node_ports_can_be_given_out() {
        let mut allocations = Allocations::new(&[IpFamily::V4]);
        let given: BTreeSet<u16> = NODE_PORTS.map(|_| allocations.port(None).unwrap()).collect();
        assert_eq!(given.len(), 2768);
        assert_eq!(allocations.port(None), Err(AllocationFault::Full));
    }
}
