//! DELETE: an object goes at once, or is marked until its finalizers are gone.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::key;
use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::decode;
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::registry::{Collection, Resource, Rules};
use crate::sandbox::kubernetes::render::{self, Page};
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::selector::Selector;
use crate::sandbox::kubernetes::server;
use crate::sandbox::kubernetes::status::{Refusal, object_details};
use crate::sandbox::kubernetes::store::{Key, Object, Write};
use crate::sandbox::kubernetes::{crd, object, rules, timestamp};

/// `metav1.DeleteOptions`, from the body and the query.
#[derive(Debug, Default, Clone, PartialEq)]
struct Options {
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
}

/// What became of the object.
#[derive(Debug)]
enum Fate {
    Gone(Arc<Object>),
    Marked(Arc<Object>),
}

/// Deletes one object.
pub(super) fn delete(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let options = Options::of(request)?;
    let key = key(resource, request.namespace(), request.name());
    match delete_one(shared, resource, &key, &options)? {
        Fate::Marked(object) => Ok(render::one(request, &object.value)),
        // These answer with the object itself, in the state in which it went.
        Fate::Gone(object) if matches!(resource.rules, Rules::Service | Rules::Pod) || returns_object(resource) => {
            Ok(render::one(request, &object.value))
        }
        Fate::Gone(object) => {
            let mut details = object_details(resource, request.name());
            details["uid"] = json!(object::meta(&object.value, "uid"));
            let body = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            });
            Ok(server::json(StatusCode::OK, &body))
        }
    }
}

