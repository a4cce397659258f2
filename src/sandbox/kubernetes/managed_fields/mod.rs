//! Who owns which field: `metadata.managedFields`, kept as a real server keeps it.

mod apply;
mod compare;
mod managers;
mod merge;
mod set;
mod view;

use serde_json::{Value, json};

use super::registry::{Resource, Rules, Subresource};
use super::schema;
use super::{object, render, rules};

pub(crate) use apply::{Application, Force, LAST_APPLIED, apply};
use compare::compare;
use managers::{Identity, Managers, Operation};
use set::{FieldSet, Step};
use view::View;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writer<'a> {
    /// The manager's name.
    pub(crate) manager: &'a str,
    /// The path through which it writes.
    pub(crate) subresource: Option<Subresource>,
}

/// Accounts for a write that is no apply: what it changes becomes the writer's.
///
/// `new` may carry managed fields of its own, by which clients correct the account; on the path of a part of the object
/// they are not read.
pub(crate) fn after_update(resource: &Resource, old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    // Fields are owned by the names that the writer knows them by.
    let old = old.map(|old| render::served(resource, old));
    let mut shown = render::served(resource, new);
    account_for(resource, old.as_ref(), &mut shown, writer);
    object::carry_over(object::metadata_mut(new), &shown["metadata"], "managedFields");
}

fn account_for(resource: &Resource, old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let before = old.map_or_else(|| empty_object(resource), strip_account);
    let mut account = account_before(old, new, writer.subresource);
    object::metadata_mut(new).remove("managedFields");
    if old.is_some() && account.is_empty() {
        // Nobody keeps account of this object until somebody applies to it.
        return;
    }
    let view = View::of_resource(resource);
    let reset = reset_fields(resource, writer.subresource);
    let found = compare(&before, &strip_account(new), view).without(&reset);
    let changed = found.modified.union(&found.added);
    account.take_away(&changed.union(&found.removed), None);
    let own = changed.difference(&never_owned());
    if !own.is_empty() {
        let identity = Identity {
            manager: if writer.manager.is_empty() { "unknown".to_owned() } else { writer.manager.to_owned() },
            operation: Operation::Update,
            api_version: resource.api_version(),
            subresource: writer.subresource.map(Subresource::as_str).unwrap_or_default().to_owned(),
        };
        account.grant(identity, &own);
        account.cap_updates();
    }
    account.write(new);
}

/// Whether two states of an object differ in nothing but the times of their managed fields.
pub(crate) fn differ_in_times_only(old: &Value, new: &Value) -> bool {
    let timeless = |value: &Value| {
        let mut copy = value.clone();
        let entries = copy.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            object::members_mut(entry).remove("time");
        }
        copy
    };
    timeless(old) == timeless(new)
}

/// The account that the write starts from.
fn account_before(old: Option<&Value>, new: &Value, subresource: Option<Subresource>) -> Managers {
    let live = || old.map(Managers::read).and_then(Result::ok).unwrap_or_default();
    if subresource.is_some() {
        return live();
    }
    match &new["metadata"]["managedFields"] {
        Value::Array(entries) if entries.is_empty() || *entries == [json!({})] => Managers::default(),
        Value::Array(_) => match Managers::read(new) {
            Ok(given) if !given.is_empty() => given,
            Ok(_) | Err(_) => live(),
        },
        _ => live(),
    }
}

/// An object of the resource in which nothing is set.
fn empty_object(resource: &Resource) -> Value {
    let empty = schema::normalise(json!({}), &resource.schema);
    let mut value = empty.map(|normalised| normalised.value).unwrap_or_default();
    if resource.rules == Rules::CustomResource {
        object::members_mut(&mut value).remove("metadata");
    }
    value
}

fn strip_account(value: &Value) -> Value {
    let mut copy = value.clone();
    object::metadata_mut(&mut copy).remove("managedFields");
    copy
}

fn reset_fields(resource: &Resource, subresource: Option<Subresource>) -> FieldSet {
    let mut set = FieldSet::default();
    for field in rules::reset_fields(resource, subresource) {
        set.insert(&[Step::field(field)]);
    }
    set
}

/// What belongs to nobody: the object's identity and what the server keeps.
fn never_owned() -> FieldSet {
    let mut set = FieldSet::default();
    for field in ["apiVersion", "kind", "metadata"] {
        set.insert(&[Step::field(field)]);
    }
    let of_metadata = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    for field in of_metadata {
        set.insert(&[Step::field("metadata"), Step::field(field)]);
    }
    set
}
