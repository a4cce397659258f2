//! The entries of `metadata.managedFields`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::{FieldSet, MalformedStep};
use crate::sandbox::kubernetes::{object, timestamp};

/// How many managers of updates are kept apart.
const UPDATES_KEPT: usize = 10;

/// How a manager came by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// What tells one entry from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) manager: String,
    pub(super) operation: Operation,
    /// For appliers it does not tell entries apart.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ownership {
    pub(super) identity: Identity,
    pub(super) fields: FieldSet,
    time: Option<String>,
}

/// All entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Managers {
    entries: Vec<Ownership>,
}

/// Managed fields that do not parse.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum AccountFault {
    /// A part of an entry is missing or none of the known.
    #[error("an entry of metadata.managedFields has a malformed {0}")]
    Part(&'static str),
    /// A key of `fieldsV1` is no step.
    #[error("fieldsV1 does not parse")]
    Fields(#[from] MalformedStep),
}

impl Identity {
    /// Whether both are the same entry.
    fn is(&self, other: &Self) -> bool {
        let version = self.operation == Operation::Apply || self.api_version == other.api_version;
        version
            && self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
    }

    /// As messages name it.
    pub(super) fn shown(&self) -> String {
        let mut out = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            out.push_str(&format!(" using {}", self.api_version));
        }
        out
    }
}

