//! The hash of what a policy means.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Document, PolicyHash};

const DIGITS: usize = 16;

/// The hash of a document: comments, layout, order of keys and defaults that are written out make no difference.
pub(super) fn of(document: &Document) -> PolicyHash {
    let mut canonical = String::new();
    write_canonical(&document.to_value(), &mut canonical);
    let digest = Sha256::digest(canonical.as_bytes());
    let mut hex = String::with_capacity(2 * digest.len());
    for byte in digest {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    hex.truncate(DIGITS);
    PolicyHash::new(hex)
}

/// JSON with sorted keys and no spaces.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
