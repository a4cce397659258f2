//! An assignment as JSON.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::expansion::Expansion;
use super::{Wire, href};
use crate::sandbox::metal::world::assignment::{Assignment, Role};
use crate::sandbox::metal::world::clock::rfc3339;

impl Wire<'_> {
    pub(crate) fn assignment(&self, assignment: &Assignment, expansion: &Expansion) -> Value {
        let device = self.device_of(&assignment.device);
        let metro = device.map(|device| device.metro);
        let port = self.world.identities.of("port", &format!("{}/bond0", assignment.device));
        let mut object = json!({
            "id": assignment.id,
            "type": "IPAssignment",
            "address_family": family(assignment.net),
            "address": assignment.address,
            "network": assignment.net.network(),
            "gateway": assignment.net.network(),
            "netmask": assignment.net.netmask(),
            "cidr": assignment.net.prefix_len(),
            "public": assignment.public,
            "management": assignment.role == Role::Management,
            "manageable": true,
            "enabled": true,
            "global_ip": if assignment.global { Value::Bool(true) } else { Value::Null },
            "tags": assignment.tags,
            "customdata": assignment.customdata,
            "details": assignment.details,
            "created_at": rfc3339(assignment.created_at),
            "metro": self.metro(metro),
            "assigned_to": expansion.stub_unless_included("assigned_to", &format!("devices/{}", assignment.device), |inner| {
                device.map_or(Value::Null, |device| self.device(device, inner))
            }),
            "interface": {"href": href(&format!("ports/{port}"))},
            "project": {},
            "project_lite": {},
            "facility": device.map_or(Value::Null, |device| json!({"code": device.facility})),
            "href": href(&format!("ips/{}", assignment.id)),
        });
        if expansion.includes("parent_block") {
            object["parent_block"] = self.parent_block(assignment);
        }
        self.drift(object, &["global_ip", "details", "interface", "customdata", "facility", "manageable"])
    }

    fn parent_block(&self, assignment: &Assignment) -> Value {
        let parent = self.world.reservations.get(&assignment.reservation).and_then(|parent| parent.block);
        parent.map_or(Value::Null, |block| {
            json!({
                "network": block.network(),
                "netmask": block.netmask(),
                "cidr": block.prefix_len(),
                "href": href(&format!("ips/{}", assignment.reservation)),
            })
        })
    }
}

/// The address family, as addresses and neighbours name it.
pub(crate) fn family(net: IpNet) -> u8 {
    match net {
        IpNet::V4(_) => 4,
        IpNet::V6(_) => 6,
    }
}
