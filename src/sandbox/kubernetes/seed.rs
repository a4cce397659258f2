//! What every cluster has from the start, and objects put in past HTTP.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api::Shared;
use super::decode::{self, FieldValidation};
use super::managed_fields::Writer;
use super::registry::{Resource, Subresource};
use super::status::Refusal;
use super::store::{Object, Write};
use super::verbs::{Account, Creation, create_object};
use super::{object, rules};

/// The UID of `kube-system`, by which programs know the cluster; the same in every run.
const KUBE_SYSTEM_UID: &str = "6b1c4f5e-3d0a-4a52-9c67-0d4b8f6a2e10";

/// Creates the namespaces and the Service `kubernetes`.
pub(crate) fn seed(shared: &Arc<Shared>) {
    let namespaces = shared.registry.find("", "v1", "namespaces").expect("namespaces are always served");
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        insert(shared, &namespaces, json!({"metadata": {"name": name}})).expect("the first namespaces are valid");
    }
    let system = (String::new(), "kube-system".to_owned());
    let fixed = shared.store.write(&namespaces.collection, &system, |before| {
        let before = before.expect("kube-system was just created");
        let mut value = before.value.clone();
        value["metadata"]["uid"] = json!(KUBE_SYSTEM_UID);
        Ok::<_, std::convert::Infallible>(Write::Put(value))
    });
    fixed.map(drop).unwrap_or_else(|never| match never {});
    let services = shared.registry.find("", "v1", "services").expect("services are always served");
    let port = json!({"name": "https", "port": 443, "protocol": "TCP", "targetPort": shared.address.port()});
    let kubernetes = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {"clusterIP": first_address(shared), "ports": [port]},
    });
    insert(shared, &services, kubernetes).expect("the first Service is valid");
}

fn first_address(shared: &Shared) -> &'static str {
    match shared.config.families.first() {
        Some(super::api::IpFamily::V6) => "fd00:10:96::1",
        Some(super::api::IpFamily::V4) | None => "10.96.0.1",
    }
}

/// Creates an object as a POST does, and its status as a PUT on the status path does.
///
/// # Errors
/// What a real server would refuse.
pub(crate) fn insert(shared: &Arc<Shared>, resource: &Resource, value: Value) -> Result<Arc<Object>, Refusal> {
    let decoded = decode::decode(value, resource, FieldValidation::Ignore)?;
    let namespace = object::meta(&decoded.value, "namespace").to_owned();
    let status = decoded.value.get("status").cloned();
    let account = Account::Of(Writer { manager: "kube-apiserver", subresource: None });
    let creation = Creation { resource, namespace: &namespace, value: decoded.value, account, dry_run: false };
    let created = create_object(shared, creation)?;
    let Some(status) = status.filter(|_| resource.subresources.contains(&Subresource::Status)) else {
        return Ok(created);
    };
    let name = object::meta(&created.value, "name").to_owned();
    let stored = shared.store.write(&resource.collection, &(namespace, name), |before| {
        let Some(before) = before else {
            return Ok::<_, std::convert::Infallible>(Write::Keep);
        };
        let mut value = before.value.clone();
        value["status"] = status;
        rules::default(resource, &mut value);
        Ok(if value == before.value { Write::Keep } else { Write::Put(value) })
    });
    Ok(stored.unwrap_or_else(|never| match never {}).unwrap_or(created))
}
