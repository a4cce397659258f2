//! How objects look on the wire: documented fields, references as stubs, and what `include` and `exclude` change.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::catalog::Metro;
use super::config::SchemaDrift;
use super::world::World;
use super::world::device::Device;

pub(crate) mod assignment;
pub(crate) mod bgp;
pub(crate) mod catalog;
pub(crate) mod device;
pub(crate) mod expansion;
pub(crate) mod paging;
pub(crate) mod project;
pub(crate) mod reservation;

use expansion::Expansion;

/// Where every address under the API starts.
pub(crate) const PREFIX: &str = "/metal/v1";

/// Whether a response speaks the truth or what lists know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// A read by id: the truth.
    Object,
    /// A list: new objects may be missing from it, removed ones still in it.
    List,
}

/// Writes objects of the project as JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire<'a> {
    pub(crate) world: &'a World,
    pub(crate) view: View,
}

impl Wire<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.world.now
    }

    pub(crate) fn metro(&self, metro: Option<Metro>) -> Value {
        let Some(metro) = metro else { return Value::Null };
        json!({
            "id": self.world.identities.of("metro", metro.code),
            "code": metro.code,
            "name": metro.name,
            "country": metro.country,
        })
    }

    /// A facility is a stub unless it was asked for.
    pub(crate) fn facility(&self, code: &str, expansion: &Expansion) -> Value {
        let id = self.world.identities.of("facility", code);
        expansion.stub_unless_included("facility", &format!("facilities/{id}"), |inner| {
            self.facility_object(code, &id, inner)
        })
    }

    /// A device as this view has it.
    pub(crate) fn device_of(&self, id: &str) -> Option<&Device> {
        match self.view {
            View::Object => self.world.devices.get(id),
            View::List => self.world.devices.get(id).or_else(|| self.world.devices.get_listed(id, self.now())),
        }
    }

    pub(crate) fn project_stub(&self) -> Value {
        stub(&format!("projects/{}", self.world.config.project_id))
    }

    pub(crate) fn project_reference(&self, expansion: &Expansion) -> Value {
        let path = format!("projects/{}", self.world.config.project_id);
        expansion.stub_unless_included("project", &path, |inner| self.project(inner))
    }

    /// Makes an object stray from the schema as far as it was configured.
    pub(crate) fn drift(&self, mut object: Value, optional: &[&str]) -> Value {
        let Some(fields) = object.as_object_mut() else {
            return object;
        };
        if self.world.config.schema_drift >= SchemaDrift::UnknownFields {
            fields.insert("lifecycle_hints".to_owned(), json!({"beta": [1, "two", null, {"three": true}]}));
            fields.insert("revision".to_owned(), json!(18_446_744_073_709_551_615_u64));
        }
        if self.world.config.schema_drift >= SchemaDrift::MissingFields {
            for (position, field) in optional.iter().enumerate() {
                match position % 3 {
                    0 => fields.insert((*field).to_owned(), json!({})),
                    1 => fields.insert((*field).to_owned(), Value::Null),
                    _ => fields.remove(*field),
                };
            }
        }
        object
    }
}

/// The host-relative address of an object.
pub(crate) fn href(path: &str) -> String {
    format!("{PREFIX}/{path}")
}

/// A reference that is not expanded.
pub(crate) fn stub(path: &str) -> Value {
    json!({ "href": href(path) })
}
