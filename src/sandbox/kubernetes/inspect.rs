//! Direct access to the server's objects and behaviour, past HTTP.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;

use super::api::Shared;
use super::fault::Fault;
use super::journal::{Entry, Verb};
use super::object;
use super::registry::Resource;
use super::seed;
use super::store::Write;

/// A handle on a running server; clones reach the same one.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    shared: Arc<Shared>,
}

/// A resource or object that is not as assumed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InspectError {
    /// Nothing of that plural name is served.
    #[error("no resource {plural} is served")]
    UnknownResource {
        /// The plural asked for.
        plural: String,
    },
    /// The API would have refused the object.
    #[error("the object was refused: {message}")]
    Refused {
        /// The API's words.
        message: String,
    },
}

impl StoreHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// One object, complete with `kind` and `apiVersion`.
    pub fn get(&self, plural: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        let resource = self.shared.registry.find_plural(plural)?;
        let key = (namespace.unwrap_or_default().to_owned(), name.to_owned());
        let found = self.shared.store.get(&resource.collection, &key)?;
        Some(object::with_type(&found.value, &resource))
    }

    /// All objects of a resource, or those of one namespace, ordered by namespace and name.
    pub fn list(&self, plural: &str, namespace: Option<&str>) -> Vec<Value> {
        let Some(resource) = self.shared.registry.find_plural(plural) else {
            return Vec::new();
        };
        let snapshot = self.shared.store.list(&resource.collection, namespace, None, None);
        let objects = snapshot.map(|snapshot| snapshot.objects).unwrap_or_default();
        objects.iter().map(|(_, object)| object::with_type(&object.value, &resource)).collect()
    }

    /// Creates an object as a POST would, its status included.
    ///
    /// # Errors
    /// When the resource is not served or the API would refuse the object.
    pub fn insert(&self, plural: &str, value: Value) -> Result<Value, InspectError> {
        let resource = self.resource(plural)?;
        let created = seed::insert(&self.shared, &resource, value);
        let created = created.map_err(|refusal| InspectError::Refused { message: refusal.message })?;
        Ok(object::with_type(&created.value, &resource))
    }

    /// Changes an object in place, past all rules; nothing happens when there is no such object.
    ///
    /// # Errors
    /// When the resource is not served.
    pub fn edit(
        &self,
        plural: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), InspectError> {
        let resource = self.resource(plural)?;
        let key = (namespace.unwrap_or_default().to_owned(), name.to_owned());
        let written = self.shared.store.write(&resource.collection, &key, |before| {
            let Some(before) = before else {
                return Ok::<_, Infallible>(Write::Keep);
            };
            let mut value = before.value.clone();
            change(&mut value);
            Ok(if value == before.value { Write::Keep } else { Write::Put(value) })
        });
        written.map(drop).unwrap_or_else(|never| match never {});
        Ok(())
    }

    /// Removes an object at once, finalizers or not.
    ///
    /// # Errors
    /// When the resource is not served.
    pub fn remove(&self, plural: &str, namespace: Option<&str>, name: &str) -> Result<(), InspectError> {
        let resource = self.resource(plural)?;
        let key = (namespace.unwrap_or_default().to_owned(), name.to_owned());
        let written = self.shared.store.write(&resource.collection, &key, |before| {
            Ok::<_, Infallible>(before.map_or(Write::Keep, |before| Write::Remove(before.value.clone())))
        });
        written.map(drop).unwrap_or_else(|never| match never {});
        Ok(())
    }

    /// The version of the last change.
    pub fn revision(&self) -> u64 {
        self.shared.store.revision()
    }

    /// How many requests came, per verb and resource (`services/status` apart from `services`).
    pub fn requests(&self) -> BTreeMap<(Verb, String), u64> {
        self.shared.journal.counts()
    }

    /// How many writing requests came for a resource, its subresources included.
    pub fn writes(&self, plural: &str) -> u64 {
        let of_resource = |resource: &str| resource.split('/').next() == Some(plural);
        let counts = self.shared.journal.counts();
        counts.iter().filter(|((verb, name), _)| verb.writes() && of_resource(name)).map(|(_, count)| count).sum()
    }

    /// The newest requests, oldest first; at most 10,000 are kept.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    /// Forgets all requests and counters.
    pub fn clear_journal(&self) {
        self.shared.journal.clear();
    }

    /// Lets requests fail.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Takes back all faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Breaks every open watch, without a goodbye, as a network does.
    pub fn drop_watches(&self) {
        self.shared.cuts.send_modify(|count| *count += 1);
    }

    /// Forgets all history: every resourceVersion known so far answers 410 from now on.
    pub fn compact(&self) {
        self.shared.store.compact();
    }

    fn resource(&self, plural: &str) -> Result<Arc<Resource>, InspectError> {
        let found = self.shared.registry.find_plural(plural);
        found.ok_or_else(|| InspectError::UnknownResource { plural: plural.to_owned() })
    }
}
