//! What the served kinds look like: field names, Go zero-value rules, and how lists and maps merge.

mod normalise;
mod parse;
mod quantity;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde_json::Value;

pub(crate) use normalise::normalise;

/// Name of the schema of objects whose kind a CustomResourceDefinition declares.
pub(crate) const CUSTOM_RESOURCE: &str = "CustomResource";

/// Every type of the served kinds, by its OpenAPI name.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| parse::parse(include_str!("types.txt")));

/// All the types, each found by name.
#[derive(Debug)]
pub(crate) struct Schema {
    types: HashMap<String, TypeDef>,
}

impl Schema {
    /// The type of that OpenAPI name.
    pub(crate) fn get(&self, name: &str) -> &TypeDef {
        self.types.get(name).expect("every named type is in the checked-in schema")
    }

    /// All types, in no particular order.
    #[cfg(test)]
    pub(crate) fn types(&self) -> impl Iterator<Item = &TypeDef> {
        self.types.values()
    }
}

/// One Go struct.
#[derive(Debug, PartialEq)]
pub(crate) struct TypeDef {
    /// OpenAPI name, such as `io.k8s.api.core.v1.Service`.
    pub(crate) name: String,
    /// The struct is owned as a whole by one field manager.
    pub(crate) atomic: bool,
    /// Fields that are not listed are kept as they come.
    pub(crate) open: bool,
    /// Fields by JSON name.
    pub(crate) fields: BTreeMap<String, Field>,
}

impl TypeDef {
    /// The struct's name in Go, which decoding errors mention.
    pub(crate) fn go_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// One field of a Go struct.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    /// What the field holds.
    pub(crate) shape: Shape,
    /// A pointer tells "absent" from "zero".
    pub(crate) pointer: bool,
    /// When the encoder leaves the field out.
    pub(crate) omit: Omit,
    /// The field is owned as a whole whatever its shape.
    pub(crate) atomic: bool,
    /// How a strategic merge patch treats the field.
    pub(crate) patch: PatchStrategy,
    /// The key by which a strategic merge patch pairs list items.
    pub(crate) merge_key: Option<String>,
    /// What the decoder puts in for an absent value.
    pub(crate) default: Option<Value>,
    /// The field's number in protobuf; 0 for none.
    pub(crate) number: u32,
}

/// The form of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A string, number, boolean, time or the like.
    Scalar(Scalar),
    /// A struct of that name.
    Struct(String),
    /// A list.
    List(Box<Shape>, ListKind),
    /// A map from strings.
    Map(Box<Shape>),
    /// Free-form JSON.
    Any,
}

/// The Go type of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// `string` and its named types.
    String,
    /// `bool`.
    Bool,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint8` or another small unsigned number.
    Unsigned,
    /// `float64`.
    Float64,
    /// `[]byte`, base64 in JSON.
    Bytes,
    /// `metav1.Time`, whole seconds.
    Time,
    /// `metav1.MicroTime`.
    MicroTime,
    /// `resource.Quantity`.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ListKind {
    /// The list is one value.
    #[default]
    Atomic,
    /// Items are their own keys.
    Set,
    /// Items are keyed by these fields.
    Map(Vec<String>),
}

/// When the Go encoder leaves a field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Omit {
    /// Never; a nil slice is written as null.
    Never,
    /// `omitempty`: false, 0, "", nil and empty slices and maps, but never a struct.
    Empty,
    /// `omitzero`: the zero value of any type.
    Zero,
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PatchStrategy {
    /// Lists are merged item by item instead of replaced.
    pub(crate) merge: bool,
    /// Maps are replaced instead of merged.
    pub(crate) replace: bool,
    /// Keys absent from `$retainKeys` are dropped.
    pub(crate) retain_keys: bool,
}
