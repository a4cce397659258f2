//! Label selectors with Kubernetes' meaning.

use std::collections::BTreeMap;

/// Operator of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelRequirement {
    /// Label key.
    pub key: String,
    /// How the value is tested.
    pub operator: Operator,
    /// The values to compare with; empty for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

/// A selector: every requirement must hold; an empty one selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct LabelSelector {
    /// The requirements.
    pub requirements: Vec<LabelRequirement>,
}

impl LabelSelector {
    /// Whether it selects an object with these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.first_failure(labels).is_none()
    }

    /// The first requirement that does not hold.
    pub fn first_failure(&self, labels: &BTreeMap<String, String>) -> Option<&LabelRequirement> {
        self.requirements.iter().find(|requirement| !requirement.holds(labels))
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl LabelRequirement {
    /// Whether it holds. As in Kubernetes, `NotIn` holds where the label is absent.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl std::fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.operator {
            Operator::In => write!(f, "{} in ({})", self.key, self.values.join(",")),
            Operator::NotIn => write!(f, "{} notin ({})", self.key, self.values.join(",")),
            Operator::Exists => f.write_str(&self.key),
            Operator::DoesNotExist => write!(f, "!{}", self.key),
        }
    }
}

/// Whether a label or annotation key belongs to Kubernetes itself: its prefix is, or ends at a dot in, `kubernetes.io`
/// or `k8s.io`.
pub fn is_reserved_key(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else {
        return false;
    };
    ["kubernetes.io", "k8s.io"].iter().any(|domain| {
        prefix
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether a taint is one by which Kubernetes' own controllers speak to each other.
pub fn is_reserved_taint(key: &str) -> bool {
    key.starts_with("node.kubernetes.io/") || key.starts_with("node.cloudprovider.kubernetes.io/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let labels = BTreeMap::from([("tier".to_owned(), "internal".to_owned())]);
        let requirement = |key: &str, operator, values: &[&str]| LabelRequirement {
            key: key.into(),
            operator,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let cases = [
            ("in", requirement("tier", Operator::In, &["internal", "x"]), true),
            ("in, other value", requirement("tier", Operator::In, &["x"]), false),
            ("in, absent", requirement("zone", Operator::In, &["x"]), false),
            ("not in", requirement("tier", Operator::NotIn, &["x"]), true),
            ("not in, absent", requirement("zone", Operator::NotIn, &["x"]), true),
            ("not in, listed", requirement("tier", Operator::NotIn, &["internal"]), false),
            ("exists", requirement("tier", Operator::Exists, &[]), true),
            ("exists, absent", requirement("zone", Operator::Exists, &[]), false),
            ("does not exist", requirement("zone", Operator::DoesNotExist, &[]), true),
            ("does not exist, there", requirement("tier", Operator::DoesNotExist, &[]), false),
        ];
        for (name, requirement, expected) in cases {
            let selector = LabelSelector { requirements: vec![requirement] };
            assert_eq!(selector.matches(&labels), expected, "{name}");
        }
        assert!(LabelSelector::default().matches(&labels));
    }
}
