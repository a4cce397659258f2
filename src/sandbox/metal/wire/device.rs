//! A device as JSON.

use serde_json::{Value, json};

use super::expansion::Expansion;
use super::{View, Wire, href, stub};
use crate::sandbox::metal::world::assignment::Assignment;
use crate::sandbox::metal::world::clock::rfc3339;
use crate::sandbox::metal::world::device::{Device, DeviceState, Networking, Purchase};
use crate::sandbox::metal::world::identity::digest;

impl Wire<'_> {
    pub(crate) fn device(&self, device: &Device, expansion: &Expansion) -> Value {
        let ids = &self.world.identities;
        let plan = format!("plans/{}", ids.of("plan", &device.instance_type));
        let metro = format!("locations/metros/{}", ids.of("metro", device.metro.code));
        let system = format!("operating-systems/{}", ids.of("operating-system", &device.operating_system));
        let object = json!({
            "id": device.id,
            "short_id": device.id.split('-').next(),
            "hostname": device.hostname,
            "description": device.description,
            "state": device.state.to_string(),
            "tags": device.tags,
            "locked": device.locked,
            "user": "root",
            "billing_cycle": "hourly",
            "spot_instance": device.purchase == Purchase::Spot,
            "network_frozen": false,
            "bonding_mode": 4,
            "always_pxe": false,
            "created_at": rfc3339(device.created_at),
            "updated_at": rfc3339(device.updated_at),
            "termination_time": device.termination_time.map(rfc3339),
            "provisioning_percentage": if device.state == DeviceState::Provisioning { json!(40.0) } else { Value::Null },
            "plan": expansion.whole_unless_excluded("plan", &plan, |_| self.plan(&device.instance_type)),
            "metro": expansion.whole_unless_excluded("metro", &metro, |_| self.metro(Some(device.metro))),
            "facility": self.facility(&device.facility, expansion),
            "operating_system": expansion.whole_unless_excluded("operating_system", &system, |_| {
                operating_system(&device.operating_system)
            }),
            "project": self.project_reference(expansion),
            "project_lite": self.project_stub(),
            "ssh_keys": [stub(&format!("ssh-keys/{}", ids.of("ssh-key", "one")))],
            "hardware_reservation": self.hardware_reservation(device),
            "volumes": [],
            "network_ports": self.network_ports(device, expansion),
            "actions": actions(&device.state),
            "customdata": device.customdata,
            "userdata": device.userdata,
            "switch_uuid": device.id[..4],
            "sos": format!("{}@sos.{}.platformequinix.com", device.id, device.facility),
            "iqn": format!("iqn.{}.net.packet:device.{}", &rfc3339(device.created_at)[..7], &device.id[..8]),
            "ip_addresses": self.device_addresses(device, expansion),
            "href": href(&format!("devices/{}", device.id)),
        });
        self.drift(object, &["hardware_reservation", "description", "volumes", "customdata", "facility", "iqn"])
    }

    /// The addresses a device has, in order of assignment.
    pub(crate) fn assignments_of<'d>(&self, device: &'d Device) -> impl Iterator<Item = &'d Assignment>
    where
        Self: 'd,
    {
        let wire = *self;
        device.assignments.iter().filter_map(move |id| match wire.view {
            View::Object => wire.world.assignments.get(id),
            View::List => wire.world.assignments.get_listed(id, wire.now()),
        })
    }

    /// A hardware address that is the device's own in every run.
    pub(crate) fn mac_address(device: &Device, port: u8) -> String {
        let bytes = digest(&device.id);
        format!("b8:59:9f:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], (bytes[2] & 0xf0) | port)
    }

    fn device_addresses(&self, device: &Device, expansion: &Expansion) -> Value {
        let addresses = self.assignments_of(device).map(|assignment| {
            expansion.whole_unless_excluded("ip_addresses", &format!("ips/{}", assignment.id), |inner| {
                self.assignment(assignment, inner)
            })
        });
        Value::Array(addresses.collect())
    }

    fn network_ports(&self, device: &Device, expansion: &Expansion) -> Value {
        let kind = if device.network == Networking::Layer2 { "layer2-bonded" } else { "layer3" };
        let ports = [("bond0", "NetworkBondPort"), ("eth0", "NetworkPort"), ("eth1", "NetworkPort")];
        let ports = (0_u8..).zip(ports).map(|(index, (name, class))| {
            let id = self.world.identities.of("port", &format!("{}/{name}", device.id));
            expansion.whole_unless_excluded("network_ports", &format!("ports/{id}"), |_| {
                json!({
                    "id": id,
                    "type": class,
                    "name": name,
                    "data": {"mac": Self::mac_address(device, index), "bonded": true},
                    "network_type": kind,
                    "native_virtual_network": null,
                    "virtual_networks": [],
                    "href": href(&format!("ports/{id}")),
                })
            })
        });
        Value::Array(ports.collect())
    }

    fn hardware_reservation(&self, device: &Device) -> Value {
        match device.purchase {
            Purchase::Reserved => {
                let id = self.world.identities.of("hardware-reservation", &device.id);
                stub(&format!("hardware-reservations/{id}"))
            }
            Purchase::OnDemand | Purchase::Spot => Value::Null,
        }
    }
}

fn operating_system(slug: &str) -> Value {
    let (distro, version) = slug.split_once('_').unwrap_or((slug, ""));
    json!({"slug": slug, "name": slug.replace('_', " "), "distro": distro, "version": version.replace('_', ".")})
}

fn actions(state: &DeviceState) -> Value {
    let names: &[&str] = match state {
        DeviceState::Active => &["power_off", "reboot", "rescue", "reinstall"],
        DeviceState::Inactive => &["power_on", "reinstall"],
        _ => &[],
    };
    Value::Array(names.iter().map(|name| json!({"name": name, "type": name})).collect())
}
