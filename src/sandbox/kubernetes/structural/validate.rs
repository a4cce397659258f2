//! What is wrong with a custom object by its schema. Rules in CEL are not run.

use regex::Regex;
use serde_json::Value;

use super::{Kind, Structural};
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::object;

/// What is wrong with a custom object.
pub(crate) fn validate(value: &Value, schema: &Structural) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(value, schema, "", &mut errors);
    errors
}

fn walk(value: &Value, schema: &Structural, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema.nullable {
        return;
    }
    if let Some(kind) = schema.kind.filter(|kind| !kind.fits(value)) {
        let found = type_name(value);
        let why = format!("{path} in body must be of type {}: \"{found}\"", kind.as_str());
        errors.push(FieldError::type_invalid(path, found, why));
        return;
    }
    errors.extend(broken_rules(value, schema, path));
    match value {
        Value::Object(members) => {
            for name in object::items(&schema.rules, "required").iter().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    errors.push(FieldError::required(joined(path, name), ""));
                }
            }
            for (name, member) in members {
                let own = path.is_empty() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                if let Some(schema) = schema.member(name).filter(|_| !own) {
                    walk(member, schema, &joined(path, name), errors);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                for (index, item) in items.iter().enumerate() {
                    walk(item, schema, &format!("{path}[{index}]"), errors);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn broken_rules(value: &Value, schema: &Structural, path: &str) -> Vec<FieldError> {
    let rules = &schema.rules;
    let mut errors = Vec::new();
    let mut broken =
        |why: String| errors.push(FieldError::invalid(path, value.clone(), format!("{path} in body {why}")));
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(0.0);
            if let Some(bound) = rules["minimum"].as_f64().filter(|bound| number < *bound) {
                broken(format!("should be greater than or equal to {bound}"));
            }
            if let Some(bound) = rules["maximum"].as_f64().filter(|bound| number > *bound) {
                broken(format!("should be less than or equal to {bound}"));
            }
        }
        Value::String(text) => {
            let length = text.chars().count();
            if let Some(bound) = bound(rules, "minLength").filter(|bound| length < *bound) {
                broken(format!("should be at least {bound} chars long"));
            }
            if let Some(bound) = bound(rules, "maxLength").filter(|bound| length > *bound) {
                broken(format!("should be at most {bound} chars long"));
            }
            let pattern = rules["pattern"].as_str().filter(|_| schema.kind != Some(Kind::IntOrString));
            // A pattern of another dialect than ours lets everything pass.
            if let Some(pattern) =
                pattern.filter(|pattern| Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)))
            {
                broken(format!("should match '{pattern}'"));
            }
        }
        Value::Array(items) => {
            if let Some(bound) = bound(rules, "minItems").filter(|bound| items.len() < *bound) {
                broken(format!("should have at least {bound} items"));
            }
            if let Some(bound) = bound(rules, "maxItems").filter(|bound| items.len() > *bound) {
                broken(format!("should have at most {bound} items"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
    if let Some(allowed) = rules["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        errors.push(FieldError::not_supported(path, value.clone(), &names));
    }
    errors
}

fn bound(rules: &Value, name: &str) -> Option<usize> {
    rules[name].as_u64().and_then(|bound| usize::try_from(bound).ok())
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_are_named_with_their_field() {
        let schema = Structural::read(&json!({"type": "object", "properties": {"spec": {
            "type": "object",
            "required": ["addresses"],
            "properties": {
                "addresses": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[0-9.]+$"}},
                "n": {"type": "integer", "minimum": 1, "maximum": 5},
                "mode": {"type": "string", "enum": ["A", "B"]},
                "port": {"x-kubernetes-int-or-string": true},
            },
        }}}));
        let rows: &[(&str, Value, &[&str])] = &[
            ("valid", json!({"addresses": ["1.2"], "n": 3, "mode": "A", "port": "http"}), &[]),
            ("missing", json!({}), &["spec.addresses: Required value"]),
            (
                "another type",
                json!({"addresses": "x"}),
                &[
                    "spec.addresses: Invalid value: \"string\": spec.addresses in body must be of type array: \"string\"",
                ],
            ),
            (
                "out of bounds",
                json!({"addresses": [], "n": 9}),
                &[
                    "spec.addresses: Invalid value: []: spec.addresses in body should have at least 1 items",
                    "spec.n: Invalid value: 9: spec.n in body should be less than or equal to 5",
                ],
            ),
            (
                "another form",
                json!({"addresses": ["x"], "mode": "C"}),
                &[
                    "spec.addresses[0]: Invalid value: \"x\": spec.addresses[0] in body should match '^[0-9.]+$'",
                    "spec.mode: Unsupported value: \"C\": supported values: \"A\", \"B\"",
                ],
            ),
        ];
        for (row, spec, expected) in rows {
            let errors = validate(&json!({"spec": spec}), &schema);
            let shown: Vec<String> = errors.iter().map(FieldError::to_string).collect();
            assert_eq!(shown, *expected, "{row}");
        }
    }
}
