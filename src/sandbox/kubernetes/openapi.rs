//! OpenAPI v3 of what is served, from the same types that decode it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::Shared;
use super::discovery;
use super::registry::{Resource, Rules, Subresource};
use super::schema::{CUSTOM_RESOURCE, Field, ListKind, SCHEMA, Scalar, Shape};

/// `/openapi/v3`: where each group's document is.
pub(crate) fn index(shared: &Shared) -> Value {
    let mut paths = Map::new();
    for (group, versions) in discovery::groups(shared) {
        for version in versions {
            let path = match group.is_empty() {
                true => format!("api/{version}"),
                false => format!("apis/{group}/{version}"),
            };
            let entry = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=sandbox")});
            paths.insert(path, entry);
        }
    }
    json!({"paths": paths})
}

/// The document of one group and version; nothing when it is not served.
pub(crate) fn document(shared: &Shared, group: &str, version: &str) -> Option<Value> {
    let all = shared.registry.all().into_iter();
    let served: Vec<Arc<Resource>> =
        all.filter(|resource| resource.group == group && resource.version == version).collect();
    if served.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let mut needed: Vec<String> = Vec::new();
    let mut schemas = Map::new();
    for resource in &served {
        paths.extend(paths_of(resource));
        if resource.rules == Rules::CustomResource {
            schemas.insert(schema_name(resource), custom_schema(resource));
        } else {
            needed.push(resource.schema.clone());
        }
    }
    add_schemas(&mut schemas, needed, &served);
    let info = json!({"title": "Kubernetes", "version": "v1.36.3"});
    Some(json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}))
}

fn schema_name(resource: &Resource) -> String {
    match resource.rules {
        Rules::CustomResource => {
            let reversed: Vec<&str> = resource.group.split('.').rev().collect();
            format!("{}.{}.{}", reversed.join("."), resource.version, resource.kind)
        }
        _ => resource.schema.clone(),
    }
}

fn paths_of(resource: &Resource) -> Vec<(String, Value)> {
    let root = match resource.group.is_empty() {
        true => format!("/api/{}", resource.version),
        false => format!("/apis/{}/{}", resource.group, resource.version),
    };
    let namespace = if resource.namespaced() { "/namespaces/{namespace}" } else { "" };
    let base = format!("{root}{namespace}/{}", resource.plural);
    let mut collection = Map::new();
    let mut single = Map::new();
    for verb in resource.verbs.listed() {
        match *verb {
            "list" => collection.insert("get".to_owned(), operation(resource, "list", &[])),
            "create" => {
                collection.insert("post".to_owned(), operation(resource, "post", &["fieldValidation", "dryRun"]))
            }
            "get" => single.insert("get".to_owned(), operation(resource, "get", &[])),
            "update" => single.insert("put".to_owned(), operation(resource, "put", &["fieldValidation", "dryRun"])),
            "patch" => single.insert("patch".to_owned(), operation(resource, "patch", &["fieldValidation", "dryRun"])),
            "delete" => single.insert("delete".to_owned(), operation(resource, "delete", &["dryRun"])),
            _ => None,
        };
    }
    let mut paths = vec![(base.clone(), Value::Object(collection))];
    if !single.is_empty() {
        paths.push((format!("{base}/{{name}}"), Value::Object(single.clone())));
    }
    for part in resource.subresources.iter().filter(|part| **part == Subresource::Status) {
        paths.push((format!("{base}/{{name}}/{}", part.as_str()), Value::Object(single.clone())));
    }
    paths
}

fn operation(resource: &Resource, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let object = json!({"$ref": format!("#/components/schemas/{}", schema_name(resource))});
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": object}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_of(resource),
    })
}

fn kind_of(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn custom_schema(resource: &Resource) -> Value {
    json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}},
        "x-kubernetes-group-version-kind": [kind_of(resource)],
    })
}

/// Adds the named types and all that they refer to.
fn add_schemas(schemas: &mut Map<String, Value>, mut needed: Vec<String>, served: &[Arc<Resource>]) {
    let mut done: BTreeSet<String> = BTreeSet::new();
    while let Some(name) = needed.pop() {
        if name == CUSTOM_RESOURCE || !done.insert(name.clone()) {
            continue;
        }
        let def = SCHEMA.get(&name);
        let mut properties = Map::new();
        for (field_name, field) in &def.fields {
            properties.insert(field_name.clone(), property(field, &mut needed));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if def.atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        let kinds: Vec<Value> =
            served.iter().filter(|resource| resource.schema == name).map(|resource| kind_of(resource)).collect();
        if !kinds.is_empty() {
            schema["x-kubernetes-group-version-kind"] = json!(kinds);
        }
        schemas.insert(name, schema);
    }
}

fn property(field: &Field, needed: &mut Vec<String>) -> Value {
    let mut property = shape(&field.shape, needed);
    if let Shape::List(_, kind) = &field.shape {
        property["x-kubernetes-list-type"] = match kind {
            ListKind::Atomic => json!("atomic"),
            ListKind::Set => json!("set"),
            ListKind::Map(keys) => {
                property["x-kubernetes-list-map-keys"] = json!(keys);
                json!("map")
            }
        };
    }
    if field.atomic {
        property["x-kubernetes-map-type"] = json!("atomic");
    }
    if field.patch.merge {
        property["x-kubernetes-patch-strategy"] = json!("merge");
    }
    if let Some(key) = &field.merge_key {
        property["x-kubernetes-patch-merge-key"] = json!(key);
    }
    if let Some(default) = &field.default {
        property["default"] = default.clone();
    }
    property
}

fn shape(of: &Shape, needed: &mut Vec<String>) -> Value {
    match of {
        Shape::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
        Shape::Struct(name) => {
            needed.push(name.clone());
            json!({"allOf": [{"$ref": format!("#/components/schemas/{name}")}]})
        }
        Shape::List(element, _) => json!({"type": "array", "items": shape(element, needed)}),
        Shape::Map(element) => json!({"type": "object", "additionalProperties": shape(element, needed)}),
        Shape::Scalar(scalar) => match scalar {
            Scalar::String | Scalar::Quantity => json!({"type": "string"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Time | Scalar::MicroTime => json!({"type": "string", "format": "date-time"}),
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::Int32 | Scalar::Unsigned => json!({"type": "integer", "format": "int32"}),
            Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
            Scalar::Float64 => json!({"type": "number", "format": "double"}),
            Scalar::IntOrString => {
                json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
            }
        },
    }
}
