//! What each verb does.

mod create;
mod delete;
mod list;
mod read;
mod update;
mod watch;

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode};

use super::api::Shared;
use super::journal::Verb;
use super::registry::{Resource, Subresource};
use super::request::ResourceRequest;
use super::status::Refusal;
use super::store::Object;
use super::{access_review, render, token};

pub(crate) use create::{Account, Creation, create_object};

/// Answers a request.
///
/// # Errors
/// What a real server would refuse.
pub(crate) fn answer(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    match request.verb {
        Verb::Get => read::get(shared, request),
        Verb::List => list::list(shared, request),
        Verb::Watch => watch::watch(shared, request),
        Verb::Create if request.subresource() == Some(Subresource::Token) => token::request(shared, request),
        Verb::Create if access_review::answers(resource) => access_review::answer(shared, request),
        Verb::Create => create::create(shared, request),
        Verb::Update => update::update(shared, request),
        Verb::Patch => update::patch(shared, request),
        Verb::Delete => delete::delete(shared, request),
        Verb::DeleteCollection => delete::delete_collection(shared, request),
    }
}

/// The answer to a write: the object in the form asked for, with warnings.
fn written(request: &ResourceRequest, code: StatusCode, object: &Object, warnings: &[String]) -> Response<Body> {
    let mut response = render::one(request, &object.value);
    *response.status_mut() = code;
    for warning in warnings {
        let quoted = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_str(&quoted) {
            response.headers_mut().append("Warning", value);
        }
    }
    response
}

/// The collection key of an object of the request's resource.
fn key(resource: &Resource, namespace: &str, name: &str) -> (String, String) {
    let namespace = if resource.namespaced() { namespace } else { "" };
    (namespace.to_owned(), name.to_owned())
}
