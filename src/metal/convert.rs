//! From the wire to the domain.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use super::wire;
use crate::domain::{
    BgpConfig, BgpConfigStatus, BgpNeighbor, BgpSession, Device, DeviceAddress, DeviceId, DeviceState, IpFamily,
    IpReservation, ReservationId, ReservationState, ReservationType, Secret, SessionId,
};

/// Local BGP always has this AS number at Metal.
const LOCAL_ASN: u32 = 65000;

/// A device; `None` without an id.
pub(super) fn device(wire: wire::Device) -> Option<Device> {
    let id = DeviceId::new(wire.id.filter(|id| !id.is_empty())?);
    let metro = wire.metro.and_then(|metro| metro.code);
    let (facility, metro_of_facility) = place(wire.facility);
    let addresses = wire.ip_addresses.into_iter();
    let addresses = addresses.filter_map(|wire| device_address(&id, wire)).collect();
    Some(Device {
        hostname: wire.hostname.unwrap_or_default(),
        state: DeviceState::parse(&wire.state.unwrap_or_default()),
        tags: wire.tags,
        instance_type: wire.plan.and_then(|plan| plan.slug).filter(|slug| !slug.is_empty()),
        metro: code(metro).or(metro_of_facility),
        facility,
        addresses,
        id,
    })
}

/// A reservation; `None` without an id.
pub(super) fn reservation(wire: wire::Reservation) -> Option<IpReservation> {
    let id = ReservationId::new(wire.id.filter(|id| !id.is_empty())?);
    let metro = wire.metro.and_then(|metro| metro.code);
    let (facility, metro_of_facility) = place(wire.facility);
    let read = |text: Option<String>| {
        let text = text.filter(|text| !text.is_empty())?;
        let address = text.parse::<IpAddr>().ok();
        if address.is_none() {
            tracing::warn!(reservation = %id, "skipped an address of a reservation that is none");
        }
        address
    };
    let holders = wire.assignments.iter();
    let holders = holders.filter_map(|assignment| Some(DeviceId::new(assignment.assigned_to.as_ref()?.id()?)));
    Some(IpReservation {
        kind: ReservationType::parse(&wire.kind.unwrap_or_default()),
        state: ReservationState::parse(&wire.state.unwrap_or_default()),
        address: read(wire.address),
        network: read(wire.network),
        cidr: wire.cidr.unwrap_or_default(),
        tags: wire.tags.unwrap_or_default(),
        metro: code(metro).or(metro_of_facility),
        facility,
        assigned_to: holders.collect(),
        created_at: wire.created_at.map(whole_seconds),
        id,
    })
}

/// The configuration; `None` for a project that never enabled BGP.
pub(super) fn bgp_config(wire: &wire::BgpConfig) -> Option<BgpConfig> {
    wire.id.as_ref().filter(|id| !id.is_empty())?;
    Some(BgpConfig {
        status: BgpConfigStatus::parse(wire.status.as_deref().unwrap_or_default()),
        asn: wire.asn.unwrap_or(LOCAL_ASN),
        md5: wire.md5.as_ref().and_then(password),
        max_prefix: wire.max_prefix,
    })
}

/// A session; `None` for a mere reference to one, or for an address family that nobody knows.
pub(super) fn bgp_session(wire: &wire::BgpSession, device: Option<&DeviceId>) -> Option<BgpSession> {
    let named = wire.device.as_ref().and_then(|device| device.id()).map(DeviceId::new);
    Some(BgpSession {
        id: SessionId::new(wire.id.as_ref().filter(|id| !id.is_empty())?),
        device: named.or_else(|| device.cloned())?,
        family: match wire.address_family.as_deref()? {
            "ipv4" => IpFamily::V4,
            "ipv6" => IpFamily::V6,
            _ => return None,
        },
    })
}

/// Neighbours; one that lacks what BGP needs is skipped with a log line.
pub(super) fn bgp_neighbors(device: &DeviceId, wire: Vec<wire::BgpNeighbor>) -> Vec<BgpNeighbor> {
    let whole = wire.into_iter().filter_map(|wire| {
        let neighbor = bgp_neighbor(&wire);
        if neighbor.is_none() {
            tracing::warn!(%device, "skipped a BGP neighbour that lacks an address family, an AS number or an address");
        }
        neighbor
    });
    whole.collect()
}

fn bgp_neighbor(wire: &wire::BgpNeighbor) -> Option<BgpNeighbor> {
    Some(BgpNeighbor {
        family: match wire.address_family? {
            4 => IpFamily::V4,
            6 => IpFamily::V6,
            _ => return None,
        },
        customer_as: wire.customer_as?,
        customer_ip: wire.customer_ip.as_ref()?.parse().ok()?,
        peer_as: wire.peer_as?,
        peer_ips: wire.peer_ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
        md5_password: wire.md5_password.as_ref().and_then(password),
    })
}

