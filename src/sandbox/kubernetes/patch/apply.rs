//! The body of a server-side apply.

use std::sync::Arc;

use serde_json::{Value, json};

use super::served;
use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::decode::{self, Decoded, FieldValidation};
use crate::sandbox::kubernetes::events;
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::managed_fields::{self, Application, Force, LAST_APPLIED};
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::registry::Resource;
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::status::Refusal;
use crate::sandbox::kubernetes::store::Object;
use crate::sandbox::kubernetes::validation::scope;
use crate::sandbox::kubernetes::verbs::{Account, Creation, create_object};

/// A configuration to be applied.
#[derive(Debug)]
pub(crate) struct Apply {
    /// Without `kind` and `apiVersion`.
    config: Value,
    force: Force,
}

impl Apply {
    /// Reads the configuration of a request.
    ///
    /// # Errors
    /// When no manager is named, the text does not parse, or it is of another kind or about another object.
    pub(super) fn of(request: &ResourceRequest) -> Result<Self, Refusal> {
        if request.query.get("fieldManager").is_none() {
            let error = FieldError::required("fieldManager", "is required for apply patch");
            return Err(Refusal::invalid_options("PatchOptions", error));
        }
        let parsed = decode::parse_yaml(&request.body);
        let mut config = parsed.map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))?;
        check_type(&config, request.resource())?;
        let members = object::members_mut(&mut config);
        members.remove("kind");
        members.remove("apiVersion");
        if !object::meta(&config, "name").is_empty() {
            scope::check_name(&config, request.name())?;
        }
        scope::check_namespace(&config, request.resource(), request.namespace())?;
        let force = if request.query.flag("force") { Force::Yes } else { Force::No };
        Ok(Self { config, force })
    }

    /// The object that results from applying to `old`, with its managed fields.
    pub(super) fn merge(&self, request: &ResourceRequest, old: &Value) -> Result<Decoded, Refusal> {
        let mut live = served(old, request.resource());
        let members = object::members_mut(&mut live);
        members.remove("kind");
        members.remove("apiVersion");
        self.applied(request, Some(&live))
    }

    /// Creates the object, as there is none to apply to.
    ///
    /// # Errors
    /// What a real server would refuse.
    pub(crate) fn create(&self, shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Arc<Object>, Refusal> {
        let resource = request.resource();
        let uid = object::meta(&self.config, "uid");
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Refusal::conflict(resource, request.name(), &why));
        }
        let mut value = self.applied(request, None)?.value;
        let metadata = object::metadata_mut(&mut value);
        metadata.insert("name".to_owned(), json!(request.name()));
        let creation = Creation {
            resource,
            namespace: request.namespace(),
            value,
            account: Account::Settled,
            dry_run: request.dry_run,
        };
        create_object(shared, creation)
    }

    fn applied(&self, request: &ResourceRequest, live: Option<&Value>) -> Result<Decoded, Refusal> {
        let resource = request.resource();
        let application = Application {
            resource,
            manager: &request.manager,
            subresource: request.subresource(),
            config: &self.config,
            force: self.force,
        };
        let mut value = managed_fields::apply(&application, live)?;
        if request.manager == "kubectl" {
            self.note_for_client_side(resource, &mut value);
        }
        let decoded = decode::read(value, resource, FieldValidation::Ignore).map_err(Refusal::plain_internal)?;
        Ok(Decoded { value: events::into_stored(decoded.value, resource), warnings: decoded.warnings })
    }
}

impl Apply {
    /// Keeps kubectl's client-side apply informed, where it has been used on the object.
    fn note_for_client_side(&self, resource: &Resource, value: &mut Value) {
        let annotation =
            value.pointer_mut("/metadata/annotations").and_then(|annotations| annotations.get_mut(LAST_APPLIED));
        let Some(annotation) = annotation else { return };
        let mut config = object::with_type(&self.config, resource);
        if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        *annotation = Value::from(format!("{config}\n"));
    }
}

fn check_type(config: &Value, resource: &Resource) -> Result<(), Refusal> {
    let (kind, version) = (object::text(config, "kind"), object::text(config, "apiVersion"));
    if kind == resource.kind && version == resource.api_version() {
        return Ok(());
    }
    let shown = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    Err(Refusal::bad_request(format!("invalid object type: {shown}, Kind={kind}")))
}
