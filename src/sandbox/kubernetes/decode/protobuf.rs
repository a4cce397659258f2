//! Kubernetes protobuf, as far as reading goes: some kubectl commands write nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use crate::sandbox::kubernetes::schema::{Field, SCHEMA, Scalar, Shape, TypeDef};
use crate::sandbox::kubernetes::timestamp;

/// What every body starts with, before the envelope that names the type.
const MAGIC: &[u8] = b"k8s\0";

/// The bytes are no such message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum WireFault {
    /// The first bytes are others.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    /// The message ends in the middle of a field.
    #[error("unexpected EOF")]
    CutShort,
    /// A field is of a kind that Kubernetes never writes.
    #[error("proto: illegal wireType {0}")]
    WireType(u64),
}

/// A field as it came.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads an object, whose type the envelope says and `def` describes.
///
/// # Errors
/// When the bytes are no such message.
pub(super) fn parse(body: &[u8], def: &TypeDef) -> Result<Value, WireFault> {
    let envelope = body.strip_prefix(MAGIC).ok_or(WireFault::NoMagic)?;
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    for (number, wire) in fields(envelope)? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(raw, def)?;
    for (number, wire) in fields(type_meta)? {
        let name = if number == 1 { "apiVersion" } else { "kind" };
        if let Wire::Bytes(bytes) = wire {
            object.insert(name.to_owned(), text(bytes));
        }
    }
    Ok(Value::Object(object))
}

fn message(bytes: &[u8], def: &TypeDef) -> Result<Map<String, Value>, WireFault> {
    let mut out = Map::new();
    for (number, wire) in fields(bytes)? {
        let known = def.fields.iter().find(|(_, field)| field.number == number && number != 0);
        let Some((name, Field { shape, .. })) = known else { continue };
        match (shape, wire) {
            (Shape::List(element, _), wire) => {
                let item = value(element, wire)?;
                let list = out.entry(name.clone()).or_insert_with(|| json!([]));
                list.as_array_mut().expect("repeated fields of a list only ever make a list").push(item);
            }
            (Shape::Map(element), Wire::Bytes(bytes)) => {
                let (key, item) = map_entry(element, bytes)?;
                let map = out.entry(name.clone()).or_insert_with(|| json!({}));
                map.as_object_mut().expect("repeated fields of a map only ever make a map").insert(key, item);
            }
            (shape, wire) => {
                out.insert(name.clone(), value(shape, wire)?);
            }
        }
    }
    Ok(out)
}

fn map_entry(element: &Shape, bytes: &[u8]) -> Result<(String, Value), WireFault> {
    let mut key = String::new();
    let mut item = Value::Null;
    for (number, wire) in fields(bytes)? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            (2, Wire::Bytes(bytes)) if matches!(element, Shape::List(..)) => item = list_message(element, bytes)?,
            (2, wire) => item = value(element, wire)?,
            _ => {}
        }
    }
    Ok((key, item))
}

/// A list within a map is a message of its own.
fn list_message(list: &Shape, bytes: &[u8]) -> Result<Value, WireFault> {
    let Shape::List(element, _) = list else { return Ok(Value::Null) };
    let items = fields(bytes)?.into_iter().map(|(_, wire)| value(element, wire));
    items.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn value(shape: &Shape, wire: Wire<'_>) -> Result<Value, WireFault> {
    Ok(match (shape, wire) {
        (Shape::Struct(name), Wire::Bytes(bytes)) => Value::Object(message(bytes, SCHEMA.get(name))?),
        (Shape::Any, Wire::Bytes(bytes)) => raw_json(bytes)?,
        (Shape::Scalar(Scalar::Bool), Wire::Number(number)) => Value::Bool(number != 0),
        // Two's complement over 64 bits, whatever the width.
        (Shape::Scalar(_), Wire::Number(number)) => Value::Number(Number::from(number.cast_signed())),
        (Shape::Scalar(Scalar::Bytes), Wire::Bytes(bytes)) => Value::from(STANDARD.encode(bytes)),
        (Shape::Scalar(Scalar::Time), Wire::Bytes(bytes)) => time(bytes, timestamp::whole_seconds)?,
        (Shape::Scalar(Scalar::MicroTime), Wire::Bytes(bytes)) => time(bytes, timestamp::microseconds)?,
        (Shape::Scalar(Scalar::Quantity), Wire::Bytes(bytes)) => first_text(bytes, 1)?,
        (Shape::Scalar(Scalar::IntOrString), Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Scalar(_), Wire::Bytes(bytes)) => text(bytes),
        (Shape::List(..) | Shape::Map(_) | Shape::Struct(_) | Shape::Any, _) => Value::Null,
    })
}

fn text(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes))
}

