//! Paths that are no resource: health, version, discovery, OpenAPI.

use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::api::Shared;
use super::status::Refusal;
use super::{discovery, openapi, server};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a path that is no served resource.
pub(crate) fn answer(shared: &Arc<Shared>, head: &Parts) -> Response<Body> {
    if head.method != Method::GET {
        return missing(head.uri.path());
    }
    let parts: Vec<&str> = head.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => server::text(StatusCode::OK, "ok"),
        ["version"] => ok(&version()),
        ["api"] => aggregated_or(head, || discovery::core_groups(shared), || discovery::core_versions(shared)),
        ["apis"] => aggregated_or(head, || discovery::other_groups(shared), || discovery::group_list(shared)),
        ["api", version] => found(discovery::resources(shared, "", version), head),
        ["apis", group] => found(discovery::group(shared, group), head),
        ["apis", group, version] => found(discovery::resources(shared, group, version), head),
        ["openapi", "v3"] => ok(&openapi::index(shared)),
        ["openapi", "v3", "api", version] => found(openapi::document(shared, "", version), head),
        ["openapi", "v3", "apis", group, version] => found(openapi::document(shared, group, version), head),
        [] => ok(&json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]})),
        _ => missing(head.uri.path()),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "sandbox", "gitTreeState": "clean",
        "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "none", "platform": "linux/amd64",
    })
}

fn aggregated_or(head: &Parts, aggregated: impl Fn() -> Value, legacy: impl Fn() -> Value) -> Response<Body> {
    let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accept.split(',').map(str::trim).find(|clause| clause.starts_with("application/json"));
    let wanted = first.is_some_and(|clause| clause.contains("APIGroupDiscoveryList") && clause.contains("v=v2"));
    if !wanted || first.is_some_and(|clause| clause.contains("v=v2beta1")) {
        return ok(&legacy());
    }
    let mut response = ok(&aggregated());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    response
}

fn found(document: Option<Value>, head: &Parts) -> Response<Body> {
    document.map_or_else(|| missing(head.uri.path()), |document| ok(&document))
}

/// Under a known group the API itself says so; elsewhere nobody answers.
fn missing(path: &str) -> Response<Body> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["api", "v1", ..] => server::refused(&Refusal::no_such_path()),
        ["apis", group, "v1", ..] if group.ends_with(".k8s.io") => server::refused(&Refusal::no_such_path()),
        _ => server::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

fn ok(body: &Value) -> Response<Body> {
    server::json(StatusCode::OK, body)
}
