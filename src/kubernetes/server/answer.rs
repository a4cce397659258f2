//! Answers of the server, in the words of Kubernetes' own components.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use serde_json::json;

use super::review::Attempt;

pub(super) type Answer = Response<Body>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    typed(status, TEXT, text.into())
}

pub(super) fn typed(status: StatusCode, content_type: HeaderValue, content: String) -> Answer {
    let mut answer = Response::new(Body::from(content));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    answer
}

pub(super) fn json(value: &serde_json::Value) -> Answer {
    typed(StatusCode::OK, JSON, value.to_string())
}

/// The same answer as to GET, without its body: HTTP/2 takes it ill when one follows.
pub(super) fn headers_only(answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Body::empty())
}

pub(super) fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

pub(super) fn unauthorized() -> Answer {
    failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized", None)
}

pub(super) fn forbidden(attempt: &Attempt, reason: &str) -> Answer {
    let Attempt { user, verb, path } = attempt;
    let what = sanitized(&format!("User {:?} cannot {verb} path {path:?}", user.name));
    let message = if reason.is_empty() { format!("forbidden: {what}") } else { format!("forbidden: {what}: {reason}") };
    failure(StatusCode::FORBIDDEN, "Forbidden", &message, Some(json!({})))
}

pub(super) fn internal_error(path: &str, reason: &str) -> Answer {
    let message = sanitized(&format!("Internal Server Error: {path:?}: {reason}"));
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("{message}\n"))
}

fn failure(status: StatusCode, reason: &str, message: &str, details: Option<serde_json::Value>) -> Answer {
    let mut body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status.as_u16(),
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    typed(status, JSON, body.to_string())
}

/// Nothing in an answer may look like HTML.
fn sanitized(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
