//! Merging a configuration into an object, and taking fields out of one.

use serde_json::{Map, Value};

use super::set::{FieldSet, Step};
use super::view::View;

/// The object with the configuration's values in it.
pub(super) fn merge(live: &Value, config: &Value, view: View<'_>) -> Value {
    merged(Some(live), Some(config), view).unwrap_or(Value::Null)
}

/// The object without the fields of the set.
pub(super) fn remove(value: &Value, fields: &FieldSet, view: View<'_>) -> Value {
    removed(value, fields, view).unwrap_or(Value::Null)
}

fn merged(live: Option<&Value>, config: Option<&Value>, view: View<'_>) -> Option<Value> {
    let is_empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => false,
    };
    let leaf = || config.or(live).cloned();
    if is_empty(live) && is_empty(config) {
        return leaf();
    }
    let sample = config.or(live).unwrap_or(&Value::Null);
    if view.divides_members(sample) {
        let nothing = Map::new();
        let live = live.and_then(Value::as_object).unwrap_or(&nothing);
        let config = config.and_then(Value::as_object).unwrap_or(&nothing);
        let only_config = config.keys().filter(|name| !live.contains_key(*name));
        let mut out = Map::new();
        for name in live.keys().chain(only_config) {
            let below = view.member(name).unwrap_or(View::Free);
            let value = merged(live.get(name), config.get(name), below);
            out.extend(value.map(|value| (name.clone(), value)));
        }
        return (!out.is_empty()).then_some(Value::Object(out));
    }
    if view.divides_items() {
        let items = merged_items(list(live), list(config), view);
        return (!items.is_empty()).then_some(Value::Array(items));
    }
    leaf()
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Items of the configuration keep its order; others of the object stay where they were among them.
fn merged_items(live: &[Value], config: &[Value], view: View<'_>) -> Vec<Value> {
    let steps = |items: &[Value]| -> Vec<Option<Step>> { items.iter().map(|item| view.step_to(item).ok()).collect() };
    let (live_steps, config_steps) = (steps(live), steps(config));
    let partner = |step: &Option<Step>, steps: &[Option<Step>], items: &[Value]| {
        steps.iter().position(|other| other == step).map(|index| items[index].clone())
    };
    let mut shared = config_steps.iter().filter(|step| live_steps.contains(step));
    let mut next_shared = shared.next();
    let mut done: Vec<&Option<Step>> = Vec::new();
    let (mut l, mut c) = (0, 0);
    let mut out = Vec::new();
    while l < live.len() || c < config.len() {
        if l < live.len() && c < config.len() {
            let step = &live_steps[l];
            if *step == config_steps[c] {
                out.extend(merged(Some(&live[l]), Some(&config[c]), view.item()));
                done.push(step);
                (l, c) = (l + 1, c + 1);
                next_shared = shared.next();
                continue;
            }
            if config_steps.contains(step) && next_shared.is_some_and(|next| next != step) {
                l += 1;
                continue;
            }
        }
        if l < live.len() {
            let step = &live_steps[l];
            if !config_steps.contains(step) {
                out.push(live[l].clone());
                l += 1;
                continue;
            }
            if done.contains(&step) {
                l += 1;
            }
        }
        if c < config.len() {
            let step = &config_steps[c];
            let before = partner(step, &live_steps, live);
            out.extend(merged(before.as_ref(), Some(&config[c]), view.item()));
            done.push(step);
            c += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    out
}

fn removed(value: &Value, fields: &FieldSet, view: View<'_>) -> Option<Value> {
    if view.divides_members(value) {
        let mut out = Map::new();
        for (name, member) in value.as_object().into_iter().flatten() {
            let step = Step::field(name);
            if fields.has(&step) {
                continue;
            }
            let kept = match fields.below(&step) {
                Some(below) => removed(member, below, view.member(name).unwrap_or(View::Free)).unwrap_or(Value::Null),
                None => member.clone(),
            };
            out.insert(name.clone(), kept);
        }
        return (!out.is_empty()).then_some(Value::Object(out));
    }
    if view.divides_items() {
        let items: Vec<Value> = list(Some(value)).iter().filter_map(|item| removed_item(item, fields, view)).collect();
        return (!items.is_empty()).then_some(Value::Array(items));
    }
    // A list or map owned as a whole goes when something in it is to go.
    (!value.is_array() && !value.is_object()).then(|| value.clone())
}

fn removed_item(item: &Value, fields: &FieldSet, view: View<'_>) -> Option<Value> {
    let step = view.step_to(item).ok()?;
    if fields.has(&step) {
        return None;
    }
    Some(match fields.below(&step) {
        Some(below) => removed(item, below, view.item()).unwrap_or(Value::Null),
        None => item.clone(),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    const SERVICE: &str = "io.k8s.api.core.v1.Service";

    #[test]
    fn a_configuration_lands_among_what_is_there() {
        let live = json!({
            "metadata": {"labels": {"a": "1"}, "finalizers": ["x/y"]},
            "spec": {"selector": {"k": "v"}, "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}, {"port": 1}]},
        });
        let config = json!({
            "metadata": {"labels": {"b": "2"}, "finalizers": ["z/z"]},
            "spec": {"selector": {"q": "r"}, "ports": [{"port": 443}, {"port": 80, "name": "http"}]},
        });
        let expected = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x/y", "z/z"]},
            "spec": {"selector": {"q": "r"}, "ports": [
                {"port": 443}, {"port": 80, "protocol": "TCP", "nodePort": 30000, "name": "http"}, {"port": 1},
            ]},
        });
        let found = merge(&live, &config, View::of_type(SERVICE));
        assert_eq!(found["metadata"], expected["metadata"]);
        assert_eq!(found["spec"]["selector"], expected["spec"]["selector"]);
        let names: Vec<i64> =
            found["spec"]["ports"].as_array().unwrap().iter().map(|port| port["port"].as_i64().unwrap()).collect();
        assert_eq!(names.len(), 3);
        assert!(found["spec"]["ports"].as_array().unwrap().contains(&expected["spec"]["ports"][1]));
    }

    #[test]
    fn fields_are_taken_out() {
        let value =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"ports": [{"port": 80}, {"port": 1}]}});
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        let found = remove(&value, &FieldSet::from_json(&fields).unwrap(), View::of_type(SERVICE));
        assert_eq!(found, json!({"metadata": {"labels": {"b": "2"}}, "spec": {"ports": [{"port": 1}]}}));
    }
}
