//! The JSON schema of a policy, made from the document's Rust types.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value};

use super::document::Document;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(&SCHEMA)
        .expect("the schema made from the document's types is a valid schema")
});

/// The schema (JSON Schema, draft 2020-12).
pub fn json_schema() -> &'static Value {
    &SCHEMA
}

/// The schema as the text that is kept in `schema/cloud-policy.schema.json`.
pub fn json_schema_text() -> String {
    let mut text =
        serde_json::to_string_pretty(json_schema()).expect("a schema has string keys and finite numbers only");
    text.push('\n');
    text
}

/// The schema, ready to check documents with.
pub(super) fn validator() -> &'static Validator {
    &VALIDATOR
}

/// The part of the schema at a place in it; references are followed on the way.
pub(super) fn at(pointer: &str) -> Option<&'static Value> {
    json_schema().pointer(pointer)
}

fn generate() -> Value {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(forget_null))
        .with_transform(RecursiveTransform(list_words))
        .with_transform(RecursiveTransform(forbid_empty_objects))
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// A key may be left out; it may not be `null`.
fn forget_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    let alternative = match schema.get("anyOf") {
        Some(Value::Array(alternatives)) => match alternatives.as_slice() {
            [one, null] if null.get("type").is_some_and(|name| name == "null") => one.as_object().cloned(),
            _ => None,
        },
        _ => None,
    };
    if let Some(alternative) = alternative {
        schema.remove("anyOf");
        for (key, value) in alternative {
            schema.insert(key, value);
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// Described words become one `enum`, which editors complete and which is easier to speak about than alternatives.
fn list_words(schema: &mut Schema) {
    let Some(Value::Array(alternatives)) = schema.get("oneOf") else {
        return;
    };
    let words: Option<Vec<Value>> = alternatives.iter().map(|one| one.get("const").cloned()).collect();
    let Some(words) = words.filter(|words| !words.is_empty()) else {
        return;
    };
    let descriptions = alternatives.iter().map(|one| one.get("description").cloned().unwrap_or_default()).collect();
    schema.remove("oneOf");
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), Value::Array(words));
    schema.insert("enumDescriptions".into(), Value::Array(descriptions));
}

/// `length` on a map means keys.
fn forbid_empty_objects(schema: &mut Schema) {
    let is_map = schema.get("additionalProperties").is_some_and(Value::is_object);
    if is_map && let Some(length) = schema.remove("minLength").or_else(|| schema.remove("minItems")) {
        schema.insert("minProperties".into(), length);
    }
}

/// The names of the keys that an object may have.
pub(super) fn keys(object: &'static Value) -> impl Iterator<Item = &'static str> {
    object.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `visit` with the path and schema of every property.
    fn properties(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    for (name, property) in properties {
                        visit(&format!("{path}/{name}"), property);
                    }
                }
                for (key, inner) in object.iter().filter(|(key, _)| *key != "examples" && *key != "default") {
                    self::properties(inner, &format!("{path}/{key}"), visit);
                }
            }
            Value::Array(items) => {
                for item in items {
                    properties(item, path, visit);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_field_has_a_description_and_an_example() {
        let mut count = 0;
        properties(json_schema(), "", &mut |path, property| {
            count += 1;
            assert!(property.get("description").is_some(), "{path} has no description");
            assert!(property.get("examples").is_some(), "{path} has no example");
        });
        assert!(count > 60, "only {count} fields were seen");
    }

    #[test]
    fn no_field_may_be_null_and_no_object_takes_unknown_keys() {
        let text = json_schema().to_string();
        assert!(!text.contains(r#""null""#));
        properties(json_schema(), "", &mut |path, property| {
            assert!(property.get("default") != Some(&Value::Null), "{path}");
        });
        for (name, definition) in json_schema()["$defs"].as_object().expect("definitions") {
            if definition.get("type") == Some(&"object".into()) {
                assert_eq!(definition.get("additionalProperties"), Some(&false.into()), "{name}");
            }
        }
    }

    #[test]
    fn every_example_and_default_fits_its_own_field() {
        properties(json_schema(), "", &mut |path, property| {
            let mut schema = property.clone();
            schema["$defs"] = json_schema()["$defs"].clone();
            let validator = jsonschema::validator_for(&schema).expect("a field's schema is a schema");
            let examples = property["examples"].as_array().expect("examples are a list");
            for value in examples.iter().chain(property.get("default")) {
                assert!(validator.is_valid(value), "{path}: {value}");
            }
        });
    }
}
