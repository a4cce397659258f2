//! PUT and PATCH: an object is changed.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::create::{Account, Creation, create_object};
use super::{key, written};
use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::decode::{self, Decoded, FieldValidation};
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::journal::Verb;
use crate::sandbox::kubernetes::managed_fields::{self, Writer};
use crate::sandbox::kubernetes::patch::Patch;
use crate::sandbox::kubernetes::registry::{Resource, Rules, Subresource};
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::service_allocation::Reservation;
use crate::sandbox::kubernetes::status::Refusal;
use crate::sandbox::kubernetes::store::{Object, Write};
use crate::sandbox::kubernetes::validation::{metadata, scope};
use crate::sandbox::kubernetes::{crd, events, object, rules};

/// The object as a request wants it, computed from the object as it is.
enum Wanted<'a> {
    Whole(&'a Value),
    Patched(&'a Patch, FieldValidation),
}

/// Replaces an object.
pub(super) fn update(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let validation = FieldValidation::of(&request.query, Verb::Update)?;
    let body = decode::parse(&request.body, &request.content_type, &resource.schema)?;
    let decoded = decode::decode(body, resource, validation)?;
    let value = events::into_stored(decoded.value, resource);
    scope::check_name(&value, request.name())?;
    scope::check_namespace(&value, resource, request.namespace())?;
    let creates = resource.creates_on_update() && request.subresource().is_none();
    let key = key(resource, request.namespace(), request.name());
    if creates && shared.store.get(&resource.collection, &key).is_none() {
        return upsert(shared, request, value, &decoded.warnings);
    }
    let (object, warnings) = change(shared, request, &Wanted::Whole(&value))?;
    Ok(written(request, StatusCode::OK, &object, &[decoded.warnings, warnings].concat()))
}

/// Changes an object by a patch, or creates it by server-side apply.
pub(super) fn patch(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let validation = FieldValidation::of(&request.query, Verb::Patch)?;
    let patch = Patch::of(request)?;
    let key = key(resource, request.namespace(), request.name());
    if let Patch::Apply(apply) = &patch
        && request.subresource().is_none()
        && shared.store.get(&resource.collection, &key).is_none()
    {
        let created = apply.create(shared, request)?;
        return Ok(written(request, StatusCode::CREATED, &created, &[]));
    }
    let (object, warnings) = change(shared, request, &Wanted::Patched(&patch, validation))?;
    Ok(written(request, StatusCode::OK, &object, &warnings))
}

fn upsert(
    shared: &Arc<Shared>,
    request: &ResourceRequest,
    mut value: Value,
    warnings: &[String],
) -> Result<Response<Body>, Refusal> {
    object::metadata_mut(&mut value).remove("resourceVersion");
    let account = Account::Of(Writer { manager: &request.manager, subresource: None });
    let (resource, namespace) = (request.resource(), request.namespace());
    let creation = Creation { resource, namespace, value, account, dry_run: request.dry_run };
    let created = create_object(shared, creation)?;
    let warnings = [warnings.to_vec(), rules::warnings(resource, None, &created.value)].concat();
    Ok(written(request, StatusCode::CREATED, &created, &warnings))
}

fn change(
    shared: &Arc<Shared>,
    request: &ResourceRequest,
    wanted: &Wanted<'_>,
) -> Result<(Arc<Object>, Vec<String>), Refusal> {
    let resource = request.resource();
    let key = key(resource, request.namespace(), request.name());
    let mut preview = None;
    let mut removed = false;
    let mut warnings = Vec::new();
    let stored = shared.store.write(&resource.collection, &key, |existing| {
        let old = existing.ok_or_else(|| Refusal::not_found(resource, request.name()))?;
        let decoded = desired(request, wanted, &old.value)?;
        warnings = decoded.warnings;
        let new = settle(shared, request, wanted, &old.value, decoded.value)?;
        let write = outcome(resource, old, &new);
        removed = matches!(write, Write::Remove(_));
        // What a change removes, or would do, is shown at the version it was made from.
        if removed || request.dry_run {
            preview = Some(Arc::new(Object::new(new, old.revision)));
        }
        if request.dry_run {
            return Ok(Write::Keep);
        }
        if removed {
            rules::release(shared, resource, &old.value);
        }
        Ok(write)
    })?;
    let object = preview.or(stored).expect("a changed object was there before");
    if removed {
        crd::after_removal(shared, resource, &object.value);
        super::delete::finish_namespace(shared, object::meta(&object.value, "namespace"));
    } else if !request.dry_run {
        crd::after_write(shared, resource, &object.value);
    }
    warnings.extend(rules::warnings(resource, request.subresource(), &object.value));
    Ok((object, warnings))
}

fn desired(request: &ResourceRequest, wanted: &Wanted<'_>, old: &Value) -> Result<Decoded, Refusal> {
    match wanted {
        Wanted::Whole(value) => Ok(Decoded { value: (*value).clone(), warnings: Vec::new() }),
        Wanted::Patched(patch, validation) => patch.apply(request, old, *validation),
    }
}

/// Brings the wanted object into line with the rules of the resource and checks it.
fn settle(
    shared: &Arc<Shared>,
    request: &ResourceRequest,
    wanted: &Wanted<'_>,
    old: &Value,
    mut new: Value,
) -> Result<Value, Refusal> {
    let resource = request.resource();
    check_preconditions(request, wanted, old, &new)?;
    rules::default(resource, &mut new);
    let writer = Writer { manager: &request.manager, subresource: request.subresource() };
    match wanted {
        // Server-side apply has its own account of who owns what.
        Wanted::Patched(Patch::Apply(_), _) => {}
        Wanted::Patched(..) | Wanted::Whole(_) => managed_fields::after_update(resource, Some(old), &mut new, &writer),
    }
    keep_system_fields(old, &mut new);
    rules::prepare_update(resource, request.subresource(), old, &mut new);
    bump_generation(resource, old, &mut new);
    let reservation = rules::reserve(shared, resource, request.subresource(), Some(old), &mut new)?;
    let mut errors = metadata::common(&new);
    errors.extend(metadata::generic_change(old, &new));
    errors.extend(rules::validate_update(resource, request.subresource(), old, &new));
    if !errors.is_empty() {
        return Err(Refusal::invalid(resource, request.name(), &errors));
    }
    if !request.dry_run {
        reservation.map(Reservation::commit).unwrap_or_default();
    }
    Ok(new)
}

fn check_preconditions(
    request: &ResourceRequest,
    wanted: &Wanted<'_>,
    old: &Value,
    new: &Value,
) -> Result<(), Refusal> {
    let resource = request.resource();
    let uid = object::meta(new, "uid");
    let old_uid = object::meta(old, "uid");
    if matches!(wanted, Wanted::Whole(_)) && !uid.is_empty() && uid != old_uid {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {old_uid}");
        return Err(Refusal::conflict(resource, request.name(), &why));
    }
    let version = object::meta(new, "resourceVersion");
    if version.is_empty() || version == "0" {
        let needs_version = matches!(wanted, Wanted::Whole(_)) && !resource.updates_unconditionally();
        return match needs_version {
            true => {
                let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
                Err(Refusal::invalid_resource(resource, request.name(), &error))
            }
            false => Ok(()),
        };
    }
    match version == object::meta(old, "resourceVersion") {
        true => Ok(()),
        false => Err(Refusal::modified(resource, request.name())),
    }
}

/// What no client may change.
fn keep_system_fields(old: &Value, new: &mut Value) {
    let metadata = object::metadata_mut(new);
    if metadata.get("uid").and_then(Value::as_str).is_none_or(str::is_empty) {
        object::carry_over(metadata, &old["metadata"], "uid");
    }
    for field in ["resourceVersion", "creationTimestamp", "generation", "selfLink", "namespace"] {
        object::carry_over(metadata, &old["metadata"], field);
    }
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        if !metadata.contains_key(field) {
            object::carry_over(metadata, &old["metadata"], field);
        }
    }
}

fn bump_generation(resource: &Resource, old: &Value, new: &mut Value) {
    if !resource.counts_generation() {
        return;
    }
    let has_status = resource.rules != Rules::CustomResource || resource.subresources.contains(&Subresource::Status);
    let without = |value: &Value| {
        let mut members = value.as_object().cloned().unwrap_or_default();
        members.remove("metadata");
        // Where the status has a path of its own, it does not count.
        if has_status {
            members.remove("status");
        }
        members
    };
    if without(old) != without(new) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        object::metadata_mut(new).insert("generation".to_owned(), json!(generation));
    }
}

/// What becomes of the object. Who follows it sees it go in its last stored state.
fn outcome(resource: &Resource, old: &Arc<Object>, new: &Value) -> Write {
    let held = match resource.rules {
        Rules::Namespace => !object::items(new, "spec.finalizers").is_empty(),
        _ => new["metadata"]["deletionGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds > 0),
    };
    if object::is_being_deleted(new) && object::finalizers(new).is_empty() && !held {
        return Write::Remove(old.value.clone());
    }
    if managed_fields::differ_in_times_only(&old.value, new) { Write::Keep } else { Write::Put(new.clone()) }
}
