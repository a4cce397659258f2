//! The schemas that CustomResourceDefinitions declare: what a custom object may hold, and how its lists are owned.

mod shape;
mod validate;

use std::collections::BTreeMap;

use serde_json::Value;

use super::object;
use super::schema::ListKind;

pub(crate) use shape::shape;
pub(crate) use validate::validate;

/// A structural schema, or a part of one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Structural {
    /// The JSON type; nothing when any will do.
    pub(crate) kind: Option<Kind>,
    /// Null is a value.
    pub(crate) nullable: bool,
    /// Members that no property names are kept.
    pub(crate) preserves_unknown: bool,
    /// Whole objects with metadata of their own.
    pub(crate) embeds_resource: bool,
    /// Members by name.
    pub(crate) properties: BTreeMap<String, Structural>,
    /// All members, when they are not named one by one.
    pub(crate) additional: Option<Box<Structural>>,
    /// All items.
    pub(crate) items: Option<Box<Structural>>,
    /// How items are told apart.
    pub(crate) list: ListKind,
    /// The map is owned as a whole.
    pub(crate) atomic: bool,
    /// What an absent value is.
    pub(crate) default: Option<Value>,
    /// The rules for values, as they were declared.
    pub(crate) rules: Value,
}

/// A JSON type of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

impl Structural {
    /// Reads `openAPIV3Schema`; what it does not understand it lets pass.
    pub(crate) fn read(schema: &Value) -> Self {
        let flag = |name: &str| schema[name] == Value::Bool(true);
        let properties = schema["properties"].as_object().into_iter().flatten();
        let keys = object::items(schema, "x-kubernetes-list-map-keys").iter().filter_map(Value::as_str);
        let boxed = |value: &Value| value.is_object().then(|| Box::new(Self::read(value)));
        Self {
            kind: if flag("x-kubernetes-int-or-string") {
                Some(Kind::IntOrString)
            } else {
                Kind::read(&schema["type"])
            },
            nullable: flag("nullable"),
            preserves_unknown: flag("x-kubernetes-preserve-unknown-fields") || flag("additionalProperties"),
            embeds_resource: flag("x-kubernetes-embedded-resource"),
            properties: properties.map(|(name, schema)| (name.clone(), Self::read(schema))).collect(),
            additional: boxed(&schema["additionalProperties"]),
            items: boxed(&schema["items"]),
            list: match object::text(schema, "x-kubernetes-list-type") {
                "set" => ListKind::Set,
                "map" => ListKind::Map(keys.map(str::to_owned).collect()),
                _ => ListKind::Atomic,
            },
            atomic: object::text(schema, "x-kubernetes-map-type") == "atomic",
            default: schema.get("default").cloned(),
            rules: schema.clone(),
        }
    }

    /// The schema of a member; nothing when none is declared.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

impl Kind {
    fn read(name: &Value) -> Option<Self> {
        match name.as_str()? {
            "object" => Some(Self::Object),
            "array" => Some(Self::Array),
            "string" => Some(Self::String),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Boolean),
            _ => None,
        }
    }

    /// The word for it in refusals.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }

    /// Whether a value is of the type.
    pub(crate) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || value.is_i64() || value.is_u64(),
        }
    }
}
