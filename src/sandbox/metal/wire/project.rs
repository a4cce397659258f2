//! The project and its user as JSON.

use serde_json::{Value, json};

use super::expansion::Expansion;
use super::{Wire, href, stub};
use crate::sandbox::metal::world::clock::rfc3339;

impl Wire<'_> {
    pub(crate) fn project(&self, expansion: &Expansion) -> Value {
        let config = &self.world.config;
        let ids = &self.world.identities;
        let devices = self.world.devices.listed(self.now()).map(|device| {
            expansion
                .stub_unless_included("devices", &format!("devices/{}", device.id), |inner| self.device(device, inner))
        });
        let bgp = self.world.bgp.as_ref().map_or(Value::Null, |bgp| {
            expansion
                .stub_unless_included("bgp_config", &format!("bgp-configs/{}", bgp.id), |inner| self.bgp_config(inner))
        });
        let project = json!({
            "id": config.project_id,
            "name": config.project_name,
            "created_at": rfc3339(self.world.created_at),
            "updated_at": rfc3339(self.world.created_at),
            "type": "default",
            "backend_transfer_enabled": false,
            "customdata": {},
            "tags": [],
            "max_devices": {},
            "network_status": {},
            "url": "",
            "organization": stub(&format!("organizations/{}", ids.of("organization", "one"))),
            "bgp_config": bgp,
            "devices": devices.collect::<Vec<_>>(),
            "members": [],
            "memberships": [],
            "invitations": [],
            "ssh_keys": [],
            "volumes": [],
            "payment_method": stub(&format!("payment-methods/{}", ids.of("payment-method", "one"))),
            "href": href(&format!("projects/{}", config.project_id)),
        });
        self.drift(project, &["customdata", "payment_method", "url"])
    }

    pub(crate) fn user(&self) -> Value {
        let ids = &self.world.identities;
        let id = ids.of("user", "one");
        json!({
            "id": id,
            "short_id": id[..8],
            "full_name": "Sandbox User",
            "first_name": "Sandbox",
            "last_name": "User",
            "email": "user@sandbox.invalid",
            "emails": [stub(&format!("emails/{}", ids.of("email", "one")))],
            "default_project_id": self.world.config.project_id,
            "default_organization_id": ids.of("organization", "one"),
            "timezone": "UTC",
            "two_factor_auth": "",
            "created_at": rfc3339(self.world.created_at),
            "updated_at": rfc3339(self.world.created_at),
            "href": href(&format!("users/{id}")),
        })
    }
}
