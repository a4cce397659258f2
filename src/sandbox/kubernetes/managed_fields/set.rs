//! Sets of fields, as `fieldsV1` writes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One step of a path, in the written form: `f:name`, `k:{"port":80}`, `v:"text"`, `i:0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step(String);

/// A set of paths. The root itself is never in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// The path that leads here is in the set.
    member: bool,
    children: BTreeMap<Step, FieldSet>,
}

/// Managed fields that are no set of fields.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no step of a field path")]
pub(super) struct MalformedStep(String);

impl Step {
    /// A field of a struct or a key of a map.
    pub(super) fn field(name: &str) -> Self {
        Self(format!("f:{name}"))
    }

    /// An item of a list, by the values of its key fields.
    pub(super) fn key(keys: &BTreeMap<String, Value>) -> Self {
        let fields: Vec<String> =
            keys.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
        Self(format!("k:{{{}}}", fields.join(",")))
    }

    /// An item of a set.
    pub(super) fn value(item: &Value) -> Self {
        Self(format!("v:{item}"))
    }

    fn parse(text: &str) -> Result<Self, MalformedStep> {
        let malformed = || MalformedStep(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(malformed)?;
        match kind {
            "f" | "i" => Ok(Self(text.to_owned())),
            "v" => serde_json::from_str(rest).map(|value: Value| Self::value(&value)).map_err(|_| malformed()),
            "k" => serde_json::from_str(rest).map(|keys| Self::key(&keys)).map_err(|_| malformed()),
            _ => Err(malformed()),
        }
    }

    /// The name, when this is a field.
    pub(super) fn field_name(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    /// As messages show it: `.spec`, `[port=80,protocol="TCP"]`, `[="text"]`.
    pub(super) fn shown(&self) -> String {
        let (kind, rest) = self.0.split_once(':').unwrap_or(("f", &self.0));
        match kind {
            "k" => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(rest).unwrap_or_default();
                let parts: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", parts.join(","))
            }
            "v" => format!("[={rest}]"),
            "i" => format!("[{rest}]"),
            _ => format!(".{rest}"),
        }
    }
}

impl FieldSet {
    /// Adds a path; the root is not recorded.
    pub(super) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => self.children.entry(last.clone()).or_default().member = true,
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether no path is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.children.values().all(|child| !child.member && child.is_empty())
    }

