//! Brings JSON into the form in which the Go types would write it, as a real server does by decoding and encoding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::{Field, Omit, SCHEMA, Scalar, Shape, TypeDef, quantity};
use crate::sandbox::kubernetes::timestamp;

/// A value in its written form.
#[derive(Debug)]
pub(crate) struct Normalised {
    /// The value, without unknown fields and without what the encoder omits.
    pub(crate) value: Value,
    /// Paths of fields that no type knows.
    pub(crate) unknown: Vec<String>,
}

/// A value does not fit its Go type.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum DecodeFault {
    /// The JSON type is another than the Go type's.
    #[error("json: cannot unmarshal {found} into Go {place} of type {wanted}")]
    Mismatch { found: String, place: String, wanted: String },
    /// The text is not a time, a quantity or base64.
    #[error("{0}")]
    Text(String),
}

/// Decodes `value` as the type `name` and gives what an encoder would write.
///
/// # Errors
/// When a value's JSON type does not fit.
pub(crate) fn normalise(value: Value, name: &str) -> Result<Normalised, DecodeFault> {
    let mut walk = Walk { path: Vec::new(), owner: String::new(), unknown: Vec::new() };
    let value = walk.structure(value, SCHEMA.get(name))?;
    walk.unknown.sort();
    Ok(Normalised { value, unknown: walk.unknown })
}

/// A step of the way to a value.
#[derive(Debug, Clone)]
enum Part {
    Field(String),
    Key(String),
    Index(usize),
}

struct Walk {
    path: Vec<Part>,
    owner: String,
    unknown: Vec<String>,
}

impl Walk {
    fn structure(&mut self, value: Value, def: &TypeDef) -> Result<Value, DecodeFault> {
        let mut members = match value {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            other => return Err(self.mismatch(&other, &format!("{}.{}", package(&def.name), def.go_name()))),
        };
        let mut out = Map::new();
        for (name, field) in &def.fields {
            let given = members.remove(name).unwrap_or(Value::Null);
            let outer = std::mem::replace(&mut self.owner, def.go_name().to_owned());
            self.path.push(Part::Field(name.clone()));
            let decoded = self.field(given, field)?;
            self.path.pop();
            self.owner = outer;
            out.extend(decoded.map(|value| (name.clone(), value)));
        }
        if def.open {
            out.extend(members);
        } else {
            let prefix = self.dotted();
            let unknown = members.keys().map(|name| match prefix.is_empty() {
                true => name.clone(),
                false => format!("{prefix}.{name}"),
            });
            self.unknown.extend(unknown);
        }
        Ok(Value::Object(out))
    }

    /// The written form, or nothing when the encoder leaves the field out.
    fn field(&mut self, given: Value, field: &Field) -> Result<Option<Value>, DecodeFault> {
        let given = match (given, &field.default) {
            (Value::Null, Some(default)) => default.clone(),
            (Value::String(text), Some(default)) if text.is_empty() && !field.pointer => default.clone(),
            (given, _) => given,
        };
        if field.pointer && given.is_null() {
            return Ok((field.omit == Omit::Never).then_some(Value::Null));
        }
        let value = match self.shape(given, &field.shape)? {
            // Storage knows no difference between no list and an empty one.
            Value::Array(items) if items.is_empty() => Value::Null,
            value => value,
        };
        let written = match field.omit {
            Omit::Never => true,
            Omit::Empty | Omit::Zero if field.pointer => true,
            Omit::Empty => !is_empty(&value, &field.shape),
            Omit::Zero => !is_empty(&value, &field.shape) && !value.is_null(),
        };
        Ok(written.then_some(value))
    }

    fn shape(&mut self, value: Value, shape: &Shape) -> Result<Value, DecodeFault> {
        match shape {
            Shape::Any => Ok(value),
            Shape::Scalar(scalar) => self.scalar(value, *scalar),
            Shape::Struct(name) => self.structure(value, SCHEMA.get(name)),
            Shape::List(element, _) => self.list(value, element),
            Shape::Map(element) => self.map(value, element),
        }
    }

