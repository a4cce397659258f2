//! JSON patch (RFC 6902).

use serde_json::Value;

use crate::sandbox::kubernetes::status::Refusal;

const REJECTED: &str = "the server rejected our request due to an error in our request";

/// Reads a patch.
///
/// # Errors
/// When it is no list of operations.
pub(super) fn parse(body: &[u8]) -> Result<json_patch::Patch, Refusal> {
    let parsed: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    if !parsed.is_array() {
        let found = if parsed.is_object() { "object" } else { "value" };
        let why = format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        );
        return Err(Refusal::bad_request(why));
    }
    serde_json::from_value(parsed).map_err(|_| Refusal::unprocessable(REJECTED))
}

/// Applies all operations or none.
///
/// # Errors
/// When a test fails or a path leads nowhere.
pub(super) fn apply(patch: &json_patch::Patch, mut target: Value) -> Result<Value, Refusal> {
    json_patch::patch(&mut target, patch).map_err(|_| Refusal::unprocessable(REJECTED))?;
    Ok(target)
}
