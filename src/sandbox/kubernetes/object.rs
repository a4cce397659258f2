//! Reading and writing the metadata of untyped objects.

use serde_json::{Map, Value};

use super::registry::Resource;

/// The metadata of an object; an empty one is made when there is none.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    members(members_mut(object).entry("metadata").or_insert_with(|| Value::Object(Map::new())))
}

/// The members of a value that is known to be an object; anything else becomes an empty one.
pub(crate) fn members_mut(value: &mut Value) -> &mut Map<String, Value> {
    members(value)
}

fn members(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("the value was just made an object")
}

/// A text of the metadata, empty when absent.
pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The text at a dotted path, empty when absent.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    path.split('.').fold(object, |value, part| &value[part]).as_str().unwrap_or_default()
}

/// The items of the list at a dotted path, none when absent.
pub(crate) fn items<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    path.split('.').fold(object, |value, part| &value[part]).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> &[Value] {
    items(object, "metadata.finalizers")
}

/// Whether deletion was asked for.
pub(crate) fn is_being_deleted(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}

/// A copy with `kind` and `apiVersion`.
pub(crate) fn with_type(object: &Value, resource: &Resource) -> Value {
    let mut copy = object.clone();
    let members = members_mut(&mut copy);
    members.insert("apiVersion".to_owned(), Value::from(resource.api_version()));
    members.insert("kind".to_owned(), Value::from(resource.kind.clone()));
    copy
}

/// Copies `from`'s value at the key into `to`, or removes it there when `from` has none.
pub(crate) fn carry_over(to: &mut Map<String, Value>, from: &Value, key: &str) {
    match from.get(key) {
        Some(value) => to.insert(key.to_owned(), value.clone()),
        None => to.remove(key),
    };
}
