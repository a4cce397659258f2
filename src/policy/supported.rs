//! What the format describes and this version cannot do yet. Such a policy is refused when it is loaded, never at the
//! first Service.

use serde_json::Value;

use super::fault::Severity;
use super::tree::{Finding, Place};
use super::{FaultCode, Pointer};

/// A key, or a word, that is refused.
struct NotYet {
    /// Where; `*` stands for any item of a list.
    path: &'static [&'static str],
    /// The word, where only one of several is refused.
    word: Option<&'static str>,
    /// What to write in its place.
    instead: &'static str,
}

/// To support a kind, delete its line.
const NOT_YET: &[NotYet] = &[
    NotYet { path: &["spec", "loadBalancers", "*", "metalLB"], word: None, instead: "kubeVip or none" },
    NotYet { path: &["spec", "loadBalancers", "*", "equinixLoadBalancer"], word: None, instead: "kubeVip or none" },
    NotYet {
        path: &["spec", "addressPools", "*", "elasticIP", "type"],
        word: Some("public_ipv6"),
        instead: "public_ipv4 or global_ipv4",
    },
    NotYet { path: &["spec", "controlPlaneEndpoint"], word: None, instead: "a policy without it" },
    NotYet { path: &["spec", "rollout", "onPoolChange"], word: Some("Migrate"), instead: "Keep" },
];

/// Finds what is not supported yet.
pub(super) fn check(document: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in NOT_YET {
        visit(document, entry.path, &Pointer::root(), &mut |pointer, value| {
            if entry.word.is_none_or(|word| value == word) {
                findings.push(entry.finding(pointer));
            }
        });
    }
    findings
}

impl NotYet {
    fn finding(&self, pointer: Pointer) -> Finding {
        let (place, what) = match (self.word, self.path.last()) {
            (Some(word), _) => (Place::Value(pointer), word),
            (None, key) => (Place::Key(pointer), key.copied().unwrap_or_default()),
        };
        Finding {
            place,
            code: FaultCode::NotSupported,
            severity: Severity::Error,
            expected: self.instead.to_owned(),
            found: format!("{what}, which is not supported yet"),
            suggestion: None,
        }
    }
}

fn visit(value: &Value, path: &[&str], pointer: &Pointer, found: &mut impl FnMut(Pointer, &Value)) {
    let Some((step, rest)) = path.split_first() else {
        return found(pointer.clone(), value);
    };
    match (*step, value) {
        ("*", Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, rest, &pointer.index(index), found);
            }
        }
        (key, Value::Object(fields)) => {
            if let Some(inner) = fields.get(key) {
                visit(inner, rest, &pointer.key(key), found);
            }
        }
        _ => {}
    }
}
