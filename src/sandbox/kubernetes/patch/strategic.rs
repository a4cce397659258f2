//! Strategic merge patch: lists merge item by item where the Go types say so.

use serde_json::{Map, Value};

use super::order::{check_order, enforce_order, key_of};
use crate::sandbox::kubernetes::schema::{Field, SCHEMA, Shape, TypeDef};
use crate::sandbox::kubernetes::status::Refusal;

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Applies a patch to an object of the type `schema`.
///
/// # Errors
/// When a directive is malformed, or an item to be merged lacks its merge key.
pub(super) fn apply(target: Value, patch: &Value, schema: &str) -> Result<Value, Refusal> {
    let original = into_map(target);
    let patch = patch.as_object().cloned().unwrap_or_default();
    merge_map(original, patch, Level::Struct(SCHEMA.get(schema))).map(Value::Object)
}

/// What is known about the members of a map.
#[derive(Clone, Copy)]
enum Level<'a> {
    Struct(&'a TypeDef),
    Map(&'a Shape),
    Free,
}

impl<'a> Level<'a> {
    fn field(self, name: &str) -> Option<&'a Field> {
        match self {
            Self::Struct(def) => def.fields.get(name),
            Self::Map(_) | Self::Free => None,
        }
    }

    /// What is known below the member `name`, list items included.
    fn below(self, name: &str) -> Level<'a> {
        match self {
            Self::Struct(def) => def.fields.get(name).map_or(Level::Free, |field| Level::of(&field.shape)),
            Self::Map(element) => Level::of(element),
            Self::Free => Level::Free,
        }
    }

    fn of(shape: &'a Shape) -> Level<'a> {
        match shape {
            Shape::Struct(name) => Level::Struct(SCHEMA.get(name)),
            Shape::Map(element) => Level::Map(element),
            Shape::List(element, _) => Level::of(element),
            Shape::Scalar(_) | Shape::Any => Level::Free,
        }
    }
}

fn merge_map(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    level: Level<'_>,
) -> Result<Map<String, Value>, Refusal> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => return Ok(patch),
        Some(Value::String(directive)) if directive == "delete" => return Ok(Map::new()),
        Some(other) => return Err(unknown_directive(&other)),
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered(&mut original, &mut patch, level)?;
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            delete_from(&mut original, list, &value);
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let merged = match (original.remove(&key), value) {
            (Some(Value::Object(before)), Value::Object(patch)) => {
                let replaces = level.field(&key).is_some_and(|field| field.patch.replace);
                Some(Value::Object(if replaces { patch } else { merge_map(before, patch, level.below(&key))? }))
            }
            (Some(Value::Array(before)), Value::Array(patch)) => {
                Some(Value::Array(merge_list_field(before, patch, &key, level)?))
            }
            (_, value) => without_directives(without_nulls(value)),
        };
        original.extend(merged.map(|merged| (key, merged)));
    }
    Ok(original)
}

fn merge_list_field(before: Vec<Value>, patch: Vec<Value>, key: &str, level: Level<'_>) -> Result<Vec<Value>, Refusal> {
    match level.field(key).filter(|field| field.patch.merge) {
        Some(field) => merge_list(before, patch, field.merge_key.as_deref(), level.below(key)),
        None => Ok(patch),
    }
}