fn first_text(bytes: &[u8], wanted: u32) -> Result<Value, WireFault> {
    let found = fields(bytes)?.into_iter().find_map(|(number, wire)| match wire {
        Wire::Bytes(bytes) if number == wanted => Some(text(bytes)),
        Wire::Bytes(_) | Wire::Number(_) => None,
    });
    Ok(found.unwrap_or(Value::Null))
}

/// JSON wrapped in a message.
fn raw_json(bytes: &[u8]) -> Result<Value, WireFault> {
    let text = first_text(bytes, 1)?;
    Ok(serde_json::from_str(text.as_str().unwrap_or_default()).unwrap_or_default())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, WireFault> {
    let mut number = 0;
    let mut is_text = false;
    for (field, wire) in fields(bytes)? {
        match (field, wire) {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            _ => {}
        }
    }
    if is_text { first_text(bytes, 3) } else { Ok(Value::from(number)) }
}

fn time(bytes: &[u8], render: fn(Timestamp) -> String) -> Result<Value, WireFault> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for (number, wire) in fields(bytes)? {
        match (number, wire) {
            (1, Wire::Number(value)) => seconds = value.cast_signed(),
            (2, Wire::Number(value)) => nanoseconds = i32::try_from(value).unwrap_or(0),
            _ => {}
        }
    }
    let known = !bytes.is_empty();
    let time = Timestamp::new(seconds, nanoseconds).ok().filter(|_| known);
    Ok(time.map_or(Value::Null, |time| Value::from(render(time))))
}

fn fields(mut bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, WireFault> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| WireFault::CutShort)?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => Wire::Bytes(take(&mut bytes, 4)?),
            other => return Err(WireFault::WireType(other)),
        };
        found.push((number, wire));
    }
    Ok(found)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, WireFault> {
    let mut out = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(WireFault::CutShort)?;
        *bytes = rest;
        out |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(out);
        }
    }
    Err(WireFault::CutShort)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], WireFault> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(WireFault::CutShort)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[number << 3 | 2, length], content].concat()
    }

    fn envelope(version: &[u8], kind: &[u8], raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, version), field(2, kind)].concat();
        [MAGIC, &field(1, &type_meta), &field(2, raw)].concat()
    }

    #[test]
    fn an_object_is_read_by_the_numbers_of_its_type() {
        let port = [field(1, b"http"), field(2, b"TCP"), vec![3 << 3, 80], field(4, &[1 << 3, 0, 2 << 3, 81])].concat();
        let spec = [field(1, &port), field(2, &[field(1, b"app"), field(2, b"web")].concat())].concat();
        let raw = [field(1, &field(1, b"web")), field(2, &spec)].concat();
        let found = parse(&envelope(b"v1", b"Service", &raw), SCHEMA.get("io.k8s.api.core.v1.Service"));
        let expected = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 81}], "selector": {"app": "web"}},
        });
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn other_bytes_are_refused() {
        let def = SCHEMA.get("io.k8s.api.core.v1.Service");
        let cut = [MAGIC, &[1 << 3 | 2, 9, 0]].concat();
        let rows: &[(&[u8], WireFault)] = &[
            (b"{}", WireFault::NoMagic),
            (&cut, WireFault::CutShort),
            (&[MAGIC, &[3]].concat(), WireFault::WireType(3)),
        ];
        for (bytes, expected) in rows {
            assert_eq!(parse(bytes, def).as_ref(), Err(expected));
        }
    }
}
