//! Reads networks, ranges and addresses, and says what is wrong with those that are none.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::address::AddressRange;
use crate::policy::words::quote;

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressFault {
    pub expected: String,
    pub found: String,
    pub suggestion: Option<String>,
}

const EXPECTED: &str = "a network (203.0.113.16/28), a range (203.0.113.40-203.0.113.50) or an address";

/// Reads a network, a range or a single address.
pub(super) fn range(text: &str) -> Result<AddressRange, AddressFault> {
    let range = match (text.split_once('/'), text.split_once('-')) {
        (Some(_), _) => network(text)?,
        (None, Some((first, last))) => span(text, first.trim(), last.trim())?,
        (None, None) => text
            .parse()
            .ok()
            .and_then(|address| AddressRange::new(address, address))
            .ok_or_else(|| fault(EXPECTED, quote(text), None))?,
    };
    match [range.first(), range.last()].into_iter().find_map(unusable) {
        None => Ok(range),
        Some(reason) => Err(fault(
            "addresses that can be given to a Service",
            format!("{}, which holds {reason}", quote(text)),
            None,
        )),
    }
}

fn network(text: &str) -> Result<AddressRange, AddressFault> {
    let Ok(network) = text.parse::<IpNet>() else {
        let found = match text.split_once('/') {
            Some((address, prefix)) if address.parse::<IpAddr>().is_ok() => {
                format!("the prefix length {}", quote(prefix))
            }
            _ => quote(text),
        };
        return Err(fault(EXPECTED, found, None));
    };
    match network.trunc() {
        exact if exact == network => Ok(AddressRange::of_network(network)),
        exact => Err(fault(
            "the first address of the network before the /",
            format!("{}, an address inside of it", quote(text)),
            Some(exact.to_string()),
        )),
    }
}

fn span(text: &str, first: &str, last: &str) -> Result<AddressRange, AddressFault> {
    let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>()) else {
        return Err(fault(EXPECTED, quote(text), None));
    };
    AddressRange::new(first, last).ok_or_else(|| match first.is_ipv4() == last.is_ipv4() {
        true => fault("the lower address before the higher one", quote(text), Some(format!("{last}-{first}"))),
        false => fault("two addresses of one family", quote(text), None),
    })
}

fn fault(expected: &str, found: String, suggestion: Option<String>) -> AddressFault {
    AddressFault { expected: expected.to_owned(), found, suggestion }
}

fn unusable(address: IpAddr) -> Option<&'static str> {
    let this_network = matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 0);
    let reserved = matches!(address, IpAddr::V4(v4) if v4.octets()[0] >= 240);
    if address.is_unspecified() || this_network {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("loopback addresses")
    } else if address.is_multicast() {
        Some("multicast addresses")
    } else if reserved {
        Some("reserved addresses")
    } else {
        None
    }
}

/// Whether every address of a range lies in one of the others.
pub(super) fn covered(range: &AddressRange, others: &[AddressRange]) -> bool {
    let mut others: Vec<&AddressRange> = others.iter().filter(|other| other.overlaps(range)).collect();
    others.sort_by_key(|other| other.first());
    let mut next = Some(range.first());
    for other in others {
        match next {
            Some(address) if other.first() <= address => {
                if other.last() >= address {
                    next = after(other.last());
                }
            }
            Some(_) | None => break,
        }
    }
    next.is_none_or(|address| address > range.last())
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn networks_ranges_and_addresses_are_read() {
        let cases = [
            ("203.0.113.16/28", "203.0.113.16-203.0.113.31"),
            ("203.0.113.40-203.0.113.50", "203.0.113.40-203.0.113.50"),
            ("203.0.113.40 - 203.0.113.50", "203.0.113.40-203.0.113.50"),
            ("203.0.113.60", "203.0.113.60-203.0.113.60"),
            ("2001:db8::/126", "2001:db8::-2001:db8::3"),
        ];
        for (text, expected) in cases {
            assert_eq!(range(text).map(|range| range.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_named_and_mended_where_possible() {
        let cases = [
            ("host bits", "203.0.113.17/28", Some("203.0.113.16/28")),
            ("wrong way round", "203.0.113.50-203.0.113.40", Some("203.0.113.40-203.0.113.50")),
            ("two families", "203.0.113.50-::1", None),
            ("long prefix", "203.0.113.16/33", None),
            ("no address", "office", None),
            ("everything", "0.0.0.0/0", None),
            ("multicast", "224.0.0.0/24", None),
        ];
        for (name, text, suggestion) in cases {
            assert_eq!(range(text).map_err(|fault| fault.suggestion), Err(suggestion.map(str::to_owned)), "{name}");
        }
    }

    #[test]
    fn a_range_is_covered_by_several_others_together() {
        let read = |text: &str| range(text).expect(text);
        let whole = read("10.0.0.0/30");
        assert!(covered(&whole, &[read("10.0.0.2-10.0.0.9"), read("10.0.0.0-10.0.0.1")]));
        assert!(!covered(&whole, &[read("10.0.0.2-10.0.0.9"), read("10.0.0.0")]));
        assert!(!covered(&whole, &[]));
    }
}
