//! What one state of an object has over another.

use serde_json::{Map, Value};

use super::set::{FieldSet, Step};
use super::view::View;

/// The fields in which two states differ.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// Only in the old state.
    pub(super) removed: FieldSet,
    /// In both, with other values.
    pub(super) modified: FieldSet,
    /// Only in the new state.
    pub(super) added: FieldSet,
}

/// Compares two states of an object.
pub(super) fn compare(old: &Value, new: &Value, view: View<'_>) -> Comparison {
    let mut found = Comparison::default();
    walk(Some(old), Some(new), view, &mut Vec::new(), &mut found);
    found
}

impl Comparison {
    /// The comparison without these fields and what is below them.
    pub(super) fn without(&self, fields: &FieldSet) -> Self {
        Self {
            removed: self.removed.without_below(fields),
            modified: self.modified.without_below(fields),
            added: self.added.without_below(fields),
        }
    }
}

fn walk(old: Option<&Value>, new: Option<&Value>, view: View<'_>, path: &mut Vec<Step>, found: &mut Comparison) {
    let sample = new.or(old).unwrap_or(&Value::Null);
    let divides = (view.divides_members(sample) || view.divides_items()) && !(is_empty(old) && is_empty(new));
    if !divides {
        leaf(old, new, path, found);
        return;
    }
    match view.divides_items() {
        true => items(old, new, view, path, found),
        false => members(old, new, view, path, found),
    }
    match (old, new) {
        (None, _) => found.added.insert(path),
        (_, None) => found.removed.insert(path),
        (Some(_), Some(_)) => {}
    }
}

fn leaf(old: Option<&Value>, new: Option<&Value>, path: &[Step], found: &mut Comparison) {
    match (old, new) {
        (None, _) => found.added.insert(path),
        (_, None) => found.removed.insert(path),
        (Some(old), Some(new)) if old != new => found.modified.insert(path),
        (Some(_), Some(_)) => {}
    }
}

fn members(old: Option<&Value>, new: Option<&Value>, view: View<'_>, path: &mut Vec<Step>, found: &mut Comparison) {
    let nothing = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&nothing);
    let new = new.and_then(Value::as_object).unwrap_or(&nothing);
    let only_new = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(only_new) {
        let Some(below) = view.member(name) else { continue };
        path.push(Step::field(name));
        walk(old.get(name), new.get(name), below, path, found);
        path.pop();
    }
}

fn items(old: Option<&Value>, new: Option<&Value>, view: View<'_>, path: &mut Vec<Step>, found: &mut Comparison) {
    let (old, new) = (grouped(old, view), grouped(new, view));
    let only_new = new.iter().filter(|(step, _)| !old.iter().any(|(other, _)| other == step));
    for (step, _) in old.iter().chain(only_new) {
        let of = |groups: &[(Step, Vec<&Value>)]| -> Vec<Value> {
            let found = groups.iter().find(|(other, _)| other == step);
            found.map(|(_, items)| items.iter().map(|item| (*item).clone()).collect()).unwrap_or_default()
        };
        let (before, after) = (of(&old), of(&new));
        path.push(step.clone());
        match (before.as_slice(), after.as_slice()) {
            ([] | [_], [] | [_]) => walk(before.first(), after.first(), view.item(), path, found),
            ([_, _, ..], [_, _, ..]) if before != after => found.modified.insert(path),
            ([_, _, ..], [_, _, ..]) => {}
            ([_, _, ..], rest) => {
                if let Some(item) = rest.first() {
                    walk(None, Some(item), view.item(), path, found);
                }
                found.removed.insert(path);
            }
            (rest, [_, _, ..]) => {
                if let Some(item) = rest.first() {
                    walk(Some(item), None, view.item(), path, found);
                }
                found.added.insert(path);
            }
        }
        path.pop();
    }
}

/// The items by the step that leads to them; several where a list has duplicates.
fn grouped<'a>(list: Option<&'a Value>, view: View<'_>) -> Vec<(Step, Vec<&'a Value>)> {
    let mut groups: Vec<(Step, Vec<&Value>)> = Vec::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        let Ok(step) = view.step_to(item) else { continue };
        match groups.iter_mut().find(|(other, _)| *other == step) {
            Some((_, items)) => items.push(item),
            None => groups.push((step, vec![item])),
        }
    }
    groups
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_found_field_by_field() {
        let old = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x/y"]},
            "spec": {"type": "ClusterIP", "selector": {"k": "v"}, "ports": [{"port": 80, "protocol": "TCP", "name": "a"}]},
        });
        let new = json!({
            "metadata": {"labels": {"a": "9"}, "finalizers": ["x/y", "z/z"]},
            "spec": {
                "type": "ClusterIP", "selector": {"k": "w"},
                "ports": [{"port": 80, "protocol": "TCP", "name": "b"}, {"port": 443}],
            },
        });
        let found = compare(&old, &new, View::of_type("io.k8s.api.core.v1.Service"));
        assert_eq!(found.removed.to_json(), json!({"f:metadata": {"f:labels": {"f:b": {}}}}));
        let modified = json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:selector": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}},
        });
        assert_eq!(found.modified.to_json(), modified);
        let added = json!({
            "f:metadata": {"f:finalizers": {"v:\"z/z\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        assert_eq!(found.added.to_json(), added);
    }
}
