//! POST: a new object.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use rand::RngExt;
use serde_json::{Value, json};

use super::{key, written};
use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::decode::{self, FieldValidation};
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::journal::Verb;
use crate::sandbox::kubernetes::managed_fields::{self, Writer};
use crate::sandbox::kubernetes::registry::Resource;
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::service_allocation::Reservation;
use crate::sandbox::kubernetes::status::Refusal;
use crate::sandbox::kubernetes::store::{Object, Write};
use crate::sandbox::kubernetes::validation::{metadata, scope};
use crate::sandbox::kubernetes::{crd, events, object, rules, timestamp};

/// Letters of generated names: no vowels, so that no words come about.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A new object on its way into the store.
#[derive(Debug)]
pub(crate) struct Creation<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) namespace: &'a str,
    /// In its written form.
    pub(crate) value: Value,
    pub(crate) account: Account<'a>,
    pub(crate) dry_run: bool,
}

/// Who comes to own the fields of a new object.
#[derive(Debug)]
pub(crate) enum Account<'a> {
    /// This writer.
    Of(Writer<'a>),
    /// The object says so already.
    Settled,
}

/// Creates an object from a request.
pub(super) fn create(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let validation = FieldValidation::of(&request.query, Verb::Create)?;
    let body = decode::parse(&request.body, &request.content_type, &resource.schema)?;
    let decoded = decode::decode(body, resource, validation)?;
    let value = events::into_stored(decoded.value, resource);
    let account = Account::Of(Writer { manager: &request.manager, subresource: None });
    let namespace = request.namespace();
    let creation = Creation { resource, namespace, value, account, dry_run: request.dry_run };
    let created = create_object(shared, creation)?;
    let warnings = [decoded.warnings, rules::warnings(resource, None, &created.value)].concat();
    Ok(written(request, StatusCode::CREATED, &created, &warnings))
}

/// Stores a new object: names it, fills in what the server owns, applies defaults and checks it.
///
/// # Errors
/// What a real server would refuse.
pub(crate) fn create_object(shared: &Arc<Shared>, creation: Creation<'_>) -> Result<Arc<Object>, Refusal> {
    let Creation { resource, namespace, mut value, account, dry_run } = creation;
    scope::check_namespace(&value, resource, namespace)?;
    scope::check_namespace_exists(shared, resource, namespace)?;
    let generated = name(&mut value, resource)?;
    rules::default(resource, &mut value);
    if let Account::Of(writer) = account {
        managed_fields::after_update(resource, None, &mut value, &writer);
    }
    stamp(&mut value, resource, namespace);
    rules::prepare_create(resource, &mut value);
    let mut tries = 0;
    loop {
        let attempt = commit(shared, resource, &value, dry_run);
        match attempt {
            Err(refusal) if refusal.reason == "AlreadyExists" && generated && tries < 8 => {
                tries += 1;
                generate(&mut value);
            }
            other => {
                let created = other?;
                if !dry_run {
                    crd::after_write(shared, resource, &created.value);
                }
                return Ok(created);
            }
        }
    }
}

fn commit(shared: &Arc<Shared>, resource: &Resource, value: &Value, dry_run: bool) -> Result<Arc<Object>, Refusal> {
    let name = object::meta(value, "name").to_owned();
    let key = key(resource, object::meta(value, "namespace"), &name);
    let mut value = value.clone();
    let mut preview = None;
    let stored = shared.store.write(&resource.collection, &key, |existing| {
        let reservation = rules::reserve(shared, resource, None, None, &mut value)?;
        let mut errors = metadata::of_new(resource, &value);
        errors.extend(rules::validate_create(resource, &value));
        if !errors.is_empty() {
            return Err(Refusal::invalid(resource, &name, &errors));
        }
        if !object::meta(&value, "resourceVersion").is_empty() {
            return Err(Refusal::plain_internal("resourceVersion should not be set on objects to be created"));
        }
        if existing.is_some() {
            return Err(Refusal::already_exists(resource, &name));
        }
        if dry_run {
            preview = Some(Arc::new(Object::new(value, 0)));
            return Ok(Write::Keep);
        }
        reservation.map(Reservation::commit).unwrap_or_default();
        Ok(Write::Put(value))
    })?;
    Ok(preview.or(stored).expect("a new object is either stored or shown"))
}

/// Makes sure of a name; answers whether it was generated.
fn name(value: &mut Value, resource: &Resource) -> Result<bool, Refusal> {
    if !object::meta(value, "name").is_empty() {
        return Ok(false);
    }
    if object::meta(value, "generateName").is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(Refusal::invalid(resource, "", &[error]));
    }
    generate(value);
    Ok(true)
}

fn generate(value: &mut Value) {
    let mut random = rand::rng();
    let suffix: String =
        (0..5).map(|_| char::from(SUFFIX_LETTERS[random.random_range(0..SUFFIX_LETTERS.len())])).collect();
    let base: String = object::meta(value, "generateName").chars().take(58).collect();
    object::metadata_mut(value).insert("name".to_owned(), Value::from(base + &suffix));
}

/// Fills in what only the server may say.
fn stamp(value: &mut Value, resource: &Resource, namespace: &str) {
    let metadata = object::metadata_mut(value);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
    metadata.insert("creationTimestamp".to_owned(), json!(timestamp::now()));
    if resource.namespaced() {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if resource.counts_generation() {
        metadata.insert("generation".to_owned(), json!(1));
    }
}