fn device_address(device: &DeviceId, wire: wire::Address) -> Option<DeviceAddress> {
    let text = wire.address?;
    let Ok(address) = text.parse::<IpAddr>() else {
        tracing::warn!(%device, "skipped an address of a device that is none");
        return None;
    };
    let parent_block = wire.parent_block.and_then(|block| {
        let network = IpNet::new(block.network?.parse().ok()?, block.cidr?).ok()?;
        Some(network.trunc())
    });
    Some(DeviceAddress {
        address,
        cidr: wire.cidr.unwrap_or_else(|| crate::domain::address::host_prefix(address)),
        public: wire.public.unwrap_or_default(),
        management: wire.management.unwrap_or_default(),
        parent_block,
    })
}

/// Codes of a facility and of its metro.
fn place(facility: Option<wire::Facility>) -> (Option<String>, Option<String>) {
    let facility = facility.unwrap_or_default();
    (code(facility.code), code(facility.metro.and_then(|metro| metro.code)))
}

/// Codes come in both cases and mean the same.
fn code(code: Option<String>) -> Option<String> {
    code.filter(|code| !code.is_empty()).map(|code| code.to_ascii_lowercase())
}

fn password(password: &wire::Password) -> Option<Secret> {
    Some(password.0.clone()).filter(|password| !password.is_empty())
}