    fn list(&mut self, value: Value, element: &Shape) -> Result<Value, DecodeFault> {
        match value {
            Value::Null => Ok(Value::Null),
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push(Part::Index(index));
                    out.push(self.shape(item, element)?);
                    self.path.pop();
                }
                Ok(Value::Array(out))
            }
            other => Err(self.mismatch(&other, &format!("[]{}", go_type(element)))),
        }
    }

    fn map(&mut self, value: Value, element: &Shape) -> Result<Value, DecodeFault> {
        match value {
            Value::Null => Ok(Value::Null),
            Value::Object(members) => {
                let mut out = Map::new();
                for (key, item) in members {
                    self.path.push(Part::Key(key.clone()));
                    out.insert(key, self.shape(item, element)?);
                    self.path.pop();
                }
                Ok(Value::Object(out))
            }
            other => Err(self.mismatch(&other, &format!("map[string]{}", go_type(element)))),
        }
    }

    fn scalar(&self, value: Value, scalar: Scalar) -> Result<Value, DecodeFault> {
        let wanted = go_type(&Shape::Scalar(scalar));
        match (scalar, value) {
            (Scalar::String, Value::Null) => Ok(Value::String(String::new())),
            (Scalar::Bytes, Value::Null) => Ok(Value::Null),
            (Scalar::String, value @ Value::String(_)) => Ok(value),
            (Scalar::Bytes, Value::String(text)) => base64_value(text),
            (Scalar::Bool, Value::Null) => Ok(Value::Bool(false)),
            (Scalar::Bool, value @ Value::Bool(_)) => Ok(value),
            (Scalar::Int32 | Scalar::Int64 | Scalar::Unsigned | Scalar::Float64, Value::Null) => {
                Ok(Value::Number(Number::from(0)))
            }
            (Scalar::Int32, Value::Number(number)) if fits::<i32>(&number) => Ok(Value::Number(number)),
            (Scalar::Int64, Value::Number(number)) if number.is_i64() => Ok(Value::Number(number)),
            (Scalar::Unsigned, Value::Number(number)) if fits::<u32>(&number) => Ok(Value::Number(number)),
            (Scalar::Float64, value @ Value::Number(_)) => Ok(value),
            (Scalar::Time | Scalar::MicroTime, Value::Null) => Ok(Value::Null),
            (Scalar::Time, Value::String(text)) => time_value(&text),
            (Scalar::MicroTime, Value::String(text)) => micro_time(&text),
            (Scalar::Quantity, Value::Null) => Ok(Value::from("0")),
            (Scalar::Quantity, Value::Number(number)) => quantity_value(&number.to_string()),
            (Scalar::Quantity, Value::String(text)) => quantity_value(&text),
            (Scalar::IntOrString, Value::Null) => Ok(Value::from(0)),
            (Scalar::IntOrString, value @ Value::String(_)) => Ok(value),
            (Scalar::IntOrString, Value::Number(number)) if fits::<i32>(&number) => Ok(Value::Number(number)),
            (_, other) => Err(self.mismatch(&other, &wanted)),
        }
    }

    fn mismatch(&self, found: &Value, wanted: &str) -> DecodeFault {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(_) if wanted == "string" || wanted == "bool" || wanted.contains(['.', '[']) => {
                "number".to_owned()
            }
            Value::Number(number) => format!("number {number}"),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let place = match self.path.is_empty() {
            true => "value".to_owned(),
            false => {
                let fields = self.path.iter().filter_map(|part| match part {
                    Part::Field(name) => Some(name.as_str()),
                    Part::Key(_) | Part::Index(_) => None,
                });
                format!("struct field {}.{}", self.owner, fields.collect::<Vec<_>>().join("."))
            }
        };
        DecodeFault::Mismatch { found, place, wanted: wanted.to_owned() }
    }

    fn dotted(&self) -> String {
        let mut out = String::new();
        for part in &self.path {
            match part {
                Part::Index(index) => out.push_str(&format!("[{index}]")),
                Part::Field(name) | Part::Key(name) if out.is_empty() => out.push_str(name),
                Part::Field(name) | Part::Key(name) => out.push_str(&format!(".{name}")),
            }
        }
        out
    }
}

