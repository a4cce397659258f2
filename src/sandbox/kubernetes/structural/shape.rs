//! Bringing an object into the form of its schema: unknown fields go, defaults come.

use serde_json::{Map, Value};

use super::Structural;

/// A value in the form of its schema.
#[derive(Debug, PartialEq)]
pub(crate) struct Shaped {
    /// Without unknown fields, with defaults.
    pub(crate) value: Value,
    /// Paths of what was unknown.
    pub(crate) unknown: Vec<String>,
}

/// Brings a custom object into the form of its schema; type and metadata are not looked at.
pub(crate) fn shape(value: Value, schema: &Structural) -> Shaped {
    let mut unknown = Vec::new();
    let value = walk(value, schema, "", &mut unknown, Place::Root);
    unknown.sort();
    Shaped { value, unknown }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Below,
}

fn walk(value: Value, schema: &Structural, path: &str, unknown: &mut Vec<String>, place: Place) -> Value {
    match value {
        Value::Object(members) => {
            let whole_object = place == Place::Root || schema.embeds_resource;
            Value::Object(walk_members(members, schema, path, unknown, whole_object))
        }
        Value::Array(items) => match schema.items.as_deref() {
            Some(schema) => {
                let walked = items.into_iter().enumerate();
                let walked = walked.map(|(index, item)| {
                    let item =
                        if item.is_null() && !schema.nullable { schema.default.clone().unwrap_or(item) } else { item };
                    walk(item, schema, &format!("{path}[{index}]"), unknown, Place::Below)
                });
                Value::Array(walked.collect())
            }
            None => Value::Array(items),
        },
        other => other,
    }
}

fn walk_members(
    members: Map<String, Value>,
    schema: &Structural,
    path: &str,
    unknown: &mut Vec<String>,
    whole_object: bool,
) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, member) in members {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let own = whole_object && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
        match schema.member(&name) {
            _ if own => {
                out.insert(name, member);
            }
            // A default takes the place of a null that the schema does not allow.
            Some(schema) if member.is_null() && !schema.nullable && schema.default.is_some() => {}
            Some(schema) => {
                let walked = walk(member, schema, &below, unknown, Place::Below);
                out.insert(name, walked);
            }
            None if schema.preserves_unknown => {
                out.insert(name, member);
            }
            None => unknown.push(below),
        }
    }
    for (name, schema) in &schema.properties {
        if let Some(default) = schema.default.clone().filter(|_| !out.contains_key(name)) {
            let walked = walk(default, schema, path, unknown, Place::Below);
            out.insert(name.clone(), walked);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let schema = Structural::read(&json!({"type": "object", "properties": {"spec": {
            "type": "object",
            "properties": {
                "auto": {"type": "boolean", "default": true},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }}}));
        let given = json!({
            "metadata": {"name": "w"},
            "spec": {"list": [{"a": "1", "b": "2"}], "free": {"x": 1}, "labels": {"k": "v"}, "foo": 1, "auto": null},
        });
        let expected = json!({
            "metadata": {"name": "w"},
            "spec": {"auto": true, "list": [{"a": "1"}], "free": {"x": 1}, "labels": {"k": "v"}},
        });
        let unknown = vec!["spec.foo".to_owned(), "spec.list[0].b".to_owned()];
        assert_eq!(shape(given, &schema), Shaped { value: expected, unknown });
    }
}
