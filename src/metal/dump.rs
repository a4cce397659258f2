//! The HTTP dump for debugging, without the secrets.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::domain::Secret;

/// Whether whole requests and answers go to the debug log. `PACKNGO_DEBUG` in the environment turns it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpDump {
    /// Nothing is dumped.
    #[default]
    Off,
    /// Everything is dumped at debug level; keys, tokens and passwords are replaced.
    On,
}

const REDACTED: &str = "[redacted]";
const LONGEST_DUMP: usize = 16 * 1024;
/// Headers that may be shown; any other may carry a credential.
const PLAIN_HEADERS: [&str; 11] = [
    "accept",
    "content-length",
    "content-type",
    "date",
    "location",
    "retry-after",
    "server",
    "user-agent",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
];
/// Parts of names of fields whose values are never shown. `customdata` and `userdata` are the user's own and often hold
/// credentials.
const SECRET_FIELDS: [&str; 8] = ["md5", "password", "token", "secret", "api_key", "apikey", "userdata", "customdata"];

/// Headers as `name: value` lines; values of those not known to be harmless are replaced.
pub(super) fn headers(headers: &HeaderMap) -> String {
    let shown = |name: &str, value: &str| match PLAIN_HEADERS.contains(&name) {
        true => format!("{name}: {value}"),
        false => format!("{name}: {REDACTED}"),
    };
    let lines = headers.iter().map(|(name, value)| shown(name.as_str(), value.to_str().unwrap_or("(not text)")));
    lines.collect::<Vec<_>>().join("\n")
}

/// A body with its secret fields replaced, cut where it gets long. What is not JSON is not shown: nobody knows what it
/// holds.
pub(super) fn body(bytes: &[u8], secrets: &[&Secret]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value) => {
            hide_fields(&mut value);
            bounded(&hide(&value.to_string(), secrets), LONGEST_DUMP)
        }
        Err(_) => format!("({} bytes that are no JSON)", bytes.len()),
    }
}

/// A text without these secrets.
pub(super) fn hide(text: &str, secrets: &[&Secret]) -> String {
    let known = secrets.iter().filter(|secret| !secret.expose().trim().is_empty());
    known.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), REDACTED))
}

/// A text of at most so many bytes, with a mark where it was cut.
pub(super) fn bounded(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let cut = (0..=longest).rev().find(|at| text.is_char_boundary(*at)).expect("0 is a boundary of every text");
    format!("{}…", &text[..cut])
}

fn hide_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.to_ascii_lowercase();
                if SECRET_FIELDS.iter().any(|part| name.contains(part)) && holds_something(value) {
                    *value = Value::from(REDACTED);
                } else {
                    hide_fields(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn holds_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    #[test]
    fn cfg_33_keys_and_passwords_are_not_dumped() {
        let sent: HeaderMap = [
            (HeaderName::from_static("x-auth-token"), HeaderValue::from_static("k3y")),
            (HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer k3y")),
            (HeaderName::from_static("accept"), HeaderValue::from_static("application/json")),
        ]
        .into_iter()
        .collect();
        assert_eq!(headers(&sent), "x-auth-token: [redacted]\nauthorization: [redacted]\naccept: application/json");
        let answer = json!({
            "id": "B", "md5": "Passw0rdXX", "sessions": [{"md5_password": "Passw0rdXX", "md5_enabled": true}],
            "root_password": "hunter2", "userdata": "#!/bin/sh", "customdata": {}, "access_token": "jwt",
            "text": "the key k3y was refused", "md5_of_nothing": null
        });
        let key = Secret::new("k3y");
        let shown: Value = serde_json::from_str(&body(answer.to_string().as_bytes(), &[&key])).expect("still JSON");
        assert_eq!(
            shown,
            json!({
                "id": "B", "md5": "[redacted]", "sessions": [{"md5_password": "[redacted]", "md5_enabled": true}],
                "root_password": "[redacted]", "userdata": "[redacted]", "customdata": {}, "access_token": "[redacted]",
                "text": "the key [redacted] was refused", "md5_of_nothing": null
            })
        );
        assert_eq!(body(b"<html>k3y</html>", &[&key]), "(16 bytes that are no JSON)");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(bounded("short", 5), "short");
        assert_eq!(bounded("grün", 3), "gr…");
    }
}
