//! What a failed call to the API server means.

use kube::Error;
use kube::core::Status;

use crate::ports::ClusterError;

/// A failed call about an object (kind and name, as in `Service shop/web`).
///
/// The message is the API server's own words or the transport's, never the content of an answer.
pub fn cluster_error(object: impl Into<String>, error: &Error) -> ClusterError {
    let object = object.into();
    match error {
        Error::Api(status) => refused(object, status),
        // Its text may quote what it could not read.
        Error::SerdeError(_) => {
            ClusterError::Failed { object, message: "the API server's answer could not be read".into() }
        }
        other => ClusterError::Failed { object, message: with_causes(other) },
    }
}

fn refused(object: String, status: &Status) -> ClusterError {
    let message = status.message.clone();
    match status.code {
        // A proxy's 404 says nothing about the object.
        404 if status.reason == "NotFound" => ClusterError::NotFound { object },
        409 => ClusterError::Conflict { object },
        403 => ClusterError::Forbidden { object, message },
        422 if is_about_uid(status) => ClusterError::Conflict { object },
        400 | 413 | 415 | 422 => ClusterError::Invalid { object, message },
        code => ClusterError::Failed {
            object,
            message: if message.is_empty() {
                format!("the API server answered {code}")
            } else {
                format!("the API server answered {code}: {message}")
            },
        },
    }
}

/// A patch that names another UID than the stored one is refused as a change of an immutable field.
fn is_about_uid(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.field == "metadata.uid")
}

/// An error and its causes in one line, each said once.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    fn answered(status: Value) -> String {
        let status: Status = serde_json::from_value(status).expect("a Status");
        cluster_error("Service shop/web", &Error::Api(status.boxed())).to_string()
    }

    #[test]
    fn each_answer_means_one_thing() {
        let status = |code: u16| json!({ "status": "Failure", "code": code, "message": "words", "reason": "R" });
        let not_found = json!({ "status": "Failure", "code": 404, "message": "words", "reason": "NotFound" });
        let uid = json!({ "status": "Failure", "code": 422, "message": "words", "reason": "Invalid",
            "details": { "causes": [{ "reason": "FieldValueInvalid", "field": "metadata.uid", "message": "m" }] } });
        let cases = [
            ("not found", not_found, "Service shop/web not found"),
            ("not found by a proxy", status(404), "Service shop/web: the API server answered 404: words"),
            ("conflict", status(409), "Service shop/web has changed meanwhile"),
            ("another object of the same name", uid, "Service shop/web has changed meanwhile"),
            (
                "no right",
                status(403),
                "Service shop/web: forbidden: words; the controller's ClusterRole lacks this right",
            ),
            ("bad content", status(422), "Service shop/web: refused by the API server: words"),
            ("in trouble", status(503), "Service shop/web: the API server answered 503: words"),
        ];
        for (name, status, expected) in cases {
            assert_eq!(answered(status), expected, "{name}");
        }
    }

    #[test]
    fn an_unreadable_answer_is_not_quoted() {
        let parse = serde_json::from_str::<u8>("\"s3cret\"").expect_err("not a number");
        let error = cluster_error("Secret kube-system/bgp", &Error::SerdeError(parse));
        assert_eq!(error.to_string(), "Secret kube-system/bgp: the API server's answer could not be read");
    }
}
