//! What holds for one resource and not for others, in the order in which a real server applies it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::allocation::Claims;
use super::api::Shared;
use super::field_error::FieldError;
use super::object;
use super::registry::{Resource, Rules, Subresource};
use super::service;
use super::service_allocation::{self, Reservation};
use super::status::Refusal;
use super::validation::event::EventApi;
use super::validation::{event, lease, metadata, node as node_validation, service as service_validation};
use super::{crd, namespace, node, pod, structural};

/// Fills in what the API's decoder fills in.
pub(crate) fn default(resource: &Resource, value: &mut Value) {
    match resource.rules {
        Rules::Service => service::default(value),
        Rules::Secret => default_secret(value),
        Rules::Pod => pod::default(value),
        Rules::EndpointSlice => default_endpoint_ports(value),
        Rules::CustomResourceDefinition => crd::default(value),
        Rules::Namespace => namespace::default(value),
        Rules::Node => node::default(value),
        Rules::Generic | Rules::ConfigMap | Rules::Event | Rules::Lease | Rules::CustomResource | Rules::Review => {}
    }
}

/// Drops and sets what is not the client's to say about a new object.
pub(crate) fn prepare_create(resource: &Resource, value: &mut Value) {
    match resource.rules {
        Rules::Service => value["status"] = json!({"loadBalancer": {}}),
        Rules::Node => node::prepare_create(value),
        Rules::Pod => pod::prepare_create(value),
        Rules::Namespace => namespace::prepare_create(value),
        Rules::CustomResourceDefinition => crd::prepare_create(value),
        Rules::CustomResource if resource.subresources.contains(&Subresource::Status) => {
            object::members_mut(value).remove("status");
        }
        Rules::CustomResource
        | Rules::Generic
        | Rules::ConfigMap
        | Rules::Secret
        | Rules::Event
        | Rules::Lease
        | Rules::EndpointSlice
        | Rules::Review => {}
    }
}

/// Keeps from the old object what the path may not change.
pub(crate) fn prepare_update(resource: &Resource, part: Option<Subresource>, old: &Value, new: &mut Value) {
    let members = object::members_mut(new);
    match (part, has_status(resource)) {
        (Some(Subresource::Status), _) if resource.rules == Rules::CustomResource => keep_all_but_status(old, new),
        (Some(Subresource::Status), _) => object::carry_over(members, old, "spec"),
        (Some(Subresource::Finalize), _) => object::carry_over(members, old, "status"),
        (None, true) => {
            object::carry_over(members, old, "status");
            if resource.rules == Rules::Namespace {
                object::carry_over(members, old, "spec");
            }
        }
        (Some(Subresource::Token), _) | (None, false) => {}
    }
    if resource.rules == Rules::Service && part.is_none() {
        service::drop_type_dependent_fields(old, new);
    }
    if resource.rules == Rules::CustomResourceDefinition {
        crd::settle(new);
    }
}

/// Parts of an object that a path drops, as field managers must not come to own them.
pub(crate) fn reset_fields(resource: &Resource, part: Option<Subresource>) -> &'static [&'static str] {
    match part {
        Some(Subresource::Status) if resource.custom.is_some() => &["spec", "metadata"],
        Some(Subresource::Status) => &["spec"],
        Some(Subresource::Finalize) => &["status"],
        Some(Subresource::Token) => &[],
        None if resource.rules == Rules::Namespace => &["status"],
        None if has_status(resource) => &["status"],
        None => &[],
    }
}

/// Whether status has a path of its own.
fn has_status(resource: &Resource) -> bool {
    resource.subresources.contains(&Subresource::Status)
}

/// Of a custom object, the path of the status changes nothing else, but for the account of who owns it.
fn keep_all_but_status(old: &Value, new: &mut Value) {
    let mut kept = old.clone();
    object::carry_over(object::members_mut(&mut kept), new, "status");
    object::carry_over(object::metadata_mut(&mut kept), &new["metadata"], "managedFields");
    *new = kept;
}

fn by_schema(resource: &Resource, value: &Value) -> Vec<FieldError> {
    resource.custom.as_ref().map(|custom| structural::validate(value, &custom.schema)).unwrap_or_default()
}

/// Takes what the object needs from what the cluster has.
///
/// # Errors
/// When it cannot be given.
pub(crate) fn reserve<'a>(
    shared: &'a Arc<Shared>,
    resource: &Resource,
    part: Option<Subresource>,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<Option<Reservation<'a>>, Refusal> {
    match (resource.rules, part) {
        (Rules::Service, None) => service_allocation::reserve(shared, resource, old, new).map(Some),
        _ => Ok(None),
    }
}

/// Gives back what a removed object held.
pub(crate) fn release(shared: &Shared, resource: &Resource, removed: &Value) {
    if resource.rules == Rules::Service {
        shared.allocations().release(&Claims::of(removed), &Claims::default());
    }
}

