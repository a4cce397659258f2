//! The IP families and the family policy of a v1 Service, as the cluster's families allow.

use serde_json::{Value, json};

use super::api::IpFamily;
use super::field_error::FieldError;
use super::object;
use super::service::{self, ServiceType};

const POLICY: &str = "spec.ipFamilyPolicy";

/// Fills in `ipFamilyPolicy` and `ipFamilies`.
///
/// # Errors
/// When what is asked for does not fit the cluster, or contradicts itself.
pub(crate) fn complete(cluster: &[IpFamily], old: Option<&Value>, new: &mut Value) -> Result<(), Vec<FieldError>> {
    if ServiceType::of(new) == Some(ServiceType::ExternalName) {
        return Ok(());
    }
    if old.is_some_and(|old| stays_as_preferred(old, new)) {
        return Ok(());
    }
    let headless_without_selector = service::is_headless(new) && !has_selector(new);
    default_policy(old, new, headless_without_selector);
    let errors = super::validation::service::cluster_ips(new, old);
    if !errors.is_empty() {
        return Err(errors);
    }
    if let Some(old) = old {
        shrink(old, new)?;
    }
    check_policy(new)?;
    infer_families(cluster, new)?;
    let dual = object::text(new, POLICY) != "SingleStack";
    if !headless_without_selector {
        check_cluster(cluster, new)?;
    }
    let mut families: Vec<IpFamily> = object::items(new, "spec.ipFamilies").iter().filter_map(IpFamily::of).collect();
    if families.is_empty() {
        families.extend(cluster.first());
    }
    if let [only] = families.as_slice()
        && dual
        && (cluster.len() > 1 || headless_without_selector)
    {
        families.push(only.other());
    }
    new["spec"]["ipFamilies"] = families.into_iter().map(IpFamily::json).collect();
    Ok(())
}

/// A PreferDualStack Service is neither widened nor narrowed unless the client touches it.
fn stays_as_preferred(old: &Value, new: &Value) -> bool {
    let same = |field: &str| old["spec"][field] == new["spec"][field];
    let typed = service::needs_cluster_ip(old) && service::needs_cluster_ip(new);
    typed
        && object::text(new, POLICY) == "PreferDualStack"
        && ["ipFamilyPolicy", "clusterIP", "clusterIPs", "ipFamilies"].into_iter().all(same)
}

fn has_selector(service: &Value) -> bool {
    service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty())
}

fn default_policy(old: Option<&Value>, new: &mut Value, headless_without_selector: bool) {
    if !new["spec"]["ipFamilyPolicy"].is_null() {
        return;
    }
    let before = old.map(|old| &old["spec"]["ipFamilyPolicy"]).filter(|policy| !policy.is_null());
    new["spec"]["ipFamilyPolicy"] = match before {
        Some(policy) => policy.clone(),
        None if headless_without_selector => json!("RequireDualStack"),
        None => json!("SingleStack"),
    };
}

