//! Questions about tokens and rights, answered and not stored.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::api::Shared;
use super::decode::{self, FieldValidation};
use super::field_error::FieldError;
use super::managed_fields::{self, Writer};
use super::object;
use super::registry::{Resource, Rules};
use super::request::ResourceRequest;
use super::server;
use super::status::Refusal;

/// Whether the resource is such a question.
pub(crate) fn answers(resource: &Resource) -> bool {
    resource.rules == Rules::Review
}

/// Answers a TokenReview, SubjectAccessReview, SelfSubjectAccessReview or SelfSubjectReview.
pub(crate) fn answer(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let validation = FieldValidation::of(&request.query, request.verb)?;
    let body = decode::parse(&request.body, &request.content_type, &resource.schema)?;
    let mut review = decode::decode(body, resource, validation)?.value;
    check(resource, &review)?;
    let writer = Writer { manager: &request.manager, subresource: None };
    managed_fields::after_update(resource, None, &mut review, &writer);
    review["status"] = match resource.kind.as_str() {
        "TokenReview" => token_status(shared, &review),
        "SelfSubjectReview" => {
            json!({"userInfo": {"username": request.user.name, "groups": request.user.groups}})
        }
        "SelfSubjectAccessReview" => access_status(shared, &request.user.name, &request.user.groups, &review),
        _ => {
            let groups: Vec<String> =
                object::items(&review, "spec.groups").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            access_status(shared, object::text(&review, "spec.user"), &groups, &review)
        }
    };
    Ok(server::json(StatusCode::CREATED, &object::with_type(&review, resource)))
}

fn check(resource: &Resource, review: &Value) -> Result<(), Refusal> {
    let asks = |field: &str| review["spec"][field].is_object();
    match resource.kind.as_str() {
        "TokenReview" if object::text(review, "spec.token").is_empty() => {
            Err(Refusal::bad_request("token is required for TokenReview in authentication"))
        }
        "SubjectAccessReview" | "SelfSubjectAccessReview"
            if asks("resourceAttributes") == asks("nonResourceAttributes") =>
        {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let error =
                FieldError::invalid("spec.resourceAttributes", review["spec"]["resourceAttributes"].clone(), why);
            Err(Refusal::invalid_review(resource, &error))
        }
        _ => Ok(()),
    }
}

fn token_status(shared: &Shared, review: &Value) -> Value {
    let secret = object::text(review, "spec.token");
    match shared.config.tokens.iter().find(|token| token.secret == secret) {
        Some(token) => {
            let user = json!({"username": token.user, "groups": token.groups});
            json!({"authenticated": true, "user": user, "audiences": ["https://kubernetes.default.svc"]})
        }
        None => json!({"user": {}, "error": "invalid bearer token"}),
    }
}

fn access_status(shared: &Shared, user: &str, groups: &[String], review: &Value) -> Value {
    let spec = &review["spec"];
    let question = AccessQuestion {
        user,
        groups,
        verb: ["resourceAttributes", "nonResourceAttributes"]
            .into_iter()
            .find_map(|attributes| spec[attributes]["verb"].as_str())
            .unwrap_or_default(),
        path: spec["nonResourceAttributes"]["path"].as_str(),
        resource: spec["resourceAttributes"]["resource"].as_str(),
    };
    let allowed = groups.iter().any(|group| group == "system:masters")
        || shared.config.grants.iter().any(|grant| grant.covers(&question));
    match allowed {
        true => json!({"allowed": true}),
        false => json!({"allowed": false}),
    }
}

/// What an access review asks.
struct AccessQuestion<'a> {
    user: &'a str,
    groups: &'a [String],
    verb: &'a str,
    path: Option<&'a str>,
    resource: Option<&'a str>,
}

impl super::api::Grant {
    fn covers(&self, question: &AccessQuestion<'_>) -> bool {
        let subject = self.subject == question.user || question.groups.contains(&self.subject);
        let verb = self.verb == "*" || self.verb == question.verb;
        let target = self.target == "*" || Some(self.target.as_str()) == question.path.or(question.resource);
        subject && verb && target
    }
}