/// `$retainKeys` names all members that stay.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let malformed = || Refusal::plain_internal("invalid patch format of retainKeys");
    let retained = retained.as_array().ok_or_else(malformed)?.clone();
    let is_retained = |key: &str| retained.iter().any(|name| name.as_str() == Some(key));
    let stray = patch.iter().any(|(key, value)| !value.is_null() && !key.starts_with('$') && !is_retained(key));
    if stray {
        return Err(malformed());
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

/// `$setElementOrder/LIST` names all items in order; those unnamed keep their places among themselves.
fn merge_ordered(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    level: Level<'_>,
) -> Result<(), Refusal> {
    let orders: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
    for directive in orders {
        let Some(order) = patch.remove(&directive) else {
            continue;
        };
        let order = order.as_array().cloned().unwrap_or_default();
        let list = directive.trim_start_matches(SET_ORDER);
        let deletions = patch.remove(&format!("{DELETE_FROM}{list}"));
        let field = level.field(list);
        let key = field.and_then(|field| field.merge_key.as_deref());
        check_order(patch.get(list).unwrap_or(&Value::Null), &order, key)?;
        if let Some(deletions) = &deletions {
            delete_from(original, list, deletions);
        }
        let before = original.get(list).and_then(Value::as_array).cloned();
        let merged = match (before.clone(), patch.remove(list)) {
            (Some(before), Some(Value::Array(patch))) => merge_list_field(before, patch, list, level)?,
            (Some(before), None) => before,
            (None, Some(Value::Array(patch))) => {
                patch.into_iter().filter_map(|item| without_directives(without_nulls(item))).collect()
            }
            (_, Some(other)) => {
                patch.insert(list.to_owned(), other);
                continue;
            }
            (None, None) => continue,
        };
        let ordered = enforce_order(merged, &order, &before.unwrap_or_default(), key)?;
        original.insert(list.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

fn merge_list(
    mut before: Vec<Value>,
    patch: Vec<Value>,
    key: Option<&str>,
    level: Level<'_>,
) -> Result<Vec<Value>, Refusal> {
    let of_maps = before.iter().chain(&patch).any(Value::is_object);
    if !of_maps {
        let order = patch.clone();
        let mut merged = before.clone();
        for item in patch {
            if !merged.contains(&item) {
                merged.push(item);
            }
        }
        return enforce_order(merged, &order, &before, None);
    }
    let key = key.ok_or_else(|| Refusal::plain_internal("cannot merge lists without merge key"))?;
    let mut items = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        match item.get(DIRECTIVE).map(|directive| (directive.as_str(), directive)) {
            None => items.push(item),
            Some((Some("delete"), _)) => {
                let wanted = key_of(&item, key)?.clone();
                before.retain(|existing| existing.get(key) != Some(&wanted));
            }
            Some((Some("replace"), _)) => replace = true,
            Some((_, directive)) => return Err(unknown_directive(directive)),
        }
    }
    if replace {
        return Ok(items);
    }
    let order = items.clone();
    let mut merged = before.clone();
    for item in items {
        let wanted = key_of(&item, key)?.clone();
        match merged.iter_mut().find(|existing| existing.get(key) == Some(&wanted)) {
            Some(existing) => {
                let original = into_map(std::mem::take(existing));
                *existing = Value::Object(merge_map(original, into_map(item), level)?);
            }
            None => merged.push(without_nulls(item)),
        }
    }
    enforce_order(merged, &order, &before, Some(key))
}

fn delete_from(original: &mut Map<String, Value>, list: &str, deleted: &Value) {
    let deleted = deleted.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(items) = original.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(|item| !deleted.contains(item));
    }
}

fn unknown_directive(directive: &Value) -> Refusal {
    let shown = directive.as_str().map_or_else(|| directive.to_string(), str::to_owned);
    Refusal::plain_internal(format!("unknown patch type: {shown} in map"))
}

/// New content takes no nulls along.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// New content takes no directives along; an object that is one is nothing.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(DIRECTIVE) => None,
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(key, _)| !key.starts_with('$'));
            Some(Value::Object(kept.filter_map(|(key, value)| Some((key, without_directives(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    const NODE: &str = "io.k8s.api.core.v1.Node";
    const SERVICE: &str = "io.k8s.api.core.v1.Service";

    #[test]
    fn patches_merge_as_the_types_say() {
        let addresses = json!({"status": {"addresses": [
            {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "192.0.2.1"},
        ]}});
        let finalizers = json!({"metadata": {"finalizers": ["a.io/a", "b.io/b"]}});
        let ports =
            json!({"spec": {"ports": [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 443, "name": "b"}]}});
        let rows: &[(&str, &str, &Value, Value, Value)] = &[
            (
                "addresses merge by type",
                NODE,
                &addresses,
                json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.2"}]}}),
                json!({"status": {"addresses": [
                    {"type": "InternalIP", "address": "10.0.0.2"}, {"type": "ExternalIP", "address": "192.0.2.1"},
                ]}}),
            ),
            (
                "addresses replaced as a whole",
                NODE,
                &addresses,
                json!({"status": {"addresses": [{"$patch": "replace"}, {"type": "Hostname", "address": "n"}]}}),
                json!({"status": {"addresses": [{"type": "Hostname", "address": "n"}]}}),
            ),
            (
                "one address deleted",
                NODE,
                &addresses,
                json!({"status": {"addresses": [{"$patch": "delete", "type": "InternalIP"}]}}),
                json!({"status": {"addresses": [{"type": "ExternalIP", "address": "192.0.2.1"}]}}),
            ),
            (
                "taints replace",
                NODE,
                &json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
                json!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}),
                json!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}),
            ),
            (
                "a finalizer added",
                SERVICE,
                &finalizers,
                json!({"metadata": {"finalizers": ["c.io/c"], "$setElementOrder/finalizers": ["a.io/a", "b.io/b", "c.io/c"]}}),
                json!({"metadata": {"finalizers": ["a.io/a", "b.io/b", "c.io/c"]}}),
            ),
            (
                "a finalizer deleted",
                SERVICE,
                &finalizers,
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.io/a"], "$setElementOrder/finalizers": ["b.io/b"]}}),
                json!({"metadata": {"finalizers": ["b.io/b"]}}),
            ),
            (
                "ports merge by port, in the order given",
                SERVICE,
                &ports,
                json!({"spec": {
                    "ports": [{"port": 8080, "name": "c"}, {"port": 80, "name": "z"}],
                    "$setElementOrder/ports": [{"port": 443}, {"port": 8080}, {"port": 80}],
                }}),
                json!({"spec": {"ports": [
                    {"port": 443, "name": "b"}, {"port": 8080, "name": "c"}, {"port": 80, "name": "z", "nodePort": 30000},
                ]}}),
            ),
            (
                "ingress replaced, and nothing merged into an empty object",
                SERVICE,
                &json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}),
                json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}, "conditions": []}}),
                json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}, "conditions": []}}),
            ),
            (
                "ingress cleared by null only",
                SERVICE,
                &json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}),
                json!({"status": {"loadBalancer": {"ingress": null}}}),
                json!({"status": {"loadBalancer": {}}}),
            ),
            (
                "a map replaced",
                SERVICE,
                &json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
                json!({"metadata": {"labels": {"$patch": "replace", "c": "3"}}}),
                json!({"metadata": {"labels": {"c": "3"}}}),
            ),
            (
                "keys retained",
                SERVICE,
                &json!({"spec": {"a": 1, "b": 2}}),
                json!({"spec": {"$retainKeys": ["b", "c"], "c": 3}}),
                json!({"spec": {"b": 2, "c": 3}}),
            ),
        ];
        for (row, schema, original, patch, expected) in rows {
            let found = apply((*original).clone(), patch, schema);
            assert_eq!(found, Ok(expected.clone()), "{row}");
        }
    }

    #[test]
    fn an_item_without_its_merge_key_is_refused() {
        let original = json!({"spec": {"ports": [{"port": 80}]}});
        let refused = apply(original, &json!({"spec": {"ports": [{"name": "x"}]}}), SERVICE).unwrap_err();
        assert_eq!(refused.message, "map: map[name:x] does not contain declared merge key: port");
    }
}