/// Setting the policy to SingleStack is enough to give the second address up, and nothing else is.
fn shrink(old: &Value, new: &mut Value) -> Result<(), Vec<FieldError>> {
    let single = object::text(new, POLICY) == "SingleStack";
    let mut errors = Vec::new();
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let untouched = old["spec"][field] == new["spec"][field];
        let (before, after) = (object::items(&old["spec"], field).len(), object::items(&new["spec"], field).len());
        if let Some(list) = new["spec"][field].as_array_mut().filter(|_| single && untouched) {
            list.truncate(1);
        }
        if !single && before == 2 && after == 1 {
            let why = format!("must be 'SingleStack' to release the secondary {what}");
            errors.push(FieldError::invalid(POLICY, object::text(new, POLICY), why));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_policy(new: &Value) -> Result<(), Vec<FieldError>> {
    let policy = object::text(new, POLICY);
    let mut errors = Vec::new();
    if policy == "SingleStack" {
        let needs = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if object::items(&new["spec"], field).len() == 2 {
                errors.push(FieldError::invalid(POLICY, policy, format!("{needs} {what} are specified")));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Addresses that were asked for say which families are meant.
fn infer_families(cluster: &[IpFamily], new: &mut Value) -> Result<(), Vec<FieldError>> {
    let mut families = object::items(new, "spec.ipFamilies").to_vec();
    let mut errors = Vec::new();
    for (index, address) in object::items(new, "spec.clusterIPs").iter().filter_map(Value::as_str).enumerate() {
        if address == "None" || address.is_empty() {
            break;
        }
        let family = IpFamily::of_address(address);
        if index < families.len() {
            continue;
        }
        match cluster.contains(&family) {
            true => families.push(family.json()),
            false => {
                let why = format!("{} is not configured on this cluster", family.as_str());
                let value = new["spec"]["clusterIPs"].clone();
                errors.push(FieldError::invalid(format!("spec.clusterIPs[{index}]"), value, why));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if !families.is_empty() {
        new["spec"]["ipFamilies"] = Value::Array(families);
    }
    Ok(())
}

fn check_cluster(cluster: &[IpFamily], new: &Value) -> Result<(), Vec<FieldError>> {
    let policy = object::text(new, POLICY);
    let mut errors = Vec::new();
    if policy == "RequireDualStack" && cluster.len() < 2 {
        let why = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(POLICY, policy, why));
    }
    for (index, family) in object::items(new, "spec.ipFamilies").iter().enumerate() {
        if !IpFamily::of(family).is_some_and(|family| cluster.contains(&family)) {
            let field = format!("spec.ipFamilies[{index}]");
            errors.push(FieldError::invalid(field, family.clone(), "not configured on this cluster"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn families_follow_the_policy_and_the_cluster() {
        let both = [IpFamily::V4, IpFamily::V6];
        type Row<'a> = (&'a str, &'a [IpFamily], Value, Result<Value, &'a str>);
        let rows: &[Row<'_>] = &[
            ("nothing said", &both, json!({}), Ok(json!(["SingleStack", ["IPv4"]]))),
            (
                "dual",
                &both,
                json!({"ipFamilyPolicy": "RequireDualStack"}),
                Ok(json!(["RequireDualStack", ["IPv4", "IPv6"]])),
            ),
            (
                "v6 first",
                &both,
                json!({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}),
                Ok(json!(["PreferDualStack", ["IPv6", "IPv4"]])),
            ),
            (
                "preferred on one family",
                &both[..1],
                json!({"ipFamilyPolicy": "PreferDualStack"}),
                Ok(json!(["PreferDualStack", ["IPv4"]])),
            ),
            ("required on one family", &both[..1], json!({"ipFamilyPolicy": "RequireDualStack"}), Err(POLICY)),
            ("family the cluster lacks", &both[..1], json!({"ipFamilies": ["IPv6"]}), Err("spec.ipFamilies[0]")),
            ("two families on one stack", &both, json!({"ipFamilies": ["IPv4", "IPv6"]}), Err(POLICY)),
            (
                "by address",
                &both,
                json!({"clusterIP": "fd00:10:96::9", "clusterIPs": ["fd00:10:96::9"]}),
                Ok(json!(["SingleStack", ["IPv6"]])),
            ),
            (
                "headless without selector",
                &both[..1],
                json!({"clusterIP": "None", "clusterIPs": ["None"]}),
                Ok(json!(["RequireDualStack", ["IPv4", "IPv6"]])),
            ),
        ];
        for (row, cluster, spec, expected) in rows {
            let mut service = json!({"spec": spec});
            service["spec"]["type"] = json!("ClusterIP");
            let found = complete(cluster, None, &mut service)
                .map(|()| json!([service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]]))
                .map_err(|errors| errors[0].field.clone());
            assert_eq!(found, expected.clone().map_err(str::to_owned), "{row}");
        }
    }
}
