//! CustomResourceDefinitions: creating one serves its resource.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api::Shared;
use super::field_error::FieldError;
use super::object;
use super::registry::{Collection, CustomType, PrinterColumn, Resource, Rules, Scope, Subresource, Verbs};
use super::schema::CUSTOM_RESOURCE;
use super::structural::Structural;
use super::timestamp;

/// Fills in the names that follow from others.
pub(crate) fn default(definition: &mut Value) {
    let kind = object::text(definition, "spec.names.kind").to_owned();
    for (field, value) in [("singular", kind.to_lowercase()), ("listKind", format!("{kind}List"))] {
        if object::text(definition, &format!("spec.names.{field}")).is_empty() {
            definition["spec"]["names"][field] = json!(value);
        }
    }
    if object::text(definition, "spec.conversion.strategy").is_empty() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
}

/// A new definition is accepted at once: no other one competes for its names.
pub(crate) fn prepare_create(definition: &mut Value) {
    object::members_mut(definition).remove("status");
    settle(definition);
}

/// Brings the status in line with the spec.
pub(crate) fn settle(definition: &mut Value) {
    let versions = object::items(definition, "spec.versions");
    let stored = versions.iter().find(|version| version["storage"] == json!(true));
    let stored: Vec<Value> = stored.map(|version| version["name"].clone()).into_iter().collect();
    let since = match object::items(definition, "status.conditions").first() {
        Some(condition) => condition["lastTransitionTime"].clone(),
        None => json!(timestamp::now()),
    };
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since});
    definition["status"] = json!({
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
}

/// What is wrong with a definition.
pub(crate) fn validate(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let group = object::text(definition, "spec.group");
    let plural = object::text(definition, "spec.names.plural");
    let expected = format!("{plural}.{group}");
    let name = object::meta(definition, "name");
    if name != expected {
        errors.push(FieldError::invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group"));
    }
    for field in ["spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"] {
        if object::text(definition, field).is_empty() {
            errors.push(FieldError::required(field, ""));
        }
    }
    let versions = object::items(definition, "spec.versions");
    let storing = versions.iter().filter(|version| version["storage"] == json!(true)).count();
    if storing != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", definition["spec"]["versions"].clone(), why));
    }
    for (index, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            errors.push(FieldError::required(field, "schemas are required"));
        }
    }
    errors
}

/// Serves what a stored definition declares.
pub(crate) fn after_write(shared: &Arc<Shared>, resource: &Resource, definition: &Value) {
    if resource.rules == Rules::CustomResourceDefinition {
        let group = object::text(definition, "spec.group");
        let plural = object::text(definition, "spec.names.plural");
        shared.registry.serve(group, plural, declared(definition));
    }
}

/// Stops serving what a removed definition declared, and drops its objects.
pub(crate) fn after_removal(shared: &Arc<Shared>, resource: &Resource, definition: &Value) {
    if resource.rules == Rules::CustomResourceDefinition {
        let group = object::text(definition, "spec.group");
        let plural = object::text(definition, "spec.names.plural");
        shared.registry.serve(group, plural, Vec::new());
        shared.store.forget(&Collection { group: group.to_owned(), plural: plural.to_owned() });
    }
}

fn declared(definition: &Value) -> Vec<Resource> {
    let text = |field: &str| object::text(definition, field).to_owned();
    let words = |field: &str| {
        object::items(definition, field).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let served = object::items(definition, "spec.versions").iter().filter(|version| version["served"] == json!(true));
    served
        .map(|version| {
            let has_status = version["subresources"]["status"].is_object();
            let schema = Structural::read(&version["schema"]["openAPIV3Schema"]);
            Resource {
                group: text("spec.group"),
                version: object::text(version, "name").to_owned(),
                plural: text("spec.names.plural"),
                singular: text("spec.names.singular"),
                kind: text("spec.names.kind"),
                list_kind: text("spec.names.listKind"),
                short_names: words("spec.names.shortNames"),
                categories: words("spec.names.categories"),
                scope: if text("spec.scope") == "Namespaced" { Scope::Namespaced } else { Scope::Cluster },
                verbs: Verbs::All,
                subresources: has_status.then_some(Subresource::Status).into_iter().collect(),
                schema: CUSTOM_RESOURCE.to_owned(),
                rules: Rules::CustomResource,
                collection: Collection { group: text("spec.group"), plural: text("spec.names.plural") },
                custom: Some(Arc::new(CustomType { schema, columns: columns(version) })),
            }
        })
        .collect()
}

/// The declared columns; the age when none is declared.
fn columns(version: &Value) -> Vec<PrinterColumn> {
    let text = |column: &Value, field: &str| object::text(column, field).to_owned();
    let declared = object::items(version, "additionalPrinterColumns").iter().map(|column| PrinterColumn {
        name: text(column, "name"),
        kind: text(column, "type"),
        path: text(column, "jsonPath"),
        priority: column["priority"].as_i64().unwrap_or(0),
    });
    let columns: Vec<PrinterColumn> = declared.collect();
    if !columns.is_empty() {
        return columns;
    }
    let path = ".metadata.creationTimestamp".to_owned();
    vec![PrinterColumn { name: "Age".to_owned(), kind: "date".to_owned(), path, priority: 0 }]
}
