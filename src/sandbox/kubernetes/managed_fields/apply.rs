//! Server-side apply: a manager says what it wants, and gives up what it no longer says.

use serde_json::{Value, json};

use super::compare::compare;
use super::managers::{Identity, Managers, Operation};
use super::set::FieldSet;
use super::view::{View, fault, field_set, with_named_fields};
use super::{empty_object, merge, never_owned, reset_fields, strip_account};
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::registry::{Resource, Subresource};
use crate::sandbox::kubernetes::status::Refusal;

/// The annotation in which client-side apply keeps its last configuration.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A configuration on its way into an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Application<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) manager: &'a str,
    pub(crate) subresource: Option<Subresource>,
    /// What the manager wants, without `kind` and `apiVersion`.
    pub(crate) config: &'a Value,
    pub(crate) force: Force,
}

/// Whether fields of others may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// They may.
    Yes,
    /// That is a conflict.
    No,
}

/// Applies a configuration to an object, or to nothing; answers the object with its managed fields, not yet in written
/// form.
///
/// # Errors
/// 409 when it would change what others own and may not; 500, as on a real server, when it names fields that no type
/// has, or the same item twice.
pub(crate) fn apply(application: &Application<'_>, live: Option<&Value>) -> Result<Value, Refusal> {
    let resource = application.resource;
    let view = View::of_resource(resource);
    check(application, view)?;
    let mut account = account_of(application, live, view)?;
    let before = live.map_or_else(|| empty_object(resource), strip_account);
    let identity = Identity {
        manager: application.manager.to_owned(),
        operation: Operation::Apply,
        api_version: resource.api_version(),
        subresource: application.subresource.map(Subresource::as_str).unwrap_or_default().to_owned(),
    };
    let reset = reset_fields(resource, application.subresource);
    let own = field_set(application.config, view).without_below(&reset);
    let last = account.fields_of(&identity).cloned();
    account.set(identity.clone(), own, None);
    let merged = merge::merge(&before, application.config, view);
    let mut value = match last.filter(|last| !last.is_empty()) {
        Some(last) => prune(&merged, &last, &account, view),
        None => merged,
    };
    let found = compare(&before, &value, view).without(&reset);
    let changed = found.modified.union(&found.added);
    resolve(application, live, &account, &identity, &changed)?;
    account.take_away(&changed.union(&found.removed), Some(&identity));
    let owned = account.fields_of(&identity).cloned().unwrap_or_default().difference(&never_owned());
    account.set(identity.clone(), owned, None);
    if value != before {
        account.touch(&identity);
    }
    account.write(&mut value);
    Ok(value)
}

/// The account that the application starts from. What nobody has kept account of so far is put down to "before the first
/// apply".
fn account_of(application: &Application<'_>, live: Option<&Value>, view: View<'_>) -> Result<Managers, Refusal> {
    let Some(live) = live else { return Ok(Managers::default()) };
    let read = Managers::read(live);
    let mut account =
        read.map_err(|fault| Refusal::plain_internal(format!("failed to decode managed fields: {fault}")))?;
    if account.is_empty() {
        let (resource, subresource) = (application.resource, application.subresource);
        let found = compare(&empty_object(resource), live, view).without(&reset_fields(resource, subresource));
        let identity = Identity {
            manager: "before-first-apply".to_owned(),
            operation: Operation::Update,
            api_version: resource.api_version(),
            subresource: subresource.map(Subresource::as_str).unwrap_or_default().to_owned(),
        };
        account.grant(identity, &found.modified.union(&found.added).difference(&never_owned()));
    }
    Ok(account)
}

fn check(application: &Application<'_>, view: View<'_>) -> Result<(), Refusal> {
    let (config, resource) = (application.config, application.resource);
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let Some(fault) = fault(config, view) else { return Ok(()) };
    let (namespace, name) = (object::meta(config, "namespace"), object::meta(config, "name"));
    let version = match resource.group.is_empty() {
        true => format!("/{}", resource.version),
        false => resource.api_version(),
    };
    Err(Refusal::plain_internal(format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={}): {fault}",
        resource.kind
    )))
}

/// Takes out what the manager applied last time, does not apply now, and nobody else owns.
fn prune(merged: &Value, last: &FieldSet, account: &Managers, view: View<'_>) -> Value {
    let named = |set: &FieldSet| with_named_fields(set, view);
    let all = named(&field_set(merged, view));
    let pruned = merge::remove(merged, &named(last), view);
    let managed = account.entries().fold(FieldSet::default(), |all, entry| all.union(&entry.fields));
    let kept = named(&field_set(&pruned, view)).union(&named(&managed));
    let pruned = merge::remove(merged, &all.difference(&kept), view);
    let left = named(&field_set(&pruned, view));
    merge::remove(merged, &all.difference(&left).intersection(&named(last)), view)
}

