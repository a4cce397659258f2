//! Refusals, with the bodies that a real server sends.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::field_error::FieldError;
use super::registry::Resource;

/// A refused request: `metav1.Status` with `status: Failure`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    /// HTTP status, also in the body.
    pub(crate) code: StatusCode,
    /// `reason` of the body; empty for none.
    pub(crate) reason: &'static str,
    /// `message` of the body.
    pub(crate) message: String,
    /// `details` of the body, if any.
    pub(crate) details: Option<Value>,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// There is no such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(object_details(resource, name))
    }

    /// There is no such path under a known group.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
            .with_details(json!({}))
    }

    /// An object of that name is there already.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).with_details(object_details(resource, name))
    }

    /// The object is at another version than the request assumes.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// The request assumes something that is not so.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_details(object_details(resource, name))
    }

    /// A deletion assumes something that is not so.
    pub(crate) fn stale_precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let qualified = match resource.group.is_empty() {
            true => resource.kind.clone(),
            false => format!("{}.{}", resource.kind, resource.group),
        };
        let mut details = Map::new();
        insert_named(&mut details, name, &resource.group, &resource.kind);
        let message = format!("Operation cannot be fulfilled on {qualified} \"{name}\": {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_details(Value::Object(details))
    }

    /// Server-side apply met other owners; each cause is (manager, message, field).
    pub(crate) fn apply_conflict(message: String, causes: Vec<Value>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_details(json!({"causes": causes}))
    }

    /// The object breaks these rules.
    pub(crate) fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        Self::invalid_kind(&resource.collection.group, &resource.kind, name, errors)
    }

    /// The object breaks a rule that is checked before its kind is known.
    pub(crate) fn invalid_resource(resource: &Resource, name: &str, error: &FieldError) -> Self {
        Self::invalid_kind(&resource.group, &resource.plural, name, std::slice::from_ref(error))
    }

    /// The query parameters break these rules; `kind` is `CreateOptions` or the like.
    pub(crate) fn invalid_options(kind: &str, error: FieldError) -> Self {
        Self::invalid_kind("meta.k8s.io", kind, "", &[error])
    }

    /// The question makes no sense.
    pub(crate) fn invalid_review(resource: &Resource, error: &FieldError) -> Self {
        Self::invalid_kind(&resource.group, "", "", std::slice::from_ref(error))
    }

    /// What a patch results in cannot be read.
    pub(crate) fn invalid_patch(error: &FieldError) -> Self {
        Self::invalid_kind("", "", "", std::slice::from_ref(error))
    }

    fn invalid_kind(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for error in errors {
            let text = error.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let listed = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = match group.is_empty() {
            true => kind.to_owned(),
            false => format!("{kind}.{group}"),
        };
        let causes: Vec<Value> = errors.iter().map(FieldError::cause).collect();
        let mut details = Map::new();
        insert_named(&mut details, name, group, kind);
        details.insert("causes".to_owned(), Value::Array(causes));
        let message = format!("{qualified} \"{name}\" is invalid: {listed}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(Value::Object(details))
    }

    /// The patch cannot be applied to the object.
    pub(crate) fn unprocessable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", why).with_details(json!({}))
    }

    /// The patch is of a type that the resource does not take.
    pub(crate) fn unsupported_patch() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "415: Unsupported Media Type")
            .with_details(json!({}))
    }

    /// The request cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// The credentials are not known.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// The resource has no such verb.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(json!({}))
    }

    /// The version asked for is no longer kept.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// The patch is of a type that custom objects do not take.
    pub(crate) fn unsupported_custom_patch() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The body is in a format that is not read here.
    pub(crate) fn unsupported_media_type() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json, application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The answer cannot be given in any format the client takes.
    pub(crate) fn not_acceptable() -> Self {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf, application/json;stream=watch, \
                       application/vnd.kubernetes.protobuf;stream=watch";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).with_details(json!({}))
    }

    /// The version asked for is not there yet.
    pub(crate) fn too_large_revision(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
            .with_details(json!({"causes": [cause], "retryAfterSeconds": 1}))
    }

    /// The body is larger than the server reads.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// The server failed.
    pub(crate) fn internal(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", format!("Internal error occurred: {message}"))
            .with_details(json!({"causes": [{"message": message}]}))
    }

    /// The server failed, without a reason that clients could match.
    pub(crate) fn plain_internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// The namespace of a new object is on its way out.
    pub(crate) fn namespace_terminating(resource: &Resource, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let message = format!("{} is forbidden: {why}", resource.qualified());
        let cause = json!({
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": format!("namespace {namespace} is being terminated"),
        });
        let mut details = object_details(resource, "");
        details["causes"] = json!([cause]);
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details(details)
    }

    /// A fault ordered by a test: any status.
    pub(crate) fn injected(code: StatusCode) -> Self {
        let reason = match code.as_u16() {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "Unknown",
        };
        Self::new(code, reason, format!("injected fault: {code}"))
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            body["reason"] = Value::from(self.reason);
        }
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}

/// `details` naming an object.
pub(crate) fn object_details(resource: &Resource, name: &str) -> Value {
    let mut details = Map::new();
    insert_named(&mut details, name, &resource.group, &resource.plural);
    Value::Object(details)
}

fn insert_named(details: &mut Map<String, Value>, name: &str, group: &str, kind: &str) {
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), Value::from(value));
        }
    }
}
