//! The cluster addresses and IP families of a v1 Service.

use serde_json::Value;

use super::ip;
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::service::{self, ServiceType};

const FIELD: &str = "spec.clusterIPs";
const FIXED: &str = "may not change once set";

/// What is wrong with the cluster addresses and families as they are.
pub(crate) fn cluster_ips(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    if ServiceType::of(new) == Some(ServiceType::ExternalName) {
        return Vec::new();
    }
    let ips = object::items(new, FIELD);
    let families = object::items(new, "spec.ipFamilies");
    let mut errors = pairing(new, ips);
    errors.extend(each_family(families));
    if let Some(policy) = new["spec"]["ipFamilyPolicy"].as_str() {
        let known = &["PreferDualStack", "RequireDualStack", "SingleStack"];
        if !known.contains(&policy) {
            errors.push(FieldError::not_supported("spec.ipFamilyPolicy", policy, known));
        }
    }
    let standing = old.map(|old| object::items(old, FIELD)).unwrap_or_default();
    let malformed = each_address(new, ips, standing);
    let broken = !malformed.is_empty();
    errors.extend(malformed);
    if ips.len() > 2 {
        errors.push(FieldError::invalid(FIELD, new["spec"]["clusterIPs"].clone(), "may only hold up to 2 values"));
    }
    if broken {
        return errors;
    }
    let v6: Vec<bool> = ips.iter().filter_map(Value::as_str).map(ip::is_v6).collect();
    if ips.len() > 1 && v6.iter().all(|family| *family == v6[0]) {
        let why = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(FIELD, new["spec"]["clusterIPs"].clone(), why));
    }
    errors.extend(family_matches(new, ips, families));
    errors
}

/// What is wrong with a change of the cluster addresses and families.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<FieldError> {
    let external = |value: &Value| ServiceType::of(value) == Some(ServiceType::ExternalName);
    if external(old) || external(new) || (service::is_headless(old) && service::is_headless(new)) {
        return Vec::new();
    }
    let mut errors = address_changes(old, new);
    let (before, after) = (object::items(old, "spec.ipFamilies"), object::items(new, "spec.ipFamilies"));
    if !before.is_empty() && before.first() != after.first() {
        let value = new["spec"]["ipFamilies"].clone();
        errors.push(FieldError::invalid("spec.ipFamilies[0]", value, FIXED));
    } else if before.len() == 2 && after.len() == 2 && before[1] != after[1] {
        let value = new["spec"]["ipFamilies"].clone();
        errors.push(FieldError::invalid("spec.ipFamilies[1]", value, FIXED));
    }
    errors
}

fn address_changes(old: &Value, new: &Value) -> Vec<FieldError> {
    let (before, after) = (object::items(old, FIELD), object::items(new, FIELD));
    let shown = || new["spec"]["clusterIPs"].clone();
    let mut errors = Vec::new();
    if before.len() == after.len() {
        let moved = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
        return moved.map(|(index, _)| FieldError::invalid(format!("{FIELD}[{index}]"), shown(), FIXED)).collect();
    }
    if after.is_empty() {
        errors.push(FieldError::invalid(format!("{FIELD}[0]"), shown(), "primary clusterIP can not be unset"));
    } else if !before.is_empty() && before[0] != after[0] {
        errors.push(FieldError::invalid(format!("{FIELD}[0]"), shown(), FIXED));
    }
    let policy = object::text(new, "spec.ipFamilyPolicy");
    if before.len() > after.len() && after.len() == 1 && policy != "SingleStack" {
        let why = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", new["spec"]["ipFamilyPolicy"].clone(), why));
    }
    errors
}

/// The singular and the plural field agree.
fn pairing(new: &Value, ips: &[Value]) -> Vec<FieldError> {
    let single = object::text(new, "spec.clusterIP");
    let shown = || new["spec"]["clusterIPs"].clone();
    match (single.is_empty(), ips.first().and_then(Value::as_str)) {
        (false, None) => vec![FieldError::required(FIELD, "")],
        (false, Some(first)) if first != single => {
            vec![FieldError::invalid(FIELD, shown(), "first value must match `clusterIP`")]
        }
        (true, Some(_)) => {
            vec![FieldError::invalid(FIELD, shown(), "must be empty when `clusterIP` is not specified")]
        }
        (false, Some(_)) | (true, None) => Vec::new(),
    }
}

fn each_family(families: &[Value]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, family) in families.iter().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        if !matches!(family.as_str(), Some("IPv4" | "IPv6")) {
            errors.push(FieldError::not_supported(field.clone(), family.clone(), &["IPv4", "IPv6"]));
        }
        if families[..index].contains(family) {
            errors.push(FieldError::duplicate(field, family.clone()));
        }
    }
    errors
}

fn each_address(new: &Value, ips: &[Value], standing: &[Value]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, address) in ips.iter().enumerate() {
        let text = address.as_str().unwrap_or_default();
        if index == 0 && text == "None" {
            if ips.len() > 1 {
                let why = "'None' must be the first and only value";
                errors.push(FieldError::invalid(FIELD, new["spec"]["clusterIPs"].clone(), why));
            }
        } else if !standing.contains(address) {
            errors.extend(ip::address(&format!("{FIELD}[{index}]"), text));
        }
    }
    errors
}

fn family_matches(new: &Value, ips: &[Value], families: &[Value]) -> Vec<FieldError> {
    if service::is_headless(new) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for (index, (address, family)) in ips.iter().zip(families).enumerate() {
        let text = address.as_str().unwrap_or_default();
        let wanted = family.as_str().unwrap_or_default();
        if ip::is_v6(text) != (wanted == "IPv6") {
            let why = format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`");
            errors.push(FieldError::invalid(format!("{FIELD}[{index}]"), text, why));
        }
    }
    errors
}
