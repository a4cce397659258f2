//! v1 Node: its defaults, and the taint that every new one gets.

use serde_json::{Value, json};

use super::object;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Fills in what the API's decoder fills in.
pub(crate) fn default(node: &mut Value) {
    let single = object::text(node, "spec.podCIDR").to_owned();
    let first = object::items(node, "spec.podCIDRs").first().and_then(Value::as_str).map(str::to_owned);
    match first {
        // The older, singular field counts where both are given and differ.
        first if !single.is_empty() && first.as_ref() != Some(&single) => node["spec"]["podCIDRs"] = json!([single]),
        Some(first) => node["spec"]["podCIDR"] = json!(first),
        None => {}
    }
    if node["status"]["allocatable"].is_null() && node["status"]["capacity"].is_object() {
        node["status"]["allocatable"] = node["status"]["capacity"].clone();
    }
}

/// A new Node is not ready until somebody says so.
pub(crate) fn prepare_create(node: &mut Value) {
    let taints = object::items(node, "spec.taints").to_vec();
    let known = taints
        .iter()
        .any(|taint| object::text(taint, "key") == NOT_READY && object::text(taint, "effect") == "NoSchedule");
    if !known {
        let taint = json!({"key": NOT_READY, "effect": "NoSchedule"});
        node["spec"]["taints"] = taints.into_iter().chain([taint]).collect();
    }
    object::members_mut(&mut node["spec"]).remove("configSource");
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_two_fields_for_pod_addresses_agree() {
        let rows = [
            ("singular", json!({"podCIDR": "10.0.0.0/24"})),
            ("plural", json!({"podCIDRs": ["10.0.0.0/24"]})),
            ("different", json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.1.0.0/24"]})),
        ];
        for (row, spec) in rows {
            let mut node = json!({"spec": spec, "status": {}});
            default(&mut node);
            assert_eq!(node["spec"], json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}), "{row}");
        }
    }
}
