//! What a YAML scalar means: the core schema of YAML 1.2, so `yes` and `on` are text.

use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

use crate::policy::tree::{Content, Node};

/// The value of a scalar; `None` when its tag is unknown or does not fit.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
    let Some(tag) = tag else {
        return Some(match style {
            ScalarStyle::Plain => plain(text),
            _ => Value::String(text.to_owned()),
        });
    };
    let value = plain(text);
    match tag.core_suffix() {
        Some("str") => Some(Value::String(text.to_owned())),
        Some("null") => value.is_null().then_some(value),
        Some("bool") => value.is_boolean().then_some(value),
        Some("int") => (value.is_i64() || value.is_u64()).then_some(value),
        Some("float") => value.is_number().then_some(value),
        _ => match (tag.handle(), tag.suffix()) {
            ("!", "") | ("", "!") => Some(Value::String(text.to_owned())),
            _ => None,
        },
    }
}

/// A scalar as the key of an object. Numbers and booleans count as the text they are written as.
pub(super) fn key(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar { value, .. } => match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(value) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        },
        Content::List(_) | Content::Map(_) => None,
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = text.strip_prefix('+').unwrap_or(text);
        return digits
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| digits.parse::<i64>().map(Number::from))
            .ok()
            .or_else(|| float(text));
    }
    match unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit())
    {
        true => float(text),
        false => None,
    }
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    match digits.starts_with(['+', '-']) {
        true => None,
        false => u64::from_str_radix(digits, radix).ok().map(Number::from),
    }
}

fn float(text: &str) -> Option<Number> {
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::plain;

    #[test]
    fn plain_scalars_mean_what_yaml_1_2_says() {
        let cases = [
            ("yes", json!("yes")),
            ("off", json!("off")),
            ("true", json!(true)),
            ("False", json!(false)),
            ("~", json!(null)),
            ("", json!(null)),
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("+7", json!(7)),
            ("010", json!(10)),
            ("0o10", json!(8)),
            ("0xff", json!(255)),
            ("0xzz", json!("0xzz")),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            (".", json!(".")),
            (".inf", json!(".inf")),
            ("10%", json!("10%")),
            ("203.0.113.17", json!("203.0.113.17")),
            ("10.0.0.0/8", json!("10.0.0.0/8")),
            ("1_000", json!("1_000")),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("22:22", json!("22:22")),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
