//! Request bodies become objects in their written form.

mod protobuf;

use serde_json::Value;

use super::field_error::FieldError;
use super::journal::Verb;
use super::object;
use super::query::Query;
use super::registry::Resource;
use super::request::options_kind;
use super::schema::{self, SCHEMA};
use super::status::Refusal;
use super::structural;

/// What to do with fields that no type knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Drop them in silence.
    Ignore,
    /// Drop them and say so in `Warning` headers.
    Warn,
    /// Refuse the object.
    Strict,
}

/// An object in its written form.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    /// Without `kind` and `apiVersion`.
    pub(crate) value: Value,
    /// For `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

impl FieldValidation {
    /// Reads `fieldValidation`.
    ///
    /// # Errors
    /// When it is none of the three.
    pub(crate) fn of(query: &Query, verb: Verb) -> Result<Self, Refusal> {
        match query.get("fieldValidation") {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => {
                let error = FieldError::not_supported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"]);
                Err(Refusal::invalid_options(options_kind(verb), error))
            }
        }
    }
}

/// Reads a body as JSON, YAML or protobuf; `schema` is the type that the body should be of.
///
/// # Errors
/// When the media type is none of these, or the body does not parse.
pub(crate) fn parse(body: &[u8], content_type: &str, schema: &str) -> Result<Value, Refusal> {
    let kind = SCHEMA.get(schema).go_name();
    let unrecognised = |fault: &dyn std::fmt::Display| {
        Refusal::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {fault}"))
    };
    match content_type {
        "application/json" | "" => {
            serde_json::from_slice(body).map_err(|error| Refusal::bad_request(unreadable_json(body, &error, kind)))
        }
        "application/yaml" => parse_yaml(body).map_err(|error| unrecognised(&error)),
        "application/vnd.kubernetes.protobuf" => {
            protobuf::parse(body, SCHEMA.get(schema)).map_err(|fault| unrecognised(&fault))
        }
        _ => Err(Refusal::unsupported_media_type()),
    }
}

/// Reads YAML, of which JSON is a part.
///
/// # Errors
/// Says what is wrong with the text.
pub(crate) fn parse_yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
    }
}

fn unreadable_json(body: &[u8], error: &serde_json::Error, kind: &str) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "unexpected end of JSON input".to_owned(),
        _ => error.to_string(),
    };
    let text = String::from_utf8_lossy(body);
    let excerpt = excerpt(&text);
    format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: \
         {what} ({excerpt})"
    )
}

fn excerpt(text: &str) -> String {
    match text.len() {
        0 => "<empty>".to_owned(),
        1..=30 => text.to_owned(),
        _ => format!("{} ...", text.chars().take(30).collect::<String>()),
    }
}

/// Brings a parsed body into the written form of `resource`.
///
/// # Errors
/// When it is of another kind, a value does not fit its type, or a field is unknown and the client wants to be told.
pub(crate) fn decode(value: Value, resource: &Resource, validation: FieldValidation) -> Result<Decoded, Refusal> {
    check_type(&value, resource)?;
    read(value, resource, validation).map_err(|fault| {
        let (kind, version) = (&resource.kind, &resource.version);
        Refusal::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {fault}"))
    })
}

/// Brings an object of whatever type it says into the written form of `resource`.
///
/// # Errors
/// Says which value does not fit its type, or which fields are unknown if the client wants to be told.
pub(crate) fn read(value: Value, resource: &Resource, validation: FieldValidation) -> Result<Decoded, String> {
    let decoded = schema::normalise(value, &resource.schema).map_err(|fault| fault.to_string())?;
    let (value, unknown) = match &resource.custom {
        Some(custom) => {
            let shaped = structural::shape(decoded.value, &custom.schema);
            (shaped.value, [decoded.unknown, shaped.unknown].concat())
        }
        None => (decoded.value, decoded.unknown),
    };
    let unknown: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    let warnings = match validation {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Strict if !unknown.is_empty() => {
            return Err(format!("strict decoding error: {}", unknown.join(", ")));
        }
        FieldValidation::Warn | FieldValidation::Strict => unknown,
    };
    let mut value = value;
    let members = object::members_mut(&mut value);
    members.remove("kind");
    members.remove("apiVersion");
    Ok(Decoded { value, warnings })
}

fn check_type(value: &Value, resource: &Resource) -> Result<(), Refusal> {
    let wanted = resource.kind.as_str();
    if !value.is_object() {
        let found = if value.is_array() { "array" } else { "value" };
        return Err(Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; json parse \
             error: json: cannot unmarshal {found} into Go value"
        )));
    }
    let kind = object::text(value, "kind");
    if resource.custom.is_some() && kind.is_empty() {
        let text = value.to_string();
        return Err(Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {wanted}): Object 'Kind' is missing in '{text}' ({})",
            excerpt(&text)
        )));
    }
    let version = object::text(value, "apiVersion");
    let right_kind = kind.is_empty() || kind == wanted;
    let right_version = version.is_empty() || version == resource.api_version();
    if right_kind && right_version {
        return Ok(());
    }
    let shown_kind = if kind.is_empty() { wanted } else { kind };
    let shown_version = version.rsplit('/').next().filter(|version| !version.is_empty()).unwrap_or(&resource.version);
    let why = match right_kind {
        false => {
            format!("converting (v1.{shown_kind}) to ({}.{wanted}): unknown conversion", internal_package(resource))
        }
        true => format!(
            "no kind {shown_kind:?} is registered for version {shown_version:?} in scheme \"pkg/runtime/scheme.go:111\""
        ),
    };
    Err(Refusal::bad_request(format!(
        "{shown_kind} in version {shown_version:?} cannot be handled as a {wanted}: {why}"
    )))
}

fn internal_package(resource: &Resource) -> &str {
    match resource.group.split('.').next() {
        None | Some("") => "core",
        Some(package) => package,
    }
}
