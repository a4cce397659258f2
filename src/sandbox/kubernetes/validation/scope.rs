//! Whether an object is where its request says.

use serde_json::Value;

use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::registry::{Collection, Resource};
use crate::sandbox::kubernetes::status::Refusal;

/// The object's namespace, if it names one, is the path's.
///
/// # Errors
/// When it is another.
pub(crate) fn check_namespace(value: &Value, resource: &Resource, namespace: &str) -> Result<(), Refusal> {
    let named = object::meta(value, "namespace");
    let expected = if resource.namespaced() { namespace } else { "" };
    match named.is_empty() || named == expected {
        true => Ok(()),
        false => Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// The object's name is the path's.
///
/// # Errors
/// When it is another, or missing.
pub(crate) fn check_name(value: &Value, name: &str) -> Result<(), Refusal> {
    let named = object::meta(value, "name");
    match named {
        "" => Err(Refusal::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        _ if named == name => Ok(()),
        _ => Err(Refusal::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({name})"
        ))),
    }
}

/// The namespace of a new object exists and is not on its way out.
///
/// # Errors
/// When there is none, or it is being deleted.
pub(crate) fn check_namespace_exists(shared: &Shared, resource: &Resource, namespace: &str) -> Result<(), Refusal> {
    if !resource.namespaced() {
        return Ok(());
    }
    let namespaces = shared.registry.find("", "v1", "namespaces").expect("namespaces are always served");
    let collection = Collection { group: String::new(), plural: "namespaces".to_owned() };
    let found = shared.store.get(&collection, &(String::new(), namespace.to_owned()));
    let found = found.ok_or_else(|| Refusal::not_found(&namespaces, namespace))?;
    match object::is_being_deleted(&found.value) {
        true => Err(Refusal::namespace_terminating(resource, namespace)),
        false => Ok(()),
    }
}
