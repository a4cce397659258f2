//! Metros, facilities and instance types as JSON.

use serde_json::{Value, json};

use super::expansion::Expansion;
use super::{Wire, href};
use crate::sandbox::metal::catalog::{INSTANCE_TYPES, InstanceType, metro, metro_of_facility};

impl Wire<'_> {
    pub(crate) fn facility_object(&self, code: &str, id: &str, expansion: &Expansion) -> Value {
        let metro = metro_of_facility(code);
        let address = self.world.identities.of("address", code);
        json!({
            "id": id,
            "code": code,
            "name": metro.map_or(code, |metro| metro.name),
            "features": ["baremetal", "layer_2", "backend_transfer", "global_ipv4"],
            "ip_ranges": [],
            "address": expansion.stub_unless_included("address", &format!("addresses/{address}"), |_| {
                json!({"id": address, "city": metro.map(|metro| metro.name), "country": metro.map(|metro| metro.country)})
            }),
            "metro": self.metro(metro),
        })
    }

    /// An instance type as part of a device. A type that is not on sale any more still has a name.
    pub(crate) fn plan(&self, slug: &str) -> Value {
        let known = INSTANCE_TYPES.into_iter().find(|known| known.slug == slug);
        let (specs, price) = known.map_or((json!({}), 1.0), |known| (specs(&known), known.hourly));
        json!({
            "id": self.world.identities.of("plan", slug),
            "slug": slug,
            "name": slug,
            "line": "baremetal",
            "class": slug,
            "type": "standard",
            "legacy": false,
            "categories": ["compute"],
            "deployment_types": ["on_demand", "spot_market"],
            "specs": specs,
            "pricing": {"hour": price},
        })
    }

    /// An instance type in the catalog: with the places that offer it.
    pub(crate) fn catalog_plan(&self, kind: &InstanceType) -> Value {
        let mut plan = self.plan(kind.slug);
        let metros = self.world.config.metros.iter().filter_map(|code| metro(code));
        let (facilities, metros): (Vec<Value>, Vec<Value>) = metros
            .map(|metro| {
                let facility = self.world.identities.of("facility", metro.facility);
                let metro = self.world.identities.of("metro", metro.code);
                let price = json!({"hour": kind.hourly});
                (
                    json!({"href": href(&format!("facilities/{facility}")), "price": price}),
                    json!({"href": href(&format!("locations/metros/{metro}")), "price": price}),
                )
            })
            .unzip();
        plan["available_in"] = Value::Array(facilities);
        plan["available_in_metros"] = Value::Array(metros);
        plan
    }
}

fn specs(kind: &InstanceType) -> Value {
    json!({
        "cpus": [{"count": 1, "type": format!("{} cores", kind.cores)}],
        "memory": {"total": format!("{}GB", kind.memory_gb)},
        "nics": [{"count": 2, "type": "10Gbps"}],
    })
}
