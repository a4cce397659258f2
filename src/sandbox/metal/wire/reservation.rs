//! A reservation as JSON.

use serde_json::{Value, json};

use super::assignment::family;
use super::expansion::Expansion;
use super::{View, Wire, href, stub};
use crate::sandbox::metal::world::assignment::Assignment;
use crate::sandbox::metal::world::clock::rfc3339;
use crate::sandbox::metal::world::ledger::nth;
use crate::sandbox::metal::world::reservation::{Origin, Reservation, ReservationKind};

impl Wire<'_> {
    pub(crate) fn reservation(&self, reservation: &Reservation, expansion: &Expansion) -> Value {
        let ids = &self.world.identities;
        let user = stub(&format!("users/{}", ids.of("user", "one")));
        let requested = reservation.origin == Origin::Requested;
        let mut object = json!({
            "id": reservation.id,
            "type": reservation.kind.to_string(),
            "state": reservation.state.to_string(),
            "public": matches!(
                reservation.kind,
                ReservationKind::PublicIpv4 | ReservationKind::PublicIpv6 | ReservationKind::GlobalIpv4
            ),
            "management": !requested,
            "manageable": requested,
            "enabled": reservation.block.is_some(),
            "global_ip": reservation.kind == ReservationKind::GlobalIpv4,
            "addon": requested,
            "bill": requested,
            "details": reservation.details,
            "customdata": reservation.customdata,
            "tags": reservation.tags,
            "available": href(&format!("ips/{}/available", reservation.id)),
            "facility": reservation.facility.as_ref().map_or(Value::Null, |code| self.facility(code, expansion)),
            "metro": self.reservation_metro(reservation, expansion),
            "project": self.project_reference(expansion),
            "project_lite": self.project_stub(),
            "metal_gateway": null,
            "created_at": rfc3339(reservation.created_at),
            "href": href(&format!("ips/{}", reservation.id)),
        });
        self.add_block(&mut object, reservation);
        match (&reservation.kind, &reservation.vrf) {
            (ReservationKind::Vrf, Some(vrf)) => {
                object["vrf"] = expansion.stub_unless_included("vrf", &format!("vrfs/{vrf}"), |_| self.vrf(vrf));
                object["created_by"] = user;
            }
            _ => {
                object["requested_by"] = user;
                object["assignments"] = self.assignments(reservation, expansion);
            }
        }
        self.drift(object, &["facility", "details", "metal_gateway", "customdata", "requested_by", "bill"])
    }

    /// The addresses of a reservation that point at devices.
    pub(crate) fn assignments_from<'r>(&self, reservation: &'r Reservation) -> impl Iterator<Item = &'r Assignment>
    where
        Self: 'r,
    {
        let wire = *self;
        reservation.assignments.iter().filter_map(move |id| match wire.view {
            View::Object => wire.world.assignments.get(id),
            View::List => wire.world.assignments.get_listed(id, wire.now()),
        })
    }

    /// A reservation that was asked for by facility names its metro only inside the facility.
    fn reservation_metro(&self, reservation: &Reservation, expansion: &Expansion) -> Value {
        let Some(metro) = reservation.metro.filter(|_| reservation.facility.is_none()) else {
            return Value::Null;
        };
        let path = format!("locations/metros/{}", self.world.identities.of("metro", metro.code));
        expansion.whole_unless_excluded("metro", &path, |_| self.metro(Some(metro)))
    }

    fn assignments(&self, reservation: &Reservation, expansion: &Expansion) -> Value {
        let assignments = self.assignments_from(reservation).map(|assignment| {
            expansion.stub_unless_included("assignments", &format!("ips/{}", assignment.id), |inner| {
                self.assignment(assignment, inner)
            })
        });
        Value::Array(assignments.collect())
    }

    fn add_block(&self, object: &mut Value, reservation: &Reservation) {
        let Some(block) = reservation.block else {
            for field in ["address", "network", "gateway", "netmask"] {
                object[field] = Value::Null;
            }
            object["address_family"] = json!(if reservation.kind == ReservationKind::PublicIpv6 { 6 } else { 4 });
            object["cidr"] = Value::Null;
            return;
        };
        let single = block.prefix_len() == block.max_prefix_len();
        object["address_family"] = json!(family(block));
        object["address"] = json!(block.network());
        object["network"] = json!(block.network());
        object["gateway"] = json!(if single { block.network() } else { nth(block, 1) });
        object["netmask"] = json!(block.netmask());
        object["cidr"] = json!(block.prefix_len());
    }

    fn vrf(&self, id: &str) -> Value {
        let metro = self.world.vrfs.get(id).map(String::as_str).unwrap_or_default();
        json!({
            "id": id,
            "name": format!("vrf-{metro}"),
            "local_asn": 65_000,
            "metro": self.metro(crate::sandbox::metal::catalog::metro(metro)),
            "project": self.project_stub(),
            "href": href(&format!("vrfs/{id}")),
        })
    }
}
