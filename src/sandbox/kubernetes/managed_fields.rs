//! Who owns which field.

use serde_json::Value;

use super::object;
use super::registry::{Resource, Subresource};
use super::status::Refusal;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writer<'a> {
    /// The manager's name.
    pub(crate) manager: &'a str,
    /// The path through which it writes.
    pub(crate) subresource: Option<Subresource>,
}

/// Accounts for a write that is no apply.
///
/// # Errors
/// When managed fields that the client sent do not parse.
pub(crate) fn after_update(
    _resource: &Resource,
    _old: Option<&Value>,
    new: &mut Value,
    _writer: &Writer<'_>,
) -> Result<(), Refusal> {
    object::metadata_mut(new).remove("managedFields");
    Ok(())
}
