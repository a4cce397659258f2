//! GET of one object.

use std::sync::Arc;

use axum::body::Body;
use http::Response;

use super::key;
use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::query::parse_revision;
use crate::sandbox::kubernetes::render;
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::status::Refusal;

/// Reads one object.
pub(super) fn get(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let current = shared.store.revision();
    if let Some(asked) = request.query.get("resourceVersion").map(parse_revision).transpose()?
        && asked > current
    {
        return Err(Refusal::too_large_revision(asked, current));
    }
    let key = key(resource, request.namespace(), request.name());
    let found = shared.store.get(&resource.collection, &key);
    let found = found.ok_or_else(|| Refusal::not_found(resource, request.name()))?;
    Ok(render::one(request, &found.value))
}
