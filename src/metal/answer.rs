//! An HTTP answer: a value, or the error that it speaks of.

use std::error::Error as _;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::dump::{bounded, hide};
use crate::domain::Secret;
use crate::ports::MetalError;

const MOST_TEXTS: usize = 5;
const LONGEST_TEXT: usize = 300;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The error that an answer speaks of by its status, and by nothing else; `None` for a success and for 429, which
/// concerns all calls and is the client's business.
pub(super) fn failure(request: &str, answer: &Answer, secrets: &[&Secret]) -> Option<MetalError> {
    let request = request.to_owned();
    let errors = || texts(&answer.body, secrets);
    let status = answer.status.as_u16();
    match status {
        200..=299 | 429 => None,
        401 => Some(MetalError::Unauthorized { request }),
        403 => Some(MetalError::Forbidden { request, errors: errors() }),
        404 => Some(MetalError::NotFound { request }),
        // 408: something in between gave up waiting for the request.
        408 | 500..=599 => Some(MetalError::Server { request, status, errors: errors() }),
        400..=499 => Some(MetalError::Rejected { request, status, errors: errors() }),
        // Redirects are not followed: they would carry the API key to another place.
        other => Some(MetalError::Malformed {
            request,
            cause: format!("unexpected status {other}; is this the address of the Metal API?"),
        }),
    }
}

/// The value in a successful answer.
pub(super) fn decode<T: DeserializeOwned>(
    request: &str,
    answer: &Answer,
    secrets: &[&Secret],
) -> Result<T, MetalError> {
    let malformed = |cause: String| MetalError::Malformed {
        request: request.to_owned(),
        cause: bounded(&hide(&cause, secrets), LONGEST_TEXT),
    };
    let content_type = answer.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("(not text)"));
    if let Some(other) = content_type.filter(|text| !is_json(text)) {
        return Err(malformed(format!("its content type is {}", plain(other))));
    }
    // Without this, serde would read the fields of a struct out of a list.
    if answer.body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(malformed("it is no JSON object".to_owned()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| malformed(error.to_string()))
}

/// What went wrong below HTTP, without the URL.
pub(super) fn unreachable(request: &str, error: reqwest::Error, secrets: &[&Secret]) -> MetalError {
    let what = match () {
        () if error.is_timeout() && error.is_connect() => "the connection was not made in time",
        () if error.is_timeout() => "the answer did not come in time",
        () if error.is_connect() => "no connection",
        () if error.is_body() || error.is_decode() => "the answer broke off",
        () => "the request failed",
    };
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let cause = match error.source() {
        Some(_) => format!("{what}: {}", plain(&innermost.to_string())),
        None => what.to_owned(),
    };
    MetalError::Unreachable { request: request.to_owned(), cause: bounded(&hide(&cause, secrets), LONGEST_TEXT) }
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

/// The API's own words: `{"errors": ["…"]}` or `{"error": "…"}`, few and short.
fn texts(body: &[u8], secrets: &[&Secret]) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let said = [fields.get("errors"), fields.get("error")];
    let said = said.into_iter().flatten().flat_map(|value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => vec![text.as_str()],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    });
    said.take(MOST_TEXTS).map(|text| bounded(&hide(&plain(text), secrets), LONGEST_TEXT)).collect()
}

/// One line, so that a text cannot forge another log line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn said(body: &str) -> Vec<String> {
        texts(body.as_bytes(), &[&Secret::new("k3y")])
    }

    #[test]
    fn error_texts_are_read_in_both_forms_and_kept_short() {
        let cases: [(&str, &str, &[&str]); 8] = [
            ("a list", r#"{"errors":["one","two"]}"#, &["one", "two"]),
            ("a single one", r#"{"error":"one"}"#, &["one"]),
            ("an object", r#"{"errors":{"metro":["is bad"]}}"#, &[]),
            ("numbers among them", r#"{"errors":[1,"two",null]}"#, &["two"]),
            ("blank", "", &[]),
            ("HTML", "<html>502</html>", &[]),
            ("lines", "{\"error\":\"one\\ntwo\"}", &["one two"]),
            ("a key", r#"{"error":"key k3y is bad"}"#, &["key [redacted] is bad"]),
        ];
        for (name, body, expected) in cases {
            assert_eq!(said(body), expected, "{name}");
        }
        let long = format!(r#"{{"errors":["{}"]}}"#, "x".repeat(100_000));
        assert_eq!(said(&long)[0].chars().count(), LONGEST_TEXT + 1);
        let many = format!(r#"{{"errors":[{}"x"]}}"#, r#""x","#.repeat(100));
        assert_eq!(said(&many).len(), MOST_TEXTS);
    }
}
