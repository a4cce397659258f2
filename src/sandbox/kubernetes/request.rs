//! A request for a resource, read once at the edge.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::access::User;
use super::field_error::FieldError;
use super::journal::Verb;
use super::negotiate::Representation;
use super::query::Query;
use super::registry::{Resource, Subresource};
use super::status::Refusal;
use super::target::Target;

/// A request for a served resource.
#[derive(Debug)]
pub(crate) struct ResourceRequest {
    pub(crate) verb: Verb,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) representation: Representation,
    /// Media type of the body without parameters, lower case; empty when not given.
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
    pub(crate) user: User,
    /// The first part of the User-Agent, or `fieldManager`.
    pub(crate) manager: String,
    /// Nothing is to be stored.
    pub(crate) dry_run: bool,
}

impl ResourceRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// When the resource has no such verb, the answer no such form, or a parameter makes no sense.
    pub(crate) fn new(head: &Parts, target: Target, body: Bytes, user: User) -> Result<Self, Refusal> {
        let query = Query::parse(head.uri.query());
        let verb = verb(&head.method, &target, &query)?;
        let representation = Representation::of(&head.headers, &query)?;
        let dry_run = match query.get("dryRun").filter(|_| verb.writes()) {
            None => false,
            Some("All") => true,
            Some(other) => {
                let error = FieldError::not_supported("dryRun", vec![other], &["All"]);
                return Err(Refusal::invalid_options(options_kind(verb), error));
            }
        };
        let manager = match query.get("fieldManager") {
            Some(manager) => manager.to_owned(),
            None => manager_of(user_agent(&head.headers)),
        };
        let content_type = content_type(&head.headers);
        Ok(Self { verb, target, query, representation, content_type, body, user, manager, dry_run })
    }

    /// The resource.
    pub(crate) fn resource(&self) -> &Resource {
        &self.target.resource
    }

    /// The namespace of the path; empty for none.
    pub(crate) fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// The name of the path; empty for none.
    pub(crate) fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    /// The part of the object that is meant.
    pub(crate) fn subresource(&self) -> Option<Subresource> {
        self.target.subresource
    }
}

/// The User-Agent header, empty when absent.
pub(crate) fn user_agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The kind of the query parameters, which refusals of them name.
pub(crate) fn options_kind(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "GetOptions",
        Verb::List | Verb::Watch => "ListOptions",
        Verb::Create => "CreateOptions",
        Verb::Update => "UpdateOptions",
        Verb::Patch => "PatchOptions",
        Verb::Delete | Verb::DeleteCollection => "DeleteOptions",
    }
}

fn manager_of(user_agent: &str) -> String {
    let first = user_agent.split('/').next().unwrap_or_default();
    let printable = first.chars().take_while(|c| !c.is_control());
    printable.take(128).collect()
}

fn content_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn verb(method: &Method, target: &Target, query: &Query) -> Result<Verb, Refusal> {
    let named = target.name.is_some();
    let verb = match *method {
        Method::GET if query.flag("watch") => Verb::Watch,
        Method::GET if named => Verb::Get,
        Method::GET => Verb::List,
        Method::POST if !named || target.subresource.is_some() => Verb::Create,
        Method::PUT if named => Verb::Update,
        Method::PATCH if named => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return Err(Refusal::method_not_allowed()),
    };
    let offered = match target.subresource {
        Some(part) => part.verbs().contains(&verb.as_str()),
        None => target.resource.verbs.offers(verb.as_str()),
    };
    // Objects of a namespace are created under its path only.
    let placed = verb != Verb::Create || target.namespace.is_some() == target.resource.namespaced();
    let placed =
        placed && (verb != Verb::DeleteCollection || target.namespace.is_some() == target.resource.namespaced());
    match offered && placed {
        true => Ok(verb),
        false => Err(Refusal::method_not_allowed()),
    }
}