fn time_value(text: &str) -> Result<Value, DecodeFault> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Value::String(timestamp::whole_seconds(time))),
        Err(_) => {
            let quoted = Value::from(text);
            Err(DecodeFault::Text(format!(
                "parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\""
            )))
        }
    }
}

fn base64_value(text: String) -> Result<Value, DecodeFault> {
    let at = match STANDARD.decode(&text) {
        Ok(_) => return Ok(Value::String(text)),
        Err(base64::DecodeError::InvalidByte(at, _)) => at,
        Err(_) => text.len(),
    };
    Err(DecodeFault::Text(format!("illegal base64 data at input byte {at}")))
}

fn quantity_value(text: &str) -> Result<Value, DecodeFault> {
    let canonical = quantity::canonical(text).map(Value::String);
    canonical.ok_or_else(|| DecodeFault::Text(quantity::MALFORMED.to_owned()))
}

/// `metav1.MicroTime` is read with exactly six digits of a second.
fn micro_time(text: &str) -> Result<Value, DecodeFault> {
    const LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";
    let unreadable = |rest: &str, wanted: &str| {
        let (text, rest) = (Value::from(text), Value::from(rest));
        DecodeFault::Text(format!("parsing time {text} as \"{LAYOUT}\": cannot parse {rest} as \"{wanted}\""))
    };
    let time = text.parse::<jiff::Timestamp>().map_err(|_| unreadable(text, "2006"))?;
    let after_seconds = text.get(19..).unwrap_or_default();
    let digits = after_seconds.strip_prefix('.').map(|rest| rest.chars().take_while(char::is_ascii_digit).count());
    match digits {
        Some(6) => Ok(Value::String(timestamp::microseconds(time))),
        Some(7..) => Err(unreadable(after_seconds.get(7..).unwrap_or_default(), "Z07:00")),
        Some(_) | None => Err(unreadable(after_seconds, ".000000")),
    }
}

fn fits<T: TryFrom<i64>>(number: &Number) -> bool {
    number.as_i64().is_some_and(|number| T::try_from(number).is_ok())
}

/// What Go's `omitempty` counts as empty: never a struct, and a zero time is a struct.
fn is_empty(value: &Value, shape: &Shape) -> bool {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Scalar(Scalar::Time | Scalar::MicroTime | Scalar::Quantity), _) => false,
        (Shape::Scalar(Scalar::IntOrString), _) => false,
        (_, Value::Null) => true,
        (_, Value::Bool(value)) => !value,
        (_, Value::Number(number)) => number.as_f64() == Some(0.0),
        (_, Value::String(text)) => text.is_empty(),
        (_, Value::Array(items)) => items.is_empty(),
        (Shape::Any, Value::Object(_)) => false,
        (_, Value::Object(members)) => members.is_empty(),
    }
}

fn go_type(shape: &Shape) -> String {
    match shape {
        Shape::Any => "interface {}".to_owned(),
        Shape::Struct(name) => format!("{}.{}", package(name), name.rsplit('.').next().unwrap_or(name)),
        Shape::List(element, _) => format!("[]{}", go_type(element)),
        Shape::Map(element) => format!("map[string]{}", go_type(element)),
        Shape::Scalar(Scalar::String) => "string".to_owned(),
        Shape::Scalar(Scalar::Bool) => "bool".to_owned(),
        Shape::Scalar(Scalar::Int32) => "int32".to_owned(),
        Shape::Scalar(Scalar::Int64) => "int64".to_owned(),
        Shape::Scalar(Scalar::Unsigned) => "uint8".to_owned(),
        Shape::Scalar(Scalar::Float64) => "float64".to_owned(),
        Shape::Scalar(Scalar::Bytes) => "[]uint8".to_owned(),
        Shape::Scalar(Scalar::Time | Scalar::MicroTime) => "string".to_owned(),
        Shape::Scalar(Scalar::Quantity) => "string".to_owned(),
        Shape::Scalar(Scalar::IntOrString) => "int32".to_owned(),
    }
}

/// Go's package name: the version, as in `v1.Service`.
fn package(name: &str) -> &str {
    let mut parts = name.rsplit('.');
    parts.next();
    parts.next().unwrap_or(name)
}
