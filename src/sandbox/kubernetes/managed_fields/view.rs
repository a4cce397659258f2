//! What a value is made of, as far as ownership goes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{FieldSet, Step};
use crate::sandbox::kubernetes::registry::Resource;
use crate::sandbox::kubernetes::schema::{CUSTOM_RESOURCE, Field, ListKind, Omit, SCHEMA, Scalar, Shape, TypeDef};
use crate::sandbox::kubernetes::structural::{Kind, Structural};

/// How ownership divides a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    /// It does not.
    Leaf,
    /// By the fields of a struct.
    Struct(&'a TypeDef),
    /// By the keys of a map.
    Map(&'a Shape),
    /// By the items, which are their own keys.
    Set,
    /// By the items, found by these fields.
    Keyed(&'a Shape, &'a [String]),
    /// By keys where it is a map; nothing more is known.
    Free,
    /// By the members of a whole custom object.
    Custom(&'a Structural),
    /// By the members that a custom schema declares.
    Declared(&'a Structural),
    /// By the items that a custom schema describes, found by these fields.
    DeclaredKeyed(Option<&'a Structural>, &'a [String]),
}

impl<'a> View<'a> {
    /// The view of a whole object.
    pub(super) fn of_resource(resource: &'a Resource) -> Self {
        match &resource.custom {
            Some(custom) => Self::Custom(&custom.schema),
            None => Self::of_type(&resource.schema),
        }
    }

    /// The view of a type by its name.
    pub(super) fn of_type(name: &str) -> View<'static> {
        View::Struct(SCHEMA.get(name))
    }

    fn of_structural(schema: &'a Structural) -> Self {
        match schema.kind {
            Some(Kind::Object) if schema.atomic => Self::Leaf,
            Some(Kind::Object) if schema.properties.is_empty() && schema.additional.is_none() => Self::Free,
            Some(Kind::Object) => Self::Declared(schema),
            Some(Kind::Array) => match &schema.list {
                ListKind::Atomic => Self::Leaf,
                ListKind::Set => Self::Set,
                ListKind::Map(keys) => Self::DeclaredKeyed(schema.items.as_deref(), keys),
            },
            Some(Kind::String | Kind::Integer | Kind::Number | Kind::Boolean | Kind::IntOrString) => Self::Leaf,
            None => Self::Free,
        }
    }

    fn of_shape(shape: &'a Shape) -> Self {
        match shape {
            Shape::Scalar(_) => Self::Leaf,
            Shape::Any => Self::Free,
            Shape::Struct(name) if SCHEMA.get(name).atomic => Self::Leaf,
            Shape::Struct(name) => Self::Struct(SCHEMA.get(name)),
            Shape::Map(element) => Self::Map(element),
            Shape::List(_, ListKind::Atomic) => Self::Leaf,
            Shape::List(_, ListKind::Set) => Self::Set,
            Shape::List(element, ListKind::Map(keys)) => Self::Keyed(element, keys),
        }
    }

    fn of_field(field: &'a Field) -> Self {
        if field.atomic { Self::Leaf } else { Self::of_shape(&field.shape) }
    }

    /// The view below a member of a struct or map; `None` when the type has no such field.
    pub(super) fn member(self, name: &str) -> Option<View<'a>> {
        match self {
            Self::Struct(def) => match def.fields.get(name) {
                Some(field) => Some(Self::of_field(field)),
                None => def.open.then_some(Self::Free),
            },
            Self::Map(element) => Some(Self::of_shape(element)),
            Self::Custom(_) if matches!(name, "apiVersion" | "kind" | "metadata") => {
                Self::of_type(CUSTOM_RESOURCE).member(name)
            }
            Self::Custom(schema) | Self::Declared(schema) => match schema.member(name) {
                Some(schema) => Some(Self::of_structural(schema)),
                None => schema.preserves_unknown.then_some(Self::Free),
            },
            Self::Free => Some(Self::Free),
            Self::Leaf | Self::Set | Self::Keyed(..) | Self::DeclaredKeyed(..) => None,
        }
    }

    /// Whether the member is a field that the type names.
    pub(super) fn names(self, member: &str) -> bool {
        match self {
            Self::Struct(def) => def.fields.contains_key(member),
            Self::Custom(schema) => {
                schema.properties.contains_key(member) || matches!(member, "apiVersion" | "kind" | "metadata")
            }
            Self::Declared(schema) => schema.properties.contains_key(member),
            Self::Leaf | Self::Map(_) | Self::Set | Self::Keyed(..) | Self::Free | Self::DeclaredKeyed(..) => false,
        }
    }

    /// The view below an item of a list.
    pub(super) fn item(self) -> View<'a> {
        match self {
            Self::Keyed(element, _) => Self::of_shape(element),
            Self::DeclaredKeyed(items, _) => items.map_or(Self::Free, Self::of_structural),
            _ => Self::Leaf,
        }
    }

    /// Whether the value divides into members here.
    pub(super) fn divides_members(self, value: &Value) -> bool {
        match self {
            Self::Struct(_) | Self::Map(_) | Self::Custom(_) | Self::Declared(_) => true,
            Self::Free => value.is_object(),
            Self::Leaf | Self::Set | Self::Keyed(..) | Self::DeclaredKeyed(..) => false,
        }
    }

    /// Whether the value divides into items here.
    pub(super) fn divides_items(self) -> bool {
        matches!(self, Self::Set | Self::Keyed(..) | Self::DeclaredKeyed(..))
    }

    /// The step that leads to an item; says what is wrong with it when there is none.
    pub(super) fn step_to(self, item: &Value) -> Result<Step, String> {
        match (self, item) {
            (Self::Keyed(element, keys), Value::Object(members)) => {
                key_step(keys, members, |key| default_of(element, key))
            }
            (Self::DeclaredKeyed(items, keys), Value::Object(members)) => {
                key_step(keys, members, |key| items?.properties.get(key)?.default.clone())
            }
            (Self::Keyed(..) | Self::DeclaredKeyed(..), Value::Null) => {
                Err("associative list with keys may not have a null element".to_owned())
            }
            (Self::Keyed(..) | Self::DeclaredKeyed(..), _) => {
                Err("associative list with keys may not have non-map elements".to_owned())
            }
            (_, Value::Object(_)) => Err("associative list without keys has an element that's a map type".to_owned()),
            (_, Value::Null) => Err("associative list without keys has an element that's an explicit null".to_owned()),
            (_, item) => Ok(Step::value(item)),
        }
    }
}

