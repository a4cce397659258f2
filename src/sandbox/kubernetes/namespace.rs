//! v1 Namespace: its name as a label, its phase, and the finalizer that keeps it until it is empty.

use serde_json::{Value, json};

use super::field_error::FieldError;
use super::object;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Fills in what the API's decoder fills in.
pub(crate) fn default(namespace: &mut Value) {
    let name = object::meta(namespace, "name").to_owned();
    if !name.is_empty() {
        let labels = object::metadata_mut(namespace).entry("labels").or_insert_with(|| json!({}));
        labels[NAME_LABEL] = json!(name);
    }
    if object::text(namespace, "status.phase").is_empty() {
        namespace["status"]["phase"] = json!("Active");
    }
}

/// A new namespace is active.
pub(crate) fn prepare_create(namespace: &mut Value) {
    namespace["status"] = json!({"phase": "Active"});
    let finalizers = object::items(namespace, "spec.finalizers").to_vec();
    if !finalizers.contains(&json!("kubernetes")) {
        namespace["spec"]["finalizers"] = finalizers.into_iter().chain([json!("kubernetes")]).collect();
    }
}

/// What is wrong with the status.
pub(crate) fn check_status(namespace: &Value) -> Vec<FieldError> {
    let phase = object::text(namespace, "status.phase");
    let (wanted, state) = match object::is_being_deleted(namespace) {
        true => ("Terminating", "not empty"),
        false => ("Active", "empty"),
    };
    match phase == wanted {
        true => Vec::new(),
        false => {
            let why = format!("may only be '{wanted}' if `deletionTimestamp` is {state}");
            vec![FieldError::invalid("status.Phase", phase, why)]
        }
    }
}
