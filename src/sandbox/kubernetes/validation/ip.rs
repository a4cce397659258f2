//! IP addresses and CIDRs in fields that have always been checked loosely.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::sandbox::kubernetes::field_error::FieldError;

/// What is wrong with an address.
pub(crate) fn address(field: &str, text: &str) -> Option<FieldError> {
    let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    parse(text).is_none().then(|| FieldError::invalid(field, text, why))
}

/// What is wrong with a CIDR.
pub(crate) fn cidr(field: &str, text: &str) -> Option<FieldError> {
    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    text.parse::<IpNet>().is_err().then(|| FieldError::invalid(field, text, why))
}

/// What forbids an address as an external one.
pub(crate) fn special(field: &str, text: &str) -> Option<FieldError> {
    let why = match parse(text)? {
        ip if ip.is_unspecified() => "may not be unspecified (0.0.0.0)",
        ip if ip.is_loopback() => "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        IpAddr::V4(ip) if ip.is_link_local() => "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        }
        IpAddr::V4(ip) if ip.octets()[..3] == [224, 0, 0] => {
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        }
        IpAddr::V6(ip) if ip.segments()[0] & 0xff0f == 0xff02 => {
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        }
        _ => return None,
    };
    Some(FieldError::invalid(field, text, why))
}

/// An address; leading zeros in IPv4 are read as decimal, as these fields always have.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        let parts: Vec<u8> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        <[u8; 4]>::try_from(parts).ok().map(IpAddr::from)
    })
}

/// Whether the text is an IPv6 address.
pub(crate) fn is_v6(text: &str) -> bool {
    parse(text).is_some_and(|ip| ip.is_ipv6())
}