/// Others' fields may change only by force.
fn resolve(
    application: &Application<'_>,
    live: Option<&Value>,
    account: &Managers,
    identity: &Identity,
    changed: &FieldSet,
) -> Result<(), Refusal> {
    if application.force == Force::Yes {
        return Ok(());
    }
    let allowed = allowed_conflicts(application, live);
    let mut conflicts: Vec<(&Identity, Vec<String>)> = account
        .entries()
        .filter(|entry| entry.identity != *identity)
        .map(|entry| (&entry.identity, entry.fields.intersection(changed)))
        .filter(|(_, fields)| !fields.difference(&allowed).is_empty())
        .map(|(identity, fields)| (identity, fields.shown()))
        .collect();
    conflicts.sort_by_key(|(identity, _)| (&identity.manager, identity.operation, &identity.subresource));
    match conflicts.is_empty() {
        true => Ok(()),
        false => Err(conflict(&conflicts)),
    }
}

/// What client-side apply by the same tool said last is no conflict for its server-side form.
fn allowed_conflicts(application: &Application<'_>, live: Option<&Value>) -> FieldSet {
    let annotation = live.and_then(|live| live["metadata"]["annotations"][LAST_APPLIED].as_str());
    let last = annotation.filter(|_| application.manager == "kubectl").and_then(|text| serde_json::from_str(text).ok());
    let (Some(last), Some(live)) = (last, live) else { return FieldSet::default() };
    let view = View::of_resource(application.resource);
    let last: Value = last;
    let found = compare(&last, &strip_account(live), view);
    field_set(&last, view).difference(&found.modified).difference(&found.added).difference(&found.removed)
}

fn conflict(conflicts: &[(&Identity, Vec<String>)]) -> Refusal {
    let mut causes = Vec::new();
    for (identity, fields) in conflicts {
        for field in fields {
            causes.push(json!({
                "reason": "FieldManagerConflict", "message": format!("conflict with {}", identity.shown()), "field": field,
            }));
        }
    }
    let message = match (conflicts, causes.len()) {
        ([(identity, fields)], 1) => {
            format!("Apply failed with 1 conflict: conflict with {}: {}", identity.shown(), fields.join(""))
        }
        (_, count) => {
            let lines = conflicts.iter().flat_map(|(identity, fields)| {
                let head = format!("conflicts with {}:", identity.shown());
                std::iter::once(head).chain(fields.iter().map(|field| format!("- {field}")))
            });
            format!("Apply failed with {count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
        }
    };
    Refusal::apply_conflict(message, causes)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::sandbox::kubernetes::registry::Registry;

    fn service() -> Resource {
        Resource::clone(&Registry::built_in().find("", "v1", "services").unwrap())
    }

    fn run(
        resource: &Resource,
        manager: &str,
        config: &Value,
        force: Force,
        live: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let application = Application { resource, manager, subresource: None, config, force };
        apply(&application, live)
    }

    #[test]
    fn a_manager_gives_up_what_it_no_longer_says() {
        let resource = service();
        let first =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"ports": [{"port": 80}, {"port": 81}]}});
        let live = run(&resource, "m", &first, Force::No, None).unwrap();
        let second = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"ports": [{"port": 80}]}});
        let live = run(&resource, "m", &second, Force::No, Some(&live)).unwrap();
        assert_eq!(live["metadata"]["labels"], json!({"a": "1"}));
        assert_eq!(live["spec"]["ports"], json!([{"port": 80}]));
    }

    #[test]
    fn what_another_manager_owns_too_stays() {
        let resource = service();
        let labels = json!({"metadata": {"labels": {"a": "1"}}});
        let live = run(&resource, "m", &labels, Force::No, None).unwrap();
        let live = run(&resource, "n", &labels, Force::No, Some(&live)).unwrap();
        let live = run(&resource, "m", &json!({"metadata": {}}), Force::No, Some(&live)).unwrap();
        assert_eq!(live["metadata"]["labels"], json!({"a": "1"}));
    }

    #[test]
    fn others_fields_are_taken_by_force_only() {
        let resource = service();
        let live = run(&resource, "m", &json!({"metadata": {"labels": {"a": "1"}}}), Force::No, None).unwrap();
        let other = json!({"metadata": {"labels": {"a": "2"}}});
        let refused = run(&resource, "n", &other, Force::No, Some(&live)).unwrap_err();
        let message = "Apply failed with 1 conflict: conflict with \"m\": .metadata.labels.a";
        assert_eq!((refused.code.as_u16(), refused.message.as_str()), (409, message));
        let forced = run(&resource, "n", &other, Force::Yes, Some(&live)).unwrap();
        let owners: Vec<&str> = object::items(&forced, "metadata.managedFields")
            .iter()
            .map(|entry| object::text(entry, "manager"))
            .collect();
        assert_eq!(owners, ["n"]);
    }

    #[test]
    fn two_addresses_of_one_type_are_refused() {
        let resource = Resource::clone(&Registry::built_in().find("", "v1", "nodes").unwrap());
        let address = |address: &str| json!({"type": "InternalIP", "address": address});
        let config =
            json!({"metadata": {"name": "n"}, "status": {"addresses": [address("10.0.0.1"), address("fd00::1")]}});
        let refused = run(&resource, "m", &config, Force::Yes, None).unwrap_err();
        let message = "failed to create typed patch object (/n; /v1, Kind=Node): .status.addresses: duplicate entries for key \
                       [type=\"InternalIP\"]";
        assert_eq!(refused.message, message);
    }
}
