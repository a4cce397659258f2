//! The two groups of Events are views of one collection, stored in the v1 form.

use serde_json::{Map, Value};

use super::registry::{Resource, Rules};

/// Field of events.k8s.io/v1, field of v1.
const PAIRS: &[(&str, &str)] = &[
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// The stored form of an object of `resource`.
pub(crate) fn into_stored(value: Value, resource: &Resource) -> Value {
    match resource.rules == Rules::Event && !resource.group.is_empty() {
        true => {
            let mut stored =
                renamed(value, |name| PAIRS.iter().find(|(modern, _)| *modern == name).map(|(_, core)| *core));
            complete(&mut stored);
            stored
        }
        false => value,
    }
}

/// The events.k8s.io/v1 form of a stored Event.
pub(crate) fn from_core(value: &Value) -> Value {
    let mut modern =
        renamed(value.clone(), |name| PAIRS.iter().find(|(_, core)| *core == name).map(|(modern, _)| *modern));
    if let Some(members) = modern.as_object_mut() {
        // The newer form omits these when empty; v1 always writes them.
        members.retain(|name, value| {
            !matches!(name.as_str(), "reportingController" | "reportingInstance") || value.as_str() != Some("")
        });
    }
    modern
}

/// Completes an Event that came in the newer form with what v1 always writes.
fn complete(value: &mut Value) {
    for field in ["reportingComponent", "reportingInstance"] {
        if value[field].is_null() {
            value[field] = Value::from("");
        }
    }
}

fn renamed(value: Value, name_of: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(members) = value else { return value };
    let renamed: Map<String, Value> =
        members.into_iter().map(|(name, value)| (name_of(&name).map_or(name, str::to_owned), value)).collect();
    Value::Object(renamed)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;
    use crate::sandbox::kubernetes::registry::Registry;

    #[test]
    fn an_event_keeps_its_content_from_one_group_to_the_other() {
        let modern = json!({"note": "n", "regarding": {"name": "x"}, "reportingController": "c", "eventTime": null});
        let core = json!({"message": "n", "involvedObject": {"name": "x"}, "reportingComponent": "c", "eventTime": null, "reportingInstance": ""});
        let resource = Registry::built_in().find("events.k8s.io", "v1", "events").unwrap();
        assert_eq!(into_stored(modern.clone(), &resource), core);
        assert_eq!(from_core(&core), modern);
    }
}