/// What is wrong with a new object, beyond its metadata.
pub(crate) fn validate_create(resource: &Resource, value: &Value) -> Vec<FieldError> {
    match resource.rules {
        Rules::Service => service_validation::check(value, None),
        Rules::Node => node_validation::of_new(value),
        Rules::Lease => lease::check(value),
        Rules::Event => event::of_new(value, EventApi::of_group(&resource.group)),
        Rules::ConfigMap => config_map(value),
        Rules::CustomResourceDefinition => crd::validate(value),
        Rules::EndpointSlice => address_type(value),
        Rules::CustomResource => by_schema(resource, value),
        Rules::Generic | Rules::Namespace | Rules::Secret | Rules::Pod | Rules::Review => Vec::new(),
    }
}

/// What is wrong with a change by the resource's own rules, which look at the metadata once more.
pub(crate) fn validate_update(
    resource: &Resource,
    part: Option<Subresource>,
    old: &Value,
    new: &Value,
) -> Vec<FieldError> {
    let mut errors = match (resource.rules, part) {
        (Rules::Node, None) => [metadata::of_new(resource, new), node_validation::of_new(new)].concat(),
        _ => Vec::new(),
    };
    if resource.rules != Rules::Event || !resource.group.is_empty() {
        errors.extend(metadata::of_change(resource, old, new));
    }
    errors.extend(match (resource.rules, part) {
        (Rules::Service, None) => service_validation::check_change(old, new),
        (Rules::Service, Some(_)) => service_validation::check_status(new),
        (Rules::Node, _) => node_validation::of_change(old, new),
        (Rules::Namespace, Some(Subresource::Status)) => namespace::check_status(new),
        (Rules::Lease, _) => lease::check(new),
        (Rules::Event, _) => event::of_change(old, new, EventApi::of_group(&resource.group)),
        (Rules::ConfigMap, _) => [immutable_data(old, new), config_map(new)].concat(),
        (Rules::Secret, _) => [immutable_type(old, new, "type"), immutable_data(old, new)].concat(),
        (Rules::EndpointSlice, _) => immutable_type(old, new, "addressType"),
        (Rules::CustomResourceDefinition, _) => crd::validate(new),
        (Rules::CustomResource, _) => by_schema(resource, new),
        (Rules::Generic | Rules::Namespace | Rules::Pod | Rules::Review, _) => Vec::new(),
    });
    errors
}

/// What a client should know about an object that is accepted.
pub(crate) fn warnings(resource: &Resource, part: Option<Subresource>, value: &Value) -> Vec<String> {
    match (resource.rules, part) {
        (Rules::Service, None) => service::warnings(value),
        _ => Vec::new(),
    }
}

/// Plain text is a way to write data, which is all that is kept.
fn default_secret(secret: &mut Value) {
    if object::text(secret, "type").is_empty() {
        secret["type"] = json!("Opaque");
    }
    let plain = object::members_mut(secret).remove("stringData");
    for (key, text) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        secret["data"][key.as_str()] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
    }
}

fn default_endpoint_ports(slice: &mut Value) {
    let ports = slice["ports"].as_array_mut();
    for port in ports.into_iter().flatten() {
        if port["name"].is_null() {
            port["name"] = json!("");
        }
        if port["protocol"].is_null() {
            port["protocol"] = json!("TCP");
        }
    }
}

fn address_type(slice: &Value) -> Vec<FieldError> {
    let given = object::text(slice, "addressType");
    match given {
        "IPv4" | "IPv6" | "FQDN" => Vec::new(),
        "" => vec![FieldError::required("addressType", "")],
        _ => vec![FieldError::not_supported("addressType", given, &["FQDN", "IPv4", "IPv6"])],
    }
}

fn config_map(value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for section in ["data", "binaryData"] {
        for (key, content) in value[section].as_object().into_iter().flatten() {
            let valid = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if key.is_empty() || key.len() > 253 || !key.chars().all(valid) {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
                           or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                errors.push(FieldError::invalid(format!("{section}[{key}]"), key.as_str(), why));
            }
            size += content.as_str().map_or(0, str::len);
        }
    }
    if size > 1024 * 1024 {
        errors.push(FieldError::too_long("[]", 1024 * 1024));
    }
    errors
}

fn immutable_data(old: &Value, new: &Value) -> Vec<FieldError> {
    if old["immutable"] != json!(true) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for field in ["immutable", "data", "binaryData"] {
        if old[field] != new[field] {
            let why = "field is immutable when `immutable` is set";
            errors.push(FieldError::forbidden(field, why));
        }
    }
    errors
}

fn immutable_type(old: &Value, new: &Value, field: &str) -> Vec<FieldError> {
    match old[field] == new[field] {
        true => Vec::new(),
        false => vec![FieldError::invalid(field, new[field].clone(), "field is immutable")],
    }
}