/// Deletes the objects that match.
pub(super) fn delete_collection(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = request.resource();
    let options = Options::of(request)?;
    let selector = Selector::of_query(&request.query, resource)?;
    let snapshot = shared.store.list(&resource.collection, request.target.namespace.as_deref(), None, None);
    let snapshot = snapshot.map_err(|_| Refusal::expired("The list is too old."))?;
    let mut deleted = Vec::new();
    for (key, object) in snapshot.objects {
        if !selector.matches(&object.value) {
            continue;
        }
        match delete_one(shared, resource, &key, &options) {
            Ok(Fate::Gone(_)) => deleted.push(object),
            Ok(Fate::Marked(marked)) => deleted.push(marked),
            // Somebody else deleted it in between.
            Err(refusal) if refusal.code == StatusCode::NOT_FOUND => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(render::many(request, &deleted, &Page { revision: shared.store.revision(), next: None }))
}

/// Deletes everything in a namespace, and the namespace once it is empty, as the namespace controller does.
fn empty_namespace(shared: &Arc<Shared>, namespace: &str) {
    for resource in shared.registry.all().into_iter().filter(|resource| resource.namespaced()) {
        let Ok(snapshot) = shared.store.list(&resource.collection, Some(namespace), None, None) else {
            continue;
        };
        for (key, _) in snapshot.objects {
            if let Err(refusal) = delete_one(shared, &resource, &key, &Options::default()) {
                tracing::debug!(resource = resource.plural, name = key.1, refusal.message, "object stayed");
            }
        }
    }
    finish_namespace(shared, namespace);
}

/// Removes a namespace that is being deleted and holds nothing any more.
pub(super) fn finish_namespace(shared: &Arc<Shared>, namespace: &str) {
    let collection = Collection { group: String::new(), plural: "namespaces".to_owned() };
    let key = (String::new(), namespace.to_owned());
    let dying = shared.store.get(&collection, &key).is_some_and(|object| object::is_being_deleted(&object.value));
    let holds = |resource: &Arc<Resource>| {
        let listed = shared.store.list(&resource.collection, Some(namespace), None, None);
        resource.namespaced() && listed.is_ok_and(|snapshot| !snapshot.objects.is_empty())
    };
    if !dying || shared.registry.all().iter().any(holds) {
        return;
    }
    let removed = shared.store.write(&collection, &key, |before| {
        Ok::<_, Refusal>(before.map_or(Write::Keep, |before| Write::Remove(before.value.clone())))
    });
    removed.map(drop).unwrap_or_default();
}

fn delete_one(shared: &Arc<Shared>, resource: &Resource, key: &Key, options: &Options) -> Result<Fate, Refusal> {
    let mut marked = false;
    let mut shown = None;
    let stored = shared.store.write(&resource.collection, key, |existing| {
        let old = existing.ok_or_else(|| Refusal::not_found(resource, &key.1))?;
        options.check(resource, &key.1, &old.value)?;
        let write = decide(resource, &old.value);
        marked = !matches!(write, Write::Remove(_));
        if options.dry_run {
            let value = match &write {
                Write::Put(value) | Write::Remove(value) => value.clone(),
                Write::Keep => old.value.clone(),
            };
            shown = Some(Arc::new(Object::new(value, old.revision)));
            return Ok(Write::Keep);
        }
        if !marked {
            shown = Some(old.clone());
            rules::release(shared, resource, &old.value);
        }
        Ok(write)
    })?;
    let object = shown.or(stored).expect("an object that was deleted was there before");
    if options.dry_run {
        return Ok(if marked { Fate::Marked(object) } else { Fate::Gone(object) });
    }
    if resource.rules == Rules::Namespace {
        empty_namespace(shared, &key.1);
    }
    if !marked {
        crd::after_removal(shared, resource, &object.value);
        finish_namespace(shared, &key.0);
    }
    Ok(if marked { Fate::Marked(object) } else { Fate::Gone(object) })
}

fn decide(resource: &Resource, old: &Value) -> Write {
    let mut new = old.clone();
    if resource.rules != Rules::Namespace && object::finalizers(old).is_empty() {
        return Write::Remove(new);
    }
    if object::is_being_deleted(old) {
        return Write::Keep;
    }
    let metadata = object::metadata_mut(&mut new);
    metadata.insert("deletionTimestamp".to_owned(), json!(timestamp::now()));
    if resource.rules != Rules::Namespace {
        metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    }
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
    if resource.rules == Rules::Namespace {
        new["status"]["phase"] = json!("Terminating");
    }
    Write::Put(new)
}

fn returns_object(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "serviceaccounts"
}

impl Options {
    fn of(request: &ResourceRequest) -> Result<Self, Refusal> {
        let body = match request.body.is_empty() {
            true => Value::Null,
            false => decode::parse(
                &request.body,
                &request.content_type,
                "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
            )?,
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let policy = request.query.get("propagationPolicy").or_else(|| body["propagationPolicy"].as_str());
        // Nothing owns anything here, so that every policy comes to the same.
        if let Some(other) = policy.filter(|policy| !matches!(*policy, "Background" | "Foreground" | "Orphan")) {
            let known = &["Foreground", "Background", "Orphan", "nil"];
            let error = FieldError::not_supported("propagationPolicy", other, known);
            return Err(Refusal::invalid_options("DeleteOptions", error));
        }
        let dry_run_asked = body["dryRun"].as_array().is_some_and(|modes| !modes.is_empty());
        Ok(Self {
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: request.dry_run || dry_run_asked,
        })
    }

    fn check(&self, resource: &Resource, name: &str, old: &Value) -> Result<(), Refusal> {
        let uid = object::meta(old, "uid");
        if let Some(wanted) = self.uid.as_deref().filter(|wanted| *wanted != uid) {
            let why = format!(
                "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been \
                 deleted and then recreated"
            );
            return Err(Refusal::stale_precondition(resource, name, &why));
        }
        let version = object::meta(old, "resourceVersion");
        if let Some(wanted) = self.resource_version.as_deref().filter(|wanted| *wanted != version) {
            let why = format!(
                "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). \
                 The object might have been modified"
            );
            return Err(Refusal::stale_precondition(resource, name, &why));
        }
        Ok(())
    }
}
