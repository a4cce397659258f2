//! v1 Node.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ip, name};
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::object;

const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
const POD_CIDR_CHANGE: &str = "node updates may not change podCIDR except from \"\" to valid";
const PROVIDER_ID_CHANGE: &str = "node updates may not change providerID except from \"\" to valid";

/// What is wrong with the spec of a Node.
pub(crate) fn of_new(node: &Value) -> Vec<FieldError> {
    let mut errors = taints(node);
    let cidrs = object::items(node, "spec.podCIDRs");
    for (index, cidr) in cidrs.iter().enumerate() {
        errors.extend(ip::cidr(&format!("spec.podCIDRs[{index}]"), cidr.as_str().unwrap_or_default()));
    }
    let families: BTreeSet<bool> = cidrs.iter().filter_map(Value::as_str).map(|cidr| cidr.contains(':')).collect();
    if cidrs.len() > 1 && (families.len() != 2 || cidrs.len() > 2) {
        let why = "may specify no more than one CIDR for each IP family";
        errors.push(FieldError::invalid("spec.podCIDRs", node["spec"]["podCIDRs"].clone(), why));
    }
    errors
}

/// What is wrong with a change of a Node, on either of its paths.
pub(crate) fn of_change(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let addresses = object::items(new, "status.addresses");
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].contains(address) {
            let members = [("Type", address["type"].clone()), ("Address", address["address"].clone())];
            errors.push(FieldError::duplicate_struct(format!("status.addresses[{index}]"), &members));
        }
    }
    let old_cidrs = object::items(old, "spec.podCIDRs");
    if !old_cidrs.is_empty() && old_cidrs != object::items(new, "spec.podCIDRs") {
        errors.push(FieldError::forbidden("spec.podCIDRs", POD_CIDR_CHANGE));
    }
    let old_id = object::text(old, "spec.providerID");
    if !old_id.is_empty() && old_id != object::text(new, "spec.providerID") {
        errors.push(FieldError::forbidden("spec.providerID", PROVIDER_ID_CHANGE));
    }
    errors.extend(taints(new));
    errors
}

fn taints(node: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, taint) in object::items(node, "spec.taints").iter().enumerate() {
        let field = format!("metadata.taints[{index}]");
        let (key, value, effect) =
            (object::text(taint, "key"), object::text(taint, "value"), object::text(taint, "effect"));
        let faults = name::qualified(key).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid(format!("{field}.key"), key, fault)));
        let faults = name::label_value(value);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(format!("{field}.value"), value, faults.join(";")));
        }
        if effect.is_empty() {
            errors.push(FieldError::required(format!("{field}.effect"), ""));
        } else if !TAINT_EFFECTS.contains(&effect) {
            errors.push(FieldError::not_supported(format!("{field}.effect"), effect, TAINT_EFFECTS));
        }
        if !seen.insert((key, effect)) {
            let members = [
                ("Key", taint["key"].clone()),
                ("Value", json!(value)),
                ("Effect", taint["effect"].clone()),
                ("TimeAdded", taint["timeAdded"].clone()),
            ];
            let mut error = FieldError::duplicate_struct(field, &members);
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn fields(errors: &[FieldError]) -> Vec<&str> {
        errors.iter().map(|error| error.field.as_str()).collect()
    }

    #[test]
    fn taints_must_be_well_formed_and_unique_by_key_and_effect() {
        let rows: &[(&str, Value, &[&str])] = &[
            ("valid", json!([{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}]), &[]),
            ("no effect", json!([{"key": "a"}]), &["metadata.taints[0].effect"]),
            ("bad effect", json!([{"key": "a", "effect": "x"}]), &["metadata.taints[0].effect"]),
            ("bad key", json!([{"key": "a b", "effect": "NoSchedule"}]), &["metadata.taints[0].key"]),
            (
                "twice",
                json!([{"key": "a", "effect": "NoSchedule"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]),
                &["metadata.taints[1]"],
            ),
        ];
        for (row, taints, expected) in rows {
            assert_eq!(fields(&of_new(&json!({"spec": {"taints": taints}}))), *expected, "{row}");
        }
    }

    #[test]
    fn what_is_set_once_stays() {
        let old = json!({"spec": {"providerID": "a://1", "podCIDRs": ["10.0.0.0/24"]}});
        let new = json!({"spec": {"providerID": "a://2", "podCIDRs": ["10.0.1.0/24"]}});
        assert_eq!(fields(&of_change(&old, &new)), ["spec.podCIDRs", "spec.providerID"]);
        assert_eq!(fields(&of_change(&json!({"spec": {}}), &new)), Vec::<&str>::new());
    }
}
