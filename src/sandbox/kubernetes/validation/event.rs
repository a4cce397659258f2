//! v1 Event and events.k8s.io/v1 Event, both in the stored (v1) form.

use serde_json::Value;

use super::name;
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::object;

/// Which API a request came through; the newer one is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventApi {
    /// v1.
    Core,
    /// events.k8s.io/v1.
    Events,
}

impl EventApi {
    /// The API of a group.
    pub(crate) fn of_group(group: &str) -> Self {
        if group.is_empty() { Self::Core } else { Self::Events }
    }
}

/// What is wrong with a new Event.
pub(crate) fn of_new(event: &Value, api: EventApi) -> Vec<FieldError> {
    let mut errors = legacy(event, api);
    if api == EventApi::Core {
        return errors;
    }
    errors.extend(series(event));
    if event["eventTime"].is_null() {
        errors.push(FieldError::required("eventTime", ""));
    }
    let kind = object::text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.push(FieldError::invalid("type", "", format!("has invalid value: {kind}")));
    }
    let unset = [
        ("firstTimestamp", event["firstTimestamp"].is_null()),
        ("lastTimestamp", event["lastTimestamp"].is_null()),
        ("count", event["count"].is_null()),
        ("source", event["source"].as_object().is_none_or(|source| source.is_empty())),
    ];
    let set = unset.into_iter().filter(|(_, unset)| !unset);
    errors.extend(set.map(|(field, _)| FieldError::invalid(field, "", "needs to be unset")));
    errors
}

/// What is wrong with a change of an Event.
pub(crate) fn of_change(old: &Value, new: &Value, api: EventApi) -> Vec<FieldError> {
    let mut errors = legacy(new, api);
    if api == EventApi::Core {
        return errors;
    }
    if old["series"] != new["series"] {
        errors.extend(series(new));
    }
    let fixed = [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ];
    for field in fixed.into_iter().filter(|field| old[field] != new[field]) {
        let shown = if field == "reportingComponent" { "reportingController" } else { field };
        errors.push(FieldError::invalid(shown, new[field].clone(), "field is immutable"));
    }
    errors
}

fn series(event: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if event["series"].is_object() {
        if event["series"]["count"].as_i64().unwrap_or(0) < 2 {
            errors.push(FieldError::invalid("series.count", "", "should be at least 2"));
        }
        if event["series"]["lastObservedTime"].is_null() {
            errors.push(FieldError::required("series.lastObservedTime", ""));
        }
    }
    errors
}

/// What holds on both paths: an Event lives with what it is about, and those with an `eventTime` say who reports.
fn legacy(event: &Value, api: EventApi) -> Vec<FieldError> {
    let namespace = object::meta(event, "namespace");
    let involved = object::text(event, "involvedObject.namespace");
    let timed = !event["eventTime"].is_null();
    let fits = match (involved.is_empty(), timed) {
        (true, true) => matches!(namespace, "default" | "kube-system"),
        (true, false) => namespace == "default",
        (false, true) => true,
        (false, false) => involved == namespace,
    };
    let mut errors = Vec::new();
    if !fits {
        let why = "does not match event.namespace";
        errors.push(FieldError::invalid("involvedObject.namespace", involved, why));
    }
    if timed {
        errors.extend(reporter(event, api));
    }
    errors
}

fn reporter(event: &Value, api: EventApi) -> Vec<FieldError> {
    let controller_field = if api == EventApi::Core { "reportingComponent" } else { "reportingController" };
    let controller = object::text(event, "reportingComponent");
    let mut errors = Vec::new();
    if controller.is_empty() {
        errors.push(FieldError::required(controller_field, ""));
    }
    let faults = name::qualified(controller).into_iter();
    errors.extend(faults.map(|fault| FieldError::invalid(controller_field, controller, fault)));
    for (field, limit) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        let text = object::text(event, field);
        if text.is_empty() {
            errors.push(FieldError::required(field, ""));
        }
        if text.len() > limit {
            errors.push(FieldError::invalid(field, "", format!("can have at most {limit} characters")));
        }
    }
    if object::text(event, "message").len() > 1024 {
        errors.push(FieldError::invalid("message", "", "can have at most 1024 characters"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn events_live_where_their_object_lives() {
        let event = |namespace: &str, involved: Option<&str>| {
            json!({
                "metadata": {"namespace": namespace}, "eventTime": null,
                "involvedObject": involved.map_or(json!({}), |involved| json!({"namespace": involved})),
            })
        };
        let rows = [
            ("cluster-wide in default", event("default", None), true),
            ("cluster-wide elsewhere", event("kube-system", None), false),
            ("with its object", event("x", Some("x")), true),
            ("apart from its object", event("default", Some("x")), false),
        ];
        for (row, event, expected) in rows {
            assert_eq!(of_new(&event, EventApi::Core).is_empty(), expected, "{row}");
        }
    }

    #[test]
    fn the_newer_api_wants_more() {
        let event = json!({
            "metadata": {"namespace": "default"}, "eventTime": null, "involvedObject": {}, "type": "Odd", "count": 1,
            "firstTimestamp": null, "lastTimestamp": null, "source": {},
        });
        let errors = of_new(&event, EventApi::Events);
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["eventTime", "type", "count"]);
    }
}
