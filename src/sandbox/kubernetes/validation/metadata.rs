//! Names, labels, annotations, finalizers and owners.

use serde_json::{Map, Value};

use super::name;
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::registry::{Resource, Rules};

const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// What is wrong with the metadata of a new object.
pub(crate) fn of_new(resource: &Resource, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let generate = object::meta(value, "generateName");
    if !generate.is_empty() {
        // A generated name ends in letters, so that a trailing dash is no fault.
        let masked = match generate.strip_suffix('-') {
            Some(head) if !head.is_empty() => format!("{}a", &head[..head.len() - 1]),
            Some(_) | None => generate.to_owned(),
        };
        let faults = name_faults(resource, &masked).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid("metadata.generateName", generate, fault)));
    }
    let given = object::meta(value, "name");
    let faults = name_faults(resource, given).into_iter();
    errors.extend(faults.map(|fault| FieldError::invalid("metadata.name", given, fault)));
    errors.extend(common(value));
    errors.extend(finalizer_names(resource, value));
    errors
}

/// What is wrong with a change of metadata.
pub(crate) fn of_change(resource: &Resource, old: &Value, new: &Value) -> Vec<FieldError> {
    [generic_change(old, new), finalizer_names(resource, new)].concat()
}

/// What is wrong with a change of metadata, whatever the resource.
pub(crate) fn generic_change(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if object::is_being_deleted(old) {
        let before = object::finalizers(old);
        let added: Vec<String> = object::finalizers(new)
            .iter()
            .filter(|finalizer| !before.contains(finalizer))
            .map(Value::to_string)
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", why));
        }
    }
    for field in ["name", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if old["metadata"][field] != new["metadata"][field] {
            let value = new["metadata"][field].clone();
            errors.push(FieldError::invalid(format!("metadata.{field}"), value, "field is immutable"));
        }
    }
    errors.extend(without_finalizers(new));
    errors
}

/// What is wrong with labels (or a selector), each key and value.
pub(crate) fn labels(labels: &Value, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in members(labels) {
        let faults = name::qualified(key).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid(field, key.as_str(), fault)));
        let text = value.as_str().unwrap_or_default();
        let faults = name::label_value(text).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid(field, text, fault)));
    }
    errors
}

/// What is wrong with metadata on its own.
pub(crate) fn common(value: &Value) -> Vec<FieldError> {
    let mut errors = without_finalizers(value);
    for finalizer in object::finalizers(value) {
        let text = finalizer.as_str().unwrap_or_default();
        let faults = name::qualified(text).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid("metadata.finalizers", text, fault)));
    }
    errors
}

fn without_finalizers(value: &Value) -> Vec<FieldError> {
    let metadata = &value["metadata"];
    let mut errors = labels(&metadata["labels"], "metadata.labels");
    errors.extend(annotations(&metadata["annotations"]));
    for owner in object::items(value, "metadata.ownerReferences") {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, field).is_empty() {
                let detail = if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                errors.push(FieldError::invalid(format!("metadata.ownerReferences.{field}"), "", detail));
            }
        }
    }
    errors
}

/// Kubernetes' own kinds take finalizers with a prefix, and three without.
fn finalizer_names(resource: &Resource, value: &Value) -> Vec<FieldError> {
    if !matches!(resource.group.as_str(), "" | "discovery.k8s.io") {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for (index, finalizer) in object::finalizers(value).iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        if !text.contains('/') && !matches!(text, "kubernetes" | "orphan" | "foregroundDeletion") {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(format!("metadata.finalizers[{index}]"), text, why));
        }
    }
    errors
}

fn annotations(annotations: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in members(annotations) {
        let faults = name::qualified(&key.to_lowercase()).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid("metadata.annotations", key.as_str(), fault)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
    errors
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn name_faults(resource: &Resource, given: &str) -> Vec<String> {
    match resource.rules {
        Rules::Namespace | Rules::Service => name::dns1123_label(given),
        _ => name::dns1123_subdomain(given),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;
    use crate::sandbox::kubernetes::registry::Registry;

    #[test]
    fn faults_of_metadata_are_named_with_their_field() {
        let big = "x".repeat(ANNOTATIONS_LIMIT);
        let rows: &[(&str, Value, &[&str])] = &[
            ("valid", json!({"name": "a", "labels": {"a.io/b": "c"}, "finalizers": ["a.io/b"]}), &[]),
            ("name", json!({"name": "A"}), &["metadata.name"]),
            ("label key", json!({"name": "a", "labels": {"-": "c"}}), &["metadata.labels"]),
            ("label value", json!({"name": "a", "labels": {"k": "a b"}}), &["metadata.labels"]),
            ("annotation key", json!({"name": "a", "annotations": {"a b": "c"}}), &["metadata.annotations"]),
            ("annotation key in capitals", json!({"name": "a", "annotations": {"A.io/B": "c"}}), &[]),
            ("annotations' size", json!({"name": "a", "annotations": {"k": big}}), &["metadata.annotations"]),
            ("generateName", json!({"name": "a-xyz", "generateName": "a-"}), &[]),
            ("finalizer", json!({"name": "a", "finalizers": ["x/a b"]}), &["metadata.finalizers"]),
            ("finalizer without prefix", json!({"name": "a", "finalizers": ["a"]}), &["metadata.finalizers[0]"]),
        ];
        let resource = Registry::built_in().find("", "v1", "services").unwrap();
        for (row, metadata, expected) in rows {
            let errors = of_new(&resource, &json!({"metadata": metadata}));
            let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, *expected, "{row}");
        }
    }
}