/// In UTC and without fractions, so that the texts sort as the times do.
fn whole_seconds(text: String) -> String {
    let parsed = text.parse::<Timestamp>().and_then(|time| Timestamp::from_second(time.as_second()));
    parsed.map(|time| time.to_string()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    fn read_device(json: Value) -> Option<Device> {
        device(serde_json::from_value(json).expect("every form of a field is read"))
    }

    fn read_reservation(json: Value) -> Option<IpReservation> {
        reservation(serde_json::from_value(json).expect("every form of a field is read"))
    }

    fn bare_device() -> Device {
        Device {
            id: DeviceId::new("d1"),
            hostname: String::new(),
            state: DeviceState::Other(String::new()),
            tags: Vec::new(),
            instance_type: None,
            metro: None,
            facility: None,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn inst_19_unknown_values_and_fields_do_no_harm() {
        let cases = [
            ("an id alone", json!({"id": "d1"}), bare_device()),
            (
                "nulls and empty objects",
                json!({"id": "d1", "hostname": null, "state": null, "tags": null, "plan": {}, "metro": {}, "facility": null,
                       "ip_addresses": null, "project": {}}),
                bare_device(),
            ),
            (
                "fields of another form",
                json!({"id": "d1", "hostname": 7, "tags": {"a": 1}, "plan": "c3", "metro": "da", "facility": 1,
                       "ip_addresses": {"href": "x"}, "brand_new": {"deep": [1, 2]}}),
                bare_device(),
            ),
            (
                "a state nobody knows",
                json!({"id": "d1", "state": "post_provisioning"}),
                Device { state: DeviceState::Other("post_provisioning".into()), ..bare_device() },
            ),
            (
                "one bad address among good ones",
                json!({"id": "d1", "ip_addresses": [
                    {"address": "nonsense"}, {"address": null}, "text", {"href": "/metal/v1/ips/a"},
                    {"address": "10.0.0.1", "cidr": "31"}]}),
                Device {
                    addresses: vec![DeviceAddress {
                        address: "10.0.0.1".parse().expect("an address"),
                        cidr: 32,
                        public: false,
                        management: false,
                        parent_block: None,
                    }],
                    ..bare_device()
                },
            ),
        ];
        for (name, json, expected) in cases {
            assert_eq!(read_device(json), Some(expected), "{name}");
        }
        assert_eq!(read_device(json!({"hostname": "no id"})), None);
    }

    #[test]
    fn a_device_is_read_in_full() {
        let read = read_device(json!({
            "id": "d1", "hostname": "node-1", "state": "active", "tags": ["k8s"], "plan": {"slug": "c3.small.x86"},
            "metro": {"code": "DA"}, "facility": {"code": "DA11", "metro": {"code": "xx"}},
            "ip_addresses": [{"address": "10.99.73.135", "cidr": 31, "public": false, "management": true,
                "parent_block": {"network": "10.99.73.128", "cidr": 25, "href": "/metal/v1/ips/R9"}}]
        }));
        let expected = Device {
            id: DeviceId::new("d1"),
            hostname: "node-1".into(),
            state: DeviceState::Active,
            tags: vec!["k8s".into()],
            instance_type: Some("c3.small.x86".into()),
            metro: Some("da".into()),
            facility: Some("da11".into()),
            addresses: vec![DeviceAddress {
                address: "10.99.73.135".parse().expect("an address"),
                cidr: 31,
                public: false,
                management: true,
                parent_block: Some("10.99.73.128/25".parse().expect("a network")),
            }],
        };
        assert_eq!(read, Some(expected));
    }

    #[test]
    fn a_reservation_is_read_in_full_and_in_part() {
        let bare = || IpReservation {
            id: ReservationId::new("r1"),
            kind: ReservationType::Other(String::new()),
            state: ReservationState::Other(String::new()),
            address: None,
            network: None,
            cidr: 0,
            tags: Vec::new(),
            metro: None,
            facility: None,
            assigned_to: Vec::new(),
            created_at: None,
        };
        let cases = [
            ("an id alone", json!({"id": "r1"}), bare()),
            (
                "pending, without an address",
                json!({"id": "r1", "state": "pending", "type": "public_ipv4", "address": "", "network": null, "cidr": 0}),
                IpReservation { kind: ReservationType::PublicIpv4, state: ReservationState::Pending, ..bare() },
            ),
            (
                "whole, with the location in the facility and a mere reference among the assignments",
                json!({"id": "r1", "state": "created", "type": "public_ipv4", "address": "147.75.40.2", "network": "147.75.40.2",
                    "cidr": 32, "tags": ["a", "b"], "metro": null, "facility": {"code": "da11", "metro": {"code": "DA"}},
                    "assignments": [{"href": "/metal/v1/ips/A7"}, {"address": "147.75.40.2", "assigned_to": {"href": "/metal/v1/devices/D"}}],
                    "created_at": "2024-03-01T02:00:00.5+02:00", "global_ip": null}),
                IpReservation {
                    kind: ReservationType::PublicIpv4,
                    state: ReservationState::Created,
                    address: Some("147.75.40.2".parse().expect("an address")),
                    network: Some("147.75.40.2".parse().expect("an address")),
                    cidr: 32,
                    tags: vec!["a".into(), "b".into()],
                    metro: Some("da".into()),
                    facility: Some("da11".into()),
                    assigned_to: vec![DeviceId::new("D")],
                    created_at: Some("2024-03-01T00:00:00Z".into()),
                    ..bare()
                },
            ),
        ];
        for (name, json, expected) in cases {
            assert_eq!(read_reservation(json), Some(expected), "{name}");
        }
        let untagged = serde_json::from_value::<wire::Reservation>(json!({"id": "r1", "tags": "a,b"}));
        assert!(untagged.is_err(), "tags of an unknown form must not look like none");
    }

    #[test]
    fn bgp_10_as_numbers_have_32_bits() {
        let wire = serde_json::from_value(json!([
            {"address_family": 4, "customer_as": 4_200_000_001_u32, "customer_ip": "10.66.29.1", "peer_as": 4_294_967_295_u32,
             "peer_ips": ["169.254.255.1", "x", "169.254.255.2"], "multihop": true, "md5_password": null, "routes_in": {}},
            {"address_family": 6, "customer_as": 65000, "customer_ip": "2604::1", "peer_as": 65530, "md5_password": ""},
            {"address_family": 4, "customer_as": -1, "customer_ip": "10.66.29.1", "peer_as": 65530},
            {}
        ]))
        .expect("every form of a field is read");
        let expected = [
            BgpNeighbor {
                family: IpFamily::V4,
                customer_as: 4_200_000_001,
                customer_ip: "10.66.29.1".parse().expect("an address"),
                peer_as: u32::MAX,
                peer_ips: ["169.254.255.1", "169.254.255.2"].map(|ip| ip.parse().expect("an address")).into(),
                md5_password: None,
            },
            BgpNeighbor {
                family: IpFamily::V6,
                customer_as: 65000,
                customer_ip: "2604::1".parse().expect("an address"),
                peer_as: 65530,
                peer_ips: Vec::new(),
                md5_password: None,
            },
        ];
        assert_eq!(bgp_neighbors(&DeviceId::new("d1"), wire), expected);
    }

    #[test]
    fn a_bgp_configuration_without_an_id_is_none() {
        let read = |json: Value| bgp_config(&serde_json::from_value(json).expect("every form of a field is read"));
        assert_eq!(read(json!({})), None);
        assert_eq!(read(json!({"id": null, "status": "enabled"})), None);
        assert_eq!(
            read(
                json!({"id": "B", "status": "disabled", "asn": 4_200_000_001_u32, "md5": "Passw0rdXX", "max_prefix": 10})
            ),
            Some(BgpConfig {
                status: BgpConfigStatus::Disabled,
                asn: 4_200_000_001,
                md5: Some(Secret::new("Passw0rdXX")),
                max_prefix: Some(10),
            })
        );
        assert_eq!(
            read(json!({"id": "B", "md5": ""})).map(|config| (config.asn, config.md5, config.status)),
            Some((65000, None, BgpConfigStatus::Other(String::new())))
        );
    }
}
