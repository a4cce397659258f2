//! What is served, in the forms that clients ask for it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api::Shared;
use super::registry::{Resource, Subresource, api_version};

/// `/api`.
pub(crate) fn core_versions(shared: &Shared) -> Value {
    let address = shared.address.to_string();
    let here = json!({"clientCIDR": "0.0.0.0/0", "serverAddress": address});
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [here]})
}

/// `/apis`.
pub(crate) fn group_list(shared: &Shared) -> Value {
    let groups: Vec<Value> = groups(shared).iter().filter(|(name, _)| !name.is_empty()).map(group_entry).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`; nothing when it is not served.
pub(crate) fn group(shared: &Shared, name: &str) -> Option<Value> {
    let found = groups(shared).into_iter().find(|(group, _)| group == name)?;
    let mut entry = group_entry(&found);
    entry["kind"] = json!("APIGroup");
    entry["apiVersion"] = json!("v1");
    Some(entry)
}

/// `/api/VERSION` and `/apis/GROUP/VERSION`; nothing when it is not served.
pub(crate) fn resources(shared: &Shared, group: &str, version: &str) -> Option<Value> {
    let served: Vec<Arc<Resource>> = of_version(shared, group, version);
    let entries: Vec<Value> = served.iter().flat_map(|resource| resource_entries(resource)).collect();
    let body = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": entries,
    });
    (!served.is_empty()).then_some(body)
}

/// `/api` as one document with everything in it.
pub(crate) fn core_groups(shared: &Shared) -> Value {
    aggregated(shared, |group| group.is_empty())
}

/// `/apis` as one document with everything in it.
pub(crate) fn other_groups(shared: &Shared) -> Value {
    aggregated(shared, |group| !group.is_empty())
}

/// Groups with their versions, in the order in which they are served.
pub(crate) fn groups(shared: &Shared) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for resource in shared.registry.all() {
        match groups.iter_mut().find(|(name, _)| *name == resource.group) {
            Some((_, versions)) if versions.contains(&resource.version) => {}
            Some((_, versions)) => versions.push(resource.version.clone()),
            None => groups.push((resource.group.clone(), vec![resource.version.clone()])),
        }
    }
    groups
}

fn of_version(shared: &Shared, group: &str, version: &str) -> Vec<Arc<Resource>> {
    let all = shared.registry.all().into_iter();
    all.filter(|resource| resource.group == group && resource.version == version).collect()
}

fn group_entry((name, versions): &(String, Vec<String>)) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": api_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn resource_entries(resource: &Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced(),
        "kind": resource.kind, "verbs": resource.verbs.listed(),
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        own["categories"] = json!(resource.categories);
    }
    let parts = resource.subresources.iter().map(|part| {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, part.as_str()), "singularName": "",
            "namespaced": resource.namespaced(), "kind": resource.kind, "verbs": part.verbs(),
        });
        if *part == Subresource::Token {
            entry["group"] = json!("authentication.k8s.io");
            entry["version"] = json!("v1");
            entry["kind"] = json!("TokenRequest");
        }
        entry
    });
    std::iter::once(own).chain(parts).collect()
}

fn aggregated(shared: &Shared, wanted: impl Fn(&str) -> bool) -> Value {
    let items: Vec<Value> = groups(shared)
        .into_iter()
        .filter(|(group, _)| wanted(group))
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        of_version(shared, &group, version).iter().map(|resource| aggregated_entry(resource)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_entry(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = kind(&resource.group, &resource.version, &resource.kind);
    let mut entry = json!({
        "resource": resource.plural, "responseKind": own, "singularResource": resource.singular,
        "scope": if resource.namespaced() { "Namespaced" } else { "Cluster" }, "verbs": resource.verbs.listed(),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|part| {
            let answer = match part {
                Subresource::Token => kind("authentication.k8s.io", "v1", "TokenRequest"),
                Subresource::Status | Subresource::Finalize => own.clone(),
            };
            json!({"subresource": part.as_str(), "responseKind": answer, "verbs": part.verbs()})
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = json!(parts);
    }
    entry
}