    /// Whether the child itself is in it.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.children.get(step).is_some_and(|child| child.member)
    }

    /// What is below the child; nothing when that is empty.
    pub(super) fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step).filter(|child| !child.is_empty())
    }

    /// The children with what is below them.
    pub(super) fn children(&self) -> impl Iterator<Item = (&Step, &Self)> {
        self.children.iter()
    }

    /// Paths of either.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.member |= other.member;
        for (step, child) in &other.children {
            let merged = out.children.get(step).map_or_else(|| child.clone(), |own| own.union(child));
            out.children.insert(step.clone(), merged);
        }
        out
    }

    /// Paths of both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combined(other, |own, others| own && others, |_| Self::default())
    }

    /// Paths of this one that are not in the other.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combined(other, |own, others| own && !others, Self::clone)
    }

    /// Paths of this one that are neither in the other nor below a path of it.
    pub(super) fn without_below(&self, other: &Self) -> Self {
        let mut out = Self { member: self.member, children: BTreeMap::new() };
        for (step, child) in &self.children {
            match other.children.get(step) {
                Some(excluded) if excluded.member => {}
                Some(excluded) => {
                    out.children.insert(step.clone(), child.without_below(excluded));
                }
                None => {
                    out.children.insert(step.clone(), child.clone());
                }
            }
        }
        out.trimmed()
    }

    /// Makes the child itself a path of the set.
    pub(super) fn with_member(mut self, step: &Step) -> Self {
        self.children.entry(step.clone()).or_default().member = true;
        self
    }

    /// The same set with each child replaced.
    pub(super) fn map_children(&self, mut replace: impl FnMut(&Step, &Self) -> Self) -> Self {
        let children = self.children.iter().map(|(step, child)| {
            let replaced = replace(step, child);
            (step.clone(), Self { member: child.member, children: replaced.children })
        });
        Self { member: self.member, children: children.collect() }
    }

    /// Every path, as messages show it, in order.
    pub(super) fn shown(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.show("", &mut out);
        out
    }

    /// The form of `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (step, child) in &self.children {
            let mut inner = child.to_json();
            if let Some(members) = inner.as_object_mut().filter(|members| child.member && !members.is_empty()) {
                members.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(step.0.clone(), inner);
        }
        Value::Object(out)
    }

    /// Reads the form of `fieldsV1`.
    ///
    /// # Errors
    /// When a key is no step.
    pub(super) fn from_json(value: &Value) -> Result<Self, MalformedStep> {
        let mut set = Self::default();
        for (key, inner) in value.as_object().into_iter().flatten() {
            if key == "." {
                continue;
            }
            let mut child = Self::from_json(inner)?;
            child.member = inner.as_object().is_none_or(|members| members.is_empty() || members.contains_key("."));
            set.children.insert(Step::parse(key)?, child);
        }
        Ok(set)
    }

    fn show(&self, prefix: &str, out: &mut Vec<String>) {
        for (step, child) in &self.children {
            let path = format!("{prefix}{}", step.shown());
            if child.member {
                out.push(path.clone());
            }
            child.show(&path, out);
        }
    }

    fn combined(&self, other: &Self, keep: fn(bool, bool) -> bool, alone: fn(&Self) -> Self) -> Self {
        let mut out = Self { member: keep(self.member, other.member), children: BTreeMap::new() };
        for (step, child) in &self.children {
            let combined = match other.children.get(step) {
                Some(others) => child.combined(others, keep, alone),
                None => alone(child),
            };
            out.children.insert(step.clone(), combined);
        }
        out.trimmed()
    }

    fn trimmed(mut self) -> Self {
        self.children.retain(|_, child| child.member || !child.is_empty());
        self
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    fn set(value: Value) -> FieldSet {
        FieldSet::from_json(&value).unwrap()
    }

    #[test]
    fn sets_combine() {
        let left = json!({"f:a": {}, "f:b": {".": {}, "f:c": {}, "f:d": {}}, "f:e": {"f:f": {}}});
        let right = json!({"f:b": {"f:c": {}}, "f:e": {}, "f:g": {}});
        let (left, right) = (set(left), set(right));
        let union = json!({"f:a": {}, "f:b": {".": {}, "f:c": {}, "f:d": {}}, "f:e": {".": {}, "f:f": {}}, "f:g": {}});
        assert_eq!(left.union(&right).to_json(), union);
        assert_eq!(left.intersection(&right).to_json(), json!({"f:b": {"f:c": {}}}));
        let difference = json!({"f:a": {}, "f:b": {".": {}, "f:d": {}}, "f:e": {"f:f": {}}});
        assert_eq!(left.difference(&right).to_json(), difference);
        assert_eq!(left.without_below(&right).to_json(), json!({"f:a": {}, "f:b": {".": {}, "f:d": {}}}));
    }

    #[test]
    fn paths_are_shown_as_messages_show_them() {
        let fields = json!({"f:spec": {"f:ports": {"k:{\"protocol\":\"TCP\",\"port\":80}": {".": {}, "f:name": {}}}},
            "f:metadata": {"f:finalizers": {"v:\"a/b\"": {}}}});
        let shown = [
            ".metadata.finalizers[=\"a/b\"]",
            ".spec.ports[port=80,protocol=\"TCP\"]",
            ".spec.ports[port=80,protocol=\"TCP\"].name",
        ];
        assert_eq!(set(fields).shown(), shown);
    }

    #[test]
    fn what_is_no_step_is_refused() {
        assert_eq!(FieldSet::from_json(&json!({"x:y": {}})), Err(MalformedStep("x:y".to_owned())));
    }

    fn any_set() -> impl Strategy<Value = FieldSet> {
        let path = proptest::collection::vec(proptest::sample::select(vec!["a", "b", "c"]), 1..4);
        proptest::collection::vec(path, 0..8).prop_map(|paths| {
            let mut set = FieldSet::default();
            for path in paths {
                set.insert(&path.into_iter().map(Step::field).collect::<Vec<_>>());
            }
            set
        })
    }

    proptest! {
        #[test]
        fn sets_obey_the_laws_of_sets(left in any_set(), right in any_set()) {
            let only_left = left.difference(&right);
            let both = left.intersection(&right);
            prop_assert_eq!(only_left.union(&both).shown(), left.shown());
            prop_assert!(only_left.intersection(&right).is_empty());
            prop_assert_eq!(left.union(&right).shown(), right.union(&left).shown());
            prop_assert_eq!(FieldSet::from_json(&left.to_json()).map(|set| set.shown()), Ok(left.shown()));
        }
    }
}
