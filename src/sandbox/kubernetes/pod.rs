//! v1 Pod, as far as listing and describing one goes: nothing runs here.

use serde_json::{Value, json};

/// Fills in the defaults that every Pod has.
pub(crate) fn default(pod: &mut Value) {
    let fixed = [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("enableServiceLinks", json!(true)),
        ("securityContext", json!({})),
    ];
    for (field, value) in fixed {
        if pod["spec"][field].is_null() {
            pod["spec"][field] = value;
        }
    }
    let containers = pod["spec"]["containers"].as_array_mut();
    for container in containers.into_iter().flatten() {
        let image = container["image"].as_str().unwrap_or_default();
        let pull = if image.contains(':') && !image.ends_with(":latest") { "IfNotPresent" } else { "Always" };
        let fixed = [
            ("imagePullPolicy", pull),
            ("terminationMessagePath", "/dev/termination-log"),
            ("terminationMessagePolicy", "File"),
        ];
        for (field, value) in fixed {
            if container[field].is_null() {
                container[field] = json!(value);
            }
        }
    }
}

/// A new Pod waits to be scheduled.
pub(crate) fn prepare_create(pod: &mut Value) {
    pod["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
}
