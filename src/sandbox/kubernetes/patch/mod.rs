//! The four kinds of patches.

mod apply;
mod json;
mod order;
mod strategic;

use serde_json::Value;

use super::decode::{self, Decoded, FieldValidation};
use super::field_error::FieldError;
use super::registry::{Resource, Rules};
use super::request::ResourceRequest;
use super::status::Refusal;
use super::validation::scope;
use super::{events, object, render};

pub(crate) use apply::Apply;

/// A parsed patch.
#[derive(Debug)]
pub(crate) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
    /// Merge by the rules of the Go types.
    Strategic(Value),
    /// Server-side apply.
    Apply(Apply),
}

impl Patch {
    /// Reads the patch of a request.
    ///
    /// # Errors
    /// When its type is not taken by the resource, it does not parse, or parameters do not fit the type.
    pub(crate) fn of(request: &ResourceRequest) -> Result<Self, Refusal> {
        let applies = matches!(request.content_type.as_str(), "application/apply-patch+yaml");
        if !applies && request.query.flag("force") {
            let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
            return Err(Refusal::invalid_options("PatchOptions", error));
        }
        match request.content_type.as_str() {
            "application/json-patch+json" => json::parse(&request.body).map(Self::Json),
            "application/merge-patch+json" => parse_map(&request.body, "error decoding patch: ").map(Self::Merge),
            "application/strategic-merge-patch+json" if request.resource().rules != Rules::CustomResource => {
                parse_map(&request.body, "").map(Self::Strategic)
            }
            "application/apply-patch+yaml" => Apply::of(request).map(Self::Apply),
            _ if request.resource().custom.is_some() => Err(Refusal::unsupported_custom_patch()),
            _ => Err(Refusal::unsupported_patch()),
        }
    }

    /// The object that results from the patch on `old`, in its written form.
    ///
    /// # Errors
    /// When the patch cannot be applied, or the result is no object of the resource.
    pub(crate) fn apply(
        &self,
        request: &ResourceRequest,
        old: &Value,
        validation: FieldValidation,
    ) -> Result<Decoded, Refusal> {
        let resource = request.resource();
        let patched = match self {
            Self::Apply(apply) => return apply.merge(request, old),
            Self::Json(patch) => json::apply(patch, served(old, resource))?,
            Self::Merge(patch) => {
                let mut target = served(old, resource);
                json_patch::merge(&mut target, patch);
                target
            }
            Self::Strategic(patch) => strategic::apply(served(old, resource), patch, &resource.schema)?,
        };
        let decoded = read_patched(patched, resource, validation)?;
        check_place(&decoded.value, request)?;
        Ok(decoded)
    }
}

/// The object as the resource's group shows it, with its type.
fn served(old: &Value, resource: &Resource) -> Value {
    object::with_type(&render::served(resource, old), resource)
}

fn read_patched(patched: Value, resource: &Resource, validation: FieldValidation) -> Result<Decoded, Refusal> {
    let text = patched.to_string();
    let (kind, version) = (object::text(&patched, "kind").to_owned(), object::text(&patched, "apiVersion").to_owned());
    let decoded = match kind == resource.kind && version == resource.api_version() {
        true => decode::read(patched, resource, validation),
        false => Err(format!("no kind {kind:?} of version {version:?} is served here")),
    };
    let decoded = decoded.map_err(|fault| Refusal::invalid_patch(&FieldError::invalid("patch", text, fault)))?;
    Ok(Decoded { value: events::into_stored(decoded.value, resource), warnings: decoded.warnings })
}

/// A patch may not move an object.
fn check_place(value: &Value, request: &ResourceRequest) -> Result<(), Refusal> {
    scope::check_name(value, request.name())?;
    scope::check_namespace(value, request.resource(), request.namespace())
}

fn parse_map(body: &[u8], prefix: &str) -> Result<Value, Refusal> {
    let parsed: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("{prefix}{error}")))?;
    match parsed {
        Value::Object(_) => Ok(parsed),
        other => {
            let found = if other.is_array() { "array" } else { "value" };
            let why = format!("{prefix}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
            Err(Refusal::bad_request(why))
        }
    }
}
