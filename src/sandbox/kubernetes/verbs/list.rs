//! GET of a collection, in pages that all see the same version.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use serde_json::{Value, json};

use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::query::ReadAt;
use crate::sandbox::kubernetes::render::{self, Page};
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::selector::Selector;
use crate::sandbox::kubernetes::status::Refusal;
use crate::sandbox::kubernetes::store::Key;

const CONTINUE_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter, or use the continue token in this response to retrieve the \
    remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were \
    created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Where a page starts.
#[derive(Debug, PartialEq)]
struct Continue {
    revision: u64,
    after: Key,
}

/// Lists a collection.
pub(super) fn list(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let selector = Selector::of_query(&request.query, resource)?;
    let limit = request.query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let token = request.query.get("continue").map(Continue::decode).transpose()?;
    let read_at = ReadAt::of_list(&request.query)?;
    let current = shared.store.revision();
    let revision = match (&token, read_at) {
        (Some(token), ReadAt::Newest | ReadAt::Any) => Some(token.revision),
        (Some(_), ReadAt::NotOlderThan(_) | ReadAt::Exactly(_)) => {
            return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
        }
        (None, ReadAt::NotOlderThan(asked) | ReadAt::Exactly(asked)) if asked > current => {
            return Err(Refusal::too_large_revision(asked, current));
        }
        (None, ReadAt::Exactly(asked)) => Some(asked),
        (None, ReadAt::Newest | ReadAt::Any | ReadAt::NotOlderThan(_)) => None,
    };
    let after = token.as_ref().map(|token| &token.after);
    let snapshot = shared.store.list(&resource.collection, request.target.namespace.as_deref(), after, revision);
    let snapshot = snapshot.map_err(|_| match token {
        Some(_) => Refusal::expired(CONTINUE_TOO_OLD),
        None => Refusal::expired("The resourceVersion for the provided list is too old."),
    })?;
    let mut objects = snapshot.objects;
    if !selector.is_empty() {
        objects.retain(|(_, object)| selector.matches(&object.value));
    }
    // A real server answers "any version" from its cache, which knows no pages.
    let limit = limit.filter(|_| read_at != ReadAt::Any);
    let remaining = limit.map_or(0, |limit| objects.len().saturating_sub(limit));
    if remaining > 0 {
        objects.truncate(objects.len() - remaining);
    }
    let next = objects.last().filter(|_| remaining > 0).map(|(key, _)| {
        let next = Continue { revision: snapshot.revision, after: key.clone() };
        (next.encode(), selector.is_empty().then_some(remaining))
    });
    let page = Page { revision: snapshot.revision, next };
    let objects: Vec<_> = objects.into_iter().map(|(_, object)| object).collect();
    Ok(render::many(request, &objects, &page))
}

impl Continue {
    fn encode(&self) -> String {
        let (namespace, name) = &self.after;
        let text = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": format!("{namespace}/{name}\u{0}")});
        URL_SAFE_NO_PAD.encode(text.to_string())
    }

    fn decode(text: &str) -> Result<Self, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap_or_default();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let start = value["start"].as_str().and_then(|start| start.trim_end_matches('\u{0}').split_once('/'));
        match (value["rv"].as_u64(), start) {
            (Some(revision), Some((namespace, name))) => {
                Ok(Self { revision, after: (namespace.to_owned(), name.to_owned()) })
            }
            _ => Err(Refusal::bad_request("invalid continue token: continue key is not valid")),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_continue_token_survives_the_way_to_the_client_and_back() {
        let token = Continue { revision: 7, after: ("ns".to_owned(), "name".to_owned()) };
        assert_eq!(Continue::decode(&token.encode()), Ok(token));
    }
}
