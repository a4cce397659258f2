//! One fault of one field, in the words of the API.

use serde_json::{Value, json};

/// What is wrong with a field; values are JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// A value must be given.
    Required,
    /// The value is malformed, or may not change.
    Invalid(String),
    /// The value is none of the allowed ones.
    NotSupported(String),
    /// The value must be unique and is not.
    Duplicate(String),
    /// The value may not be given here.
    Forbidden,
    /// The value is longer than allowed.
    TooLong,
    /// The JSON type is wrong.
    TypeInvalid(String),
}

/// A fault with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldError {
    /// Path such as `spec.ports[0].name`.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) fault: Fault,
    /// What was expected; may be empty.
    pub(crate) detail: String,
}

impl FieldError {
    /// A value must be given.
    pub(crate) fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), fault: Fault::Required, detail: detail.into() }
    }

    /// The value is malformed, or may not change.
    pub(crate) fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), fault: Fault::Invalid(value.into().to_string()), detail: detail.into() }
    }

    /// The JSON type is wrong.
    pub(crate) fn type_invalid(field: impl Into<String>, found: &str, detail: impl Into<String>) -> Self {
        Self { field: field.into(), fault: Fault::TypeInvalid(Value::from(found).to_string()), detail: detail.into() }
    }

    /// The value is none of `supported`, which must be sorted as the API lists them.
    pub(crate) fn not_supported(field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        Self { field: field.into(), fault: Fault::NotSupported(value.into().to_string()), detail }
    }

    /// The value must be unique and is not.
    pub(crate) fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { field: field.into(), fault: Fault::Duplicate(value.into().to_string()), detail: String::new() }
    }

    /// The struct must be unique and is not; `members` are its fields in their order, by their names in Go.
    pub(crate) fn duplicate_struct(field: impl Into<String>, members: &[(&str, Value)]) -> Self {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let shown = format!("{{{}}}", members.join(","));
        Self { field: field.into(), fault: Fault::Duplicate(shown), detail: String::new() }
    }

    /// The value may not be given here.
    pub(crate) fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), fault: Fault::Forbidden, detail: detail.into() }
    }

    /// The value is longer than `limit` bytes.
    pub(crate) fn too_long(field: impl Into<String>, limit: usize) -> Self {
        let detail = format!("may not be more than {limit} bytes");
        Self { field: field.into(), fault: Fault::TooLong, detail }
    }

    /// The fault without its place.
    pub(crate) fn body(&self) -> String {
        let (name, value) = match &self.fault {
            Fault::Required => ("Required value", None),
            Fault::Invalid(value) | Fault::TypeInvalid(value) => ("Invalid value", Some(value)),
            Fault::NotSupported(value) => ("Unsupported value", Some(value)),
            Fault::Duplicate(value) => ("Duplicate value", Some(value)),
            Fault::Forbidden => ("Forbidden", None),
            Fault::TooLong => ("Too long", None),
        };
        let mut out = name.to_owned();
        if let Some(value) = value {
            out.push_str(&format!(": {value}"));
        }
        if !self.detail.is_empty() {
            out.push_str(&format!(": {}", self.detail));
        }
        out
    }

    /// The entry of `details.causes`.
    pub(crate) fn cause(&self) -> Value {
        let reason = match &self.fault {
            Fault::Required => "FieldValueRequired",
            Fault::Invalid(_) => "FieldValueInvalid",
            Fault::NotSupported(_) => "FieldValueNotSupported",
            Fault::Duplicate(_) => "FieldValueDuplicate",
            Fault::Forbidden => "FieldValueForbidden",
            Fault::TooLong => "FieldValueTooLong",
            Fault::TypeInvalid(_) => "FieldValueTypeInvalid",
        };
        json!({"reason": reason, "message": self.body(), "field": self.field})
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}
