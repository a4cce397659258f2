//! Tokens of service accounts: opaque ones, as nothing here checks them.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api::Shared;
use super::object;
use super::request::ResourceRequest;
use super::server;
use super::status::Refusal;
use super::{decode, timestamp};

/// How long a token lives that names no time, in seconds.
const DEFAULT_LIFE: i64 = 3600;

/// Answers a TokenRequest for a service account.
pub(crate) fn request(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let key = (request.namespace().to_owned(), request.name().to_owned());
    let account = shared.store.get(&resource.collection, &key);
    let account = account.ok_or_else(|| Refusal::not_found(resource, request.name()))?;
    let mut answer = match request.body.is_empty() {
        true => json!({}),
        false => decode::parse(&request.body, &request.content_type, "io.k8s.api.authentication.v1.TokenRequest")?,
    };
    let seconds = answer["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT_LIFE);
    let expires = Timestamp::now().checked_add(SignedDuration::from_secs(seconds));
    let expires = expires.map_err(|_| Refusal::bad_request("spec.expirationSeconds is out of range"))?;
    let secret = format!("sandbox-{}", uuid::Uuid::new_v4().simple());
    let audiences = match answer["spec"]["audiences"].as_array() {
        Some(audiences) if !audiences.is_empty() => Value::Array(audiences.clone()),
        _ => json!(["https://kubernetes.default.svc"]),
    };
    let metadata = json!({
        "name": request.name(), "namespace": request.namespace(), "creationTimestamp": timestamp::now(),
        "uid": object::meta(&account.value, "uid"),
    });
    object::members_mut(&mut answer).insert("metadata".to_owned(), metadata);
    answer["kind"] = json!("TokenRequest");
    answer["apiVersion"] = json!("authentication.k8s.io/v1");
    answer["spec"]["audiences"] = audiences;
    answer["spec"]["expirationSeconds"] = json!(seconds);
    answer["status"] = json!({"token": secret, "expirationTimestamp": timestamp::whole_seconds(expires)});
    Ok(server::json(StatusCode::CREATED, &answer))
}