fn key_step(
    keys: &[String],
    members: &Map<String, Value>,
    default_of: impl Fn(&str) -> Option<Value>,
) -> Result<Step, String> {
    let mut found = BTreeMap::new();
    for key in keys {
        let value = members.get(key).cloned().or_else(|| default_of(key));
        found.extend(value.map(|value| (key.clone(), value)));
    }
    match found.is_empty() {
        true => Err(format!(
            "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default values \
             for any key fields)"
        )),
        false => Ok(Step::key(&found)),
    }
}

/// What an absent key field counts as.
fn default_of(element: &Shape, key: &str) -> Option<Value> {
    let Shape::Struct(name) = element else { return None };
    let field = SCHEMA.get(name).fields.get(key)?;
    let zero = match field.shape {
        Shape::Scalar(Scalar::String) => Value::from(""),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64) => Value::from(0),
        _ => return field.default.clone(),
    };
    let always_written = field.omit == Omit::Never && !field.pointer;
    field.default.clone().or(always_written.then_some(zero))
}

/// All fields of a value.
pub(super) fn field_set(value: &Value, view: View<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, view, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, view: View<'_>, path: &mut Vec<Step>, set: &mut FieldSet) {
    if view.divides_members(value) {
        for (name, member) in value.as_object().into_iter().flatten() {
            let Some(below) = view.member(name) else { continue };
            path.push(Step::field(name));
            collect(member, below, path, set);
            let empty = member.is_null() || member.as_object().is_some_and(Map::is_empty);
            if empty || !view.names(name) {
                set.insert(path);
            }
            path.pop();
        }
    } else if view.divides_items() {
        for item in value.as_array().into_iter().flatten() {
            let Ok(step) = view.step_to(item) else { continue };
            path.push(step);
            collect(item, view.item(), path, set);
            set.insert(path);
            path.pop();
        }
    } else {
        set.insert(path);
    }
}

