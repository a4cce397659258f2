//! Label and field selectors.

mod field;
mod label;

use serde_json::Value;

pub(crate) use field::FieldSelector;
pub(crate) use label::LabelSelector;

use super::query::Query;
use super::registry::Resource;
use super::status::Refusal;

/// Which objects a list, watch or deletecollection is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Selector {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// When one does not parse, or names a field by which the resource cannot be selected.
    pub(crate) fn of_query(query: &Query, resource: &Resource) -> Result<Self, Refusal> {
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
            .map_err(|fault| Refusal::bad_request(format!("unable to parse requirement: {fault}")))?;
        let fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default(), resource)
            .map_err(Refusal::bad_request)?;
        Ok(Self { labels, fields })
    }

    /// Whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object is meant.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(&object["metadata"]["labels"]) && self.fields.matches(object)
    }

    /// Narrows to the object of that name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.fields.add_name(name);
        self
    }
}
