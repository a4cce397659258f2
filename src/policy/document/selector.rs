//! Label selectors as Kubernetes writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain;

/// A label selector: every label and every expression must hold; an empty one selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Label selector")]
pub struct Selector {
    /// Labels that must be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"tier": "internal"}))]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"key": "exposure", "operator": "In", "values": ["office", "vpn"]}]))]
    pub match_expressions: Vec<Requirement>,
}

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Condition")]
pub struct Requirement {
    /// Label key.
    #[schemars(length(min = 1), example = &"exposure")]
    pub key: String,
    /// How the label is tested.
    #[schemars(example = &"In")]
    pub operator: SelectorOperator,
    /// Values to compare with: at least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["office", "vpn"])]
    pub values: Vec<String>,
}

/// How a label is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// It is there, with one of the values.
    In,
    /// It is not there, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl Selector {
    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl From<SelectorOperator> for domain::Operator {
    fn from(operator: SelectorOperator) -> Self {
        match operator {
            SelectorOperator::In => Self::In,
            SelectorOperator::NotIn => Self::NotIn,
            SelectorOperator::Exists => Self::Exists,
            SelectorOperator::DoesNotExist => Self::DoesNotExist,
        }
    }
}

/// The document's form of a selector; used to write one that came from elsewhere into a policy.
impl From<&domain::LabelSelector> for Selector {
    fn from(selector: &domain::LabelSelector) -> Self {
        Self {
            match_labels: BTreeMap::new(),
            match_expressions: selector
                .requirements
                .iter()
                .map(|requirement| Requirement {
                    key: requirement.key.clone(),
                    operator: match requirement.operator {
                        domain::Operator::In => SelectorOperator::In,
                        domain::Operator::NotIn => SelectorOperator::NotIn,
                        domain::Operator::Exists => SelectorOperator::Exists,
                        domain::Operator::DoesNotExist => SelectorOperator::DoesNotExist,
                    },
                    values: requirement.values.clone(),
                })
                .collect(),
        }
    }
}
