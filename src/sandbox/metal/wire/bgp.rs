//! BGP configuration, sessions and neighbours as JSON.

use serde_json::{Value, json};

use super::expansion::Expansion;
use super::{View, Wire, href};
use crate::sandbox::metal::world::assignment::{Assignment, Role};
use crate::sandbox::metal::world::clock::rfc3339;
use crate::sandbox::metal::world::device::Device;
use crate::sandbox::metal::world::session::{AddressFamily, Session};

/// The AS of the vendor's routers.
const PEER_ASN: u32 = 65_530;

impl Wire<'_> {
    /// The configuration, or an empty object where BGP was never asked for.
    pub(crate) fn bgp_config(&self, expansion: &Expansion) -> Value {
        let Some(bgp) = &self.world.bgp else { return json!({}) };
        let sessions: Vec<Value> = if expansion.includes("sessions") {
            let inner = expansion.below("sessions");
            self.listed_sessions().map(|session| self.session(session, &inner)).collect()
        } else {
            Vec::new()
        };
        let config = json!({
            "id": bgp.id,
            "status": bgp.status.to_string(),
            "deployment_type": bgp.deployment.to_string(),
            "asn": bgp.asn,
            "md5": bgp.md5,
            "max_prefix": bgp.max_prefix,
            "route_object": null,
            "ranges": [],
            "sessions": sessions,
            "created_at": rfc3339(bgp.created_at),
            "requested_at": rfc3339(bgp.created_at),
            "project": self.project_reference(expansion),
            "href": href(&format!("bgp-configs/{}", bgp.id)),
        });
        self.drift(config, &["route_object", "requested_at", "ranges"])
    }

    pub(crate) fn listed_sessions(&self) -> impl Iterator<Item = &Session> {
        self.world.sessions.listed(self.now())
    }

    pub(crate) fn session(&self, session: &Session, expansion: &Expansion) -> Value {
        let device = self.device_of(&session.device);
        let facility = device.map(|device| device.facility.as_str()).unwrap_or_default();
        let object = json!({
            "id": session.id,
            "address_family": session.family.to_string(),
            "status": session.status,
            "default_route": session.default_route,
            "learned_routes": session.learned_routes,
            "switch_name": format!("esr1.{facility}"),
            "device": expansion.stub_unless_included("device", &format!("devices/{}", session.device), |inner| {
                device.map_or(Value::Null, |device| self.device(device, inner))
            }),
            "created_at": rfc3339(session.created_at),
            "updated_at": rfc3339(session.updated_at),
            "href": href(&format!("bgp/sessions/{}", session.id)),
        });
        self.drift(object, &["switch_name", "default_route", "updated_at"])
    }

    /// One entry for each address family with a session.
    pub(crate) fn neighbors(&self, device: &Device) -> Vec<Value> {
        let sessions = device.sessions.iter().filter_map(|id| match self.view {
            View::Object => self.world.sessions.get(id),
            View::List => self.world.sessions.get_listed(id, self.now()),
        });
        sessions.map(|session| self.neighbor(device, session)).collect()
    }

    fn neighbor(&self, device: &Device, session: &Session) -> Value {
        let own = self.management_address(device, session.family);
        let single_hop =
            self.world.config.single_hop_metros.iter().any(|code| code.eq_ignore_ascii_case(device.metro.code));
        let peers = match (single_hop, session.family) {
            (true, _) => own.iter().map(|own| own.net.network().to_string()).collect(),
            (false, AddressFamily::Ipv4) => ["169.254.255.1", "169.254.255.2"].map(str::to_owned).to_vec(),
            (false, AddressFamily::Ipv6) => ["fc00::e", "fc00::f"].map(str::to_owned).to_vec(),
        };
        let md5 = self.world.bgp.as_ref().and_then(|bgp| bgp.md5.as_deref());
        let default_route = match session.family {
            AddressFamily::Ipv4 => "0.0.0.0/0",
            AddressFamily::Ipv6 => "::/0",
        };
        let routes_out = match session.default_route {
            Some(true) => json!([{"route": default_route, "exact": true}]),
            Some(false) | None => json!([]),
        };
        let neighbor = json!({
            "address_family": match session.family { AddressFamily::Ipv4 => 4, AddressFamily::Ipv6 => 6 },
            "customer_as": self.world.bgp.as_ref().map(|bgp| bgp.asn),
            "customer_ip": own.map(|own| own.address),
            "peer_as": PEER_ASN,
            "peer_ips": peers,
            "multihop": !single_hop,
            "md5_enabled": md5.is_some_and(|md5| !md5.is_empty()),
            "md5_password": md5,
            "routes_in": own.iter().map(|own| json!({"route": own.net, "exact": true})).collect::<Vec<_>>(),
            "routes_out": routes_out,
        });
        self.drift(neighbor, &[])
    }

    fn management_address(&self, device: &Device, family: AddressFamily) -> Option<&Assignment> {
        device.assignments.iter().filter_map(|id| self.world.assignments.get(id)).find(|assignment| {
            assignment.role == Role::Management
                && match family {
                    AddressFamily::Ipv4 => assignment.net.network().is_ipv4() && !assignment.public,
                    AddressFamily::Ipv6 => assignment.net.network().is_ipv6(),
                }
        })
    }
}
