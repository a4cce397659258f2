//! Answers as the API writes them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::sandbox::metal::world::{Refusal, identity};

/// What an endpoint answers.
pub(crate) type Answer = Result<Reply, Refusal>;

/// A success.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// 200 with a body.
    Ok(Value),
    /// 201 with the new object and where it is.
    Created(Value),
    /// A status that needs no body.
    Empty(StatusCode),
}

impl Reply {
    pub(crate) const NO_CONTENT: Self = Self::Empty(StatusCode::NO_CONTENT);
    pub(crate) const ACCEPTED: Self = Self::Empty(StatusCode::ACCEPTED);
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Ok(value) => json_response(StatusCode::OK, &value),
            Self::Created(value) => {
                let mut response = json_response(StatusCode::CREATED, &value);
                let tag: String =
                    identity::digest(&value.to_string())[..16].iter().map(|b| format!("{b:02x}")).collect();
                let location = value["href"].as_str().unwrap_or_default();
                for (name, text) in [(LOCATION, location.to_owned()), (ETAG, format!("W/\"{tag}\""))] {
                    if let Ok(text) = HeaderValue::from_str(&text) {
                        response.headers_mut().insert(name, text);
                    }
                }
                response
            }
            Self::Empty(status) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = status;
                response
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match &self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, json!({"error": self.texts()[0]})),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, json!({"errors": self.texts()})),
            Self::NotFound => (StatusCode::NOT_FOUND, json!({"errors": self.texts()})),
            Self::Unprocessable(_) => (StatusCode::UNPROCESSABLE_ENTITY, json!({"errors": self.texts()})),
        };
        json_response(status, &body)
    }
}

/// A response with the API's exact content type.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