impl Managers {
    /// Reads the entries of an object.
    ///
    /// # Errors
    /// When one does not parse.
    pub(super) fn read(value: &Value) -> Result<Self, AccountFault> {
        let entries = object::items(value, "metadata.managedFields").iter().map(read_entry);
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// Writes the entries into an object, in the order of a real server.
    pub(super) fn write(mut self, value: &mut Value) {
        self.entries.retain(|entry| !entry.fields.is_empty());
        self.entries.sort_by_key(Ownership::sort_key);
        let entries: Vec<Value> = self.entries.iter().map(write_entry).collect();
        let metadata = object::metadata_mut(value);
        match entries.is_empty() {
            true => metadata.remove("managedFields"),
            false => metadata.insert("managedFields".to_owned(), Value::Array(entries)),
        };
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Ownership> {
        self.entries.iter()
    }

    /// The fields of one entry.
    pub(super) fn fields_of(&self, identity: &Identity) -> Option<&FieldSet> {
        self.entries.iter().find(|entry| entry.identity.is(identity)).map(|entry| &entry.fields)
    }

    /// Takes fields away from all, or from all but one.
    pub(super) fn take_away(&mut self, fields: &FieldSet, except: Option<&Identity>) {
        for entry in &mut self.entries {
            if except.is_none_or(|identity| !entry.identity.is(identity)) {
                entry.fields = entry.fields.difference(fields);
            }
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
    }

    /// Adds fields to an entry, which is new or gets the present time.
    pub(super) fn grant(&mut self, identity: Identity, fields: &FieldSet) {
        let merged = self.fields_of(&identity).map_or_else(|| fields.clone(), |own| own.union(fields));
        self.set(identity, merged, Some(timestamp::now()));
    }

    /// Sets the fields of an entry; its time stays unless one is given.
    pub(super) fn set(&mut self, identity: Identity, fields: FieldSet, time: Option<String>) {
        match self.entries.iter_mut().find(|entry| entry.identity.is(&identity)) {
            Some(entry) => {
                entry.identity = identity;
                entry.fields = fields;
                entry.time = time.or_else(|| entry.time.take());
            }
            None => self.entries.push(Ownership { identity, fields, time }),
        }
    }

    /// Sets the time of an entry.
    pub(super) fn touch(&mut self, identity: &Identity) {
        let found = self.entries.iter_mut().filter(|entry| entry.identity.is(identity));
        found.for_each(|entry| entry.time = Some(timestamp::now()));
    }

    /// Joins the oldest updates of a version in one entry when there are too many.
    pub(super) fn cap_updates(&mut self) {
        let mut updates: Vec<Identity> = {
            let mut entries: Vec<&Ownership> =
                self.entries.iter().filter(|entry| entry.identity.operation == Operation::Update).collect();
            entries.sort_by_key(|entry| entry.sort_key());
            entries.into_iter().map(|entry| entry.identity.clone()).collect()
        };
        let mut left = updates.len();
        let mut first_of: BTreeMap<String, Identity> = BTreeMap::new();
        for identity in updates.drain(..) {
            if left <= UPDATES_KEPT {
                return;
            }
            let version = identity.api_version.clone();
            let bucket = Identity {
                manager: "ancient-changes".to_owned(),
                operation: Operation::Update,
                api_version: version.clone(),
                subresource: String::new(),
            };
            let Some(first) = first_of.get(&version).cloned() else {
                first_of.insert(version, identity);
                continue;
            };
            if self.fields_of(&bucket).is_none()
                && let Some(oldest) = self.remove(&first)
            {
                self.set(bucket.clone(), oldest.fields, oldest.time);
            }
            if let Some(merged) = self.remove(&identity) {
                let fields = self.fields_of(&bucket).map_or_else(FieldSet::default, Clone::clone).union(&merged.fields);
                self.set(bucket, fields, merged.time);
                left -= 1;
            }
        }
    }

    fn remove(&mut self, identity: &Identity) -> Option<Ownership> {
        let index = self.entries.iter().position(|entry| entry.identity.is(identity))?;
        Some(self.entries.remove(index))
    }
}

impl Ownership {
    fn sort_key(&self) -> (Operation, Option<String>, Identity) {
        (self.identity.operation, self.time.clone(), self.identity.clone())
    }
}

fn read_entry(entry: &Value) -> Result<Ownership, AccountFault> {
    let text = |field: &str| object::text(entry, field).to_owned();
    let operation = match object::text(entry, "operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err(AccountFault::Part("operation")),
    };
    if text("apiVersion").is_empty() {
        return Err(AccountFault::Part("apiVersion"));
    }
    if text("fieldsType") != "FieldsV1" {
        return Err(AccountFault::Part("fieldsType"));
    }
    let identity = Identity {
        manager: text("manager"),
        operation,
        api_version: text("apiVersion"),
        subresource: text("subresource"),
    };
    let time = entry["time"].as_str().map(str::to_owned);
    Ok(Ownership { identity, fields: FieldSet::from_json(&entry["fieldsV1"])?, time })
}

fn write_entry(entry: &Ownership) -> Value {
    let mut out = Map::new();
    let operation = match entry.identity.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    out.insert("manager".to_owned(), json!(entry.identity.manager));
    out.insert("operation".to_owned(), json!(operation));
    out.insert("apiVersion".to_owned(), json!(entry.identity.api_version));
    out.insert("fieldsType".to_owned(), json!("FieldsV1"));
    out.insert("fieldsV1".to_owned(), entry.fields.to_json());
    out.extend(entry.time.as_ref().map(|time| ("time".to_owned(), json!(time))));
    if !entry.identity.subresource.is_empty() {
        out.insert("subresource".to_owned(), json!(entry.identity.subresource));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn identity(manager: &str) -> Identity {
        Identity {
            manager: manager.to_owned(),
            operation: Operation::Update,
            api_version: "v1".to_owned(),
            subresource: String::new(),
        }
    }

    #[test]
    fn the_oldest_updates_are_joined_when_there_are_too_many() {
        let mut managers = Managers::default();
        for index in 0..12 {
            let fields = FieldSet::from_json(&json!({format!("f:{index}"): {}})).unwrap();
            let time = Some(format!("2026-01-01T00:00:{index:02}Z"));
            managers.set(identity(&format!("m{index:02}")), fields, time);
        }
        managers.cap_updates();
        assert_eq!(managers.entries.len(), 10);
        let joined = managers.fields_of(&identity("ancient-changes")).unwrap();
        assert_eq!(joined.to_json(), json!({"f:0": {}, "f:1": {}, "f:2": {}}));
    }

    #[test]
    fn entries_survive_being_written_and_read() {
        let mut object = json!({"metadata": {}});
        let mut managers = Managers::default();
        managers.grant(identity("a"), &FieldSet::from_json(&json!({"f:spec": {"f:type": {}}})).unwrap());
        managers.clone().write(&mut object);
        assert_eq!(Managers::read(&object), Ok(managers));
    }
}