/// The set with every named field on the way to a path of it.
pub(super) fn with_named_fields(set: &FieldSet, view: View<'_>) -> FieldSet {
    let mut out = set.map_children(|step, child| {
        let below = match step.field_name() {
            Some(name) => view.member(name),
            None => Some(view.item()),
        };
        below.map_or_else(|| child.clone(), |below| with_named_fields(child, below))
    });
    for (step, _) in set.children() {
        if step.field_name().is_some_and(|name| view.names(name)) {
            out = out.with_member(step);
        }
    }
    out
}

/// The first thing wrong with a configuration to be applied: a field of no type, a value of the wrong type, an item twice.
pub(super) fn fault(value: &Value, view: View<'_>) -> Option<String> {
    let mut found = Vec::new();
    check(value, view, "", &mut found);
    found.into_iter().next()
}

fn check(value: &Value, view: View<'_>, path: &str, found: &mut Vec<String>) {
    match (view, value) {
        (_, Value::Null) => {}
        (View::Struct(_) | View::Map(_) | View::Custom(_) | View::Declared(_), Value::Object(members)) => {
            for (name, member) in members {
                let path = format!("{path}.{name}");
                match view.member(name) {
                    Some(below) => check_member(member, view, name, below, &path, found),
                    None => found.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        (View::Struct(_) | View::Map(_) | View::Custom(_) | View::Declared(_), other) => {
            found.push(format!("{path}: expected map, got {}", go_value(other)))
        }
        (View::Set | View::Keyed(..) | View::DeclaredKeyed(..), Value::Array(items)) => {
            let mut seen: Vec<Step> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                match view.step_to(item) {
                    Err(fault) => found.push(format!("{path}: element {index}: {fault}")),
                    Ok(step) if seen.contains(&step) => {
                        found.push(format!("{path}: duplicate entries for key {}", step.shown()));
                    }
                    Ok(step) => {
                        check(item, view.item(), &format!("{path}{}", step.shown()), found);
                        seen.push(step);
                    }
                }
            }
        }
        (View::Set | View::Keyed(..) | View::DeclaredKeyed(..), other) => {
            found.push(format!("{path}: expected list, got {}", go_value(other)))
        }
        (View::Leaf | View::Free, _) => {}
    }
}

fn check_member(member: &Value, view: View<'_>, name: &str, below: View<'_>, path: &str, found: &mut Vec<String>) {
    let shape = match view {
        View::Struct(def) => def.fields.get(name).map(|field| &field.shape),
        View::Map(element) => Some(element),
        _ => None,
    };
    let wanted = match (shape, member) {
        (Some(Shape::Scalar(Scalar::String | Scalar::Time | Scalar::MicroTime | Scalar::Bytes)), other) => {
            (!other.is_string()).then_some("string")
        }
        (Some(Shape::Scalar(Scalar::Bool)), other) => (!other.is_boolean()).then_some("boolean"),
        (Some(Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Unsigned | Scalar::Float64)), other) => {
            (!other.is_number()).then_some("numeric (int or float)")
        }
        _ => None,
    };
    match wanted.filter(|_| !member.is_null()) {
        Some(wanted) => found.push(format!("{path}: expected {wanted}, got {}", go_value(member))),
        None => check(member, below, path, found),
    }
}

fn go_value(value: &Value) -> String {
    format!("&value.valueUnstructured{{Value:{value}}}")
}
