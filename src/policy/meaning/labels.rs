//! What Kubernetes takes as labels, annotations and taints, and what of it a controller may set.

use crate::domain::labels::is_reserved_key;
use crate::domain::node::MANAGED_FIELDS_ANNOTATION;
use crate::policy::words::quote;

const LONGEST_NAME: usize = 63;
const LONGEST_PREFIX: usize = 253;

/// What is wrong with a key of a label, annotation or taint.
pub(super) fn key_fault(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix
        && !is_subdomain(prefix)
    {
        return Some(format!("{}, whose prefix is no DNS name", quote(key)));
    }
    match name {
        "" => Some(format!("{}, which has no name", quote(key))),
        name if name.len() > LONGEST_NAME => Some(format!("{}, whose name is {} long", quote(key), name.len())),
        name if !is_word(name) => Some(quote(key)),
        _ => None,
    }
}

/// What Kubernetes takes as a key.
pub(super) const KEY: &str = "a key such as example.com/name: at most 63 letters, digits, '-', '_' and '.', \
                              beginning and ending with a letter or digit";

/// What Kubernetes takes as the value of a label or taint.
pub(super) const VALUE: &str =
    "at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";

/// What is wrong with a value of a label or taint.
pub(super) fn value_fault(value: &str) -> Option<String> {
    match value {
        "" => None,
        value if value.len() > LONGEST_NAME => Some(format!("{} characters", value.len())),
        value if !is_word(value) => Some(quote(value)),
        _ => None,
    }
}

/// Why a controller must not set this key; `None` when it may.
pub(super) fn reserved(key: &str) -> Option<&'static str> {
    if key == MANAGED_FIELDS_ANNOTATION {
        return Some("in which this controller remembers what rules set");
    }
    if !is_reserved_key(key) {
        return None;
    }
    match key.split_once('/')? {
        ("topology.kubernetes.io" | "failure-domain.beta.kubernetes.io", "region" | "zone") => {
            Some("which spec.nodes.topology sets")
        }
        ("node.kubernetes.io" | "beta.kubernetes.io", "instance-type") => Some("which is set from the server type"),
        _ => Some("which belongs to Kubernetes itself"),
    }
}

/// A character that may stand inside of a label's value.
pub(super) fn may_stand_inside(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

fn is_word(text: &str) -> bool {
    let ends = [text.chars().next(), text.chars().last()];
    ends.iter().all(|end| end.is_some_and(|character| character.is_ascii_alphanumeric()))
        && text.chars().all(may_stand_inside)
}

fn is_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        let edges = !label.starts_with('-') && !label.ends_with('-');
        let inside = label
            .chars()
            .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-');
        !label.is_empty() && edges && inside
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn keys_and_values_are_judged_as_kubernetes_does() {
        let long = "a".repeat(64);
        let keys = [
            ("accelerator", true),
            ("metal.equinix.com/plan", true),
            ("A.b_c-1", true),
            ("", false),
            ("/name", false),
            ("example.com/", false),
            ("Example.com/name", false),
            ("a/b/c", false),
            ("-a", false),
            ("a b", false),
            (long.as_str(), false),
        ];
        for (key, valid) in keys {
            assert_eq!(key_fault(key).is_none(), valid, "{key}");
        }
        let values = [("", true), ("c3.small.x86", true), ("a b", false), ("-a", false), (long.as_str(), false)];
        for (value, valid) in values {
            assert_eq!(value_fault(value).is_none(), valid, "{value}");
        }
    }

    #[test]
    fn labels_of_kubernetes_itself_are_reserved() {
        let cases = [
            ("accelerator", false),
            ("topology.metal.equinix.com/rack", false),
            ("node-role.kubernetes.io/gpu", false),
            ("example.node-restriction.kubernetes.io/team", false),
            ("node.kubernetes.io/exclude-from-external-load-balancers", false),
            ("notkubernetes.io/x", false),
            ("topology.kubernetes.io/zone", true),
            ("node.kubernetes.io/instance-type", true),
            ("kubernetes.io/hostname", true),
            ("app.k8s.io/x", true),
        ];
        for (key, expected) in cases {
            assert_eq!(reserved(key).is_some(), expected, "{key}");
        }
    }
}
