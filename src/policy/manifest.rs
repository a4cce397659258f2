//! Policies in files: as they are, or as a key of a ConfigMap's manifest.

use super::fault::{Fault, Span};
use super::load::{Loaded, Source, judge, load_document};
use super::tree::{Content, Entry, Finding, Inside, Node, Place};
use super::yaml::{self, Reading};
use super::{Defaults, FaultCode, Faults, Pointer, Severity};

/// A policy that was found in a file.
#[derive(Debug)]
pub struct Found {
    /// The key of the ConfigMap that holds it; `None` for a policy that is the file itself.
    pub key: Option<String>,
    /// The policy, or what is wrong with it. Places are those of the file.
    pub loaded: Result<Loaded, Faults>,
}

/// Reads the policies of a file: the document itself or, where it is the manifest of a ConfigMap, those of its keys that
/// hold one. There is always at least one answer.
pub fn load_manifest(bytes: &[u8], file: &str, defaults: &Defaults) -> Vec<Found> {
    let Reading { root, findings } = yaml::read(bytes);
    let Some(root) = root else {
        let faults = Source { file, root: None }.faults(findings);
        return vec![Found { key: None, loaded: Err(faults) }];
    };
    if root.get("kind").and_then(Node::as_str) != Some("ConfigMap") {
        let source = Source { file, root: Some(&root) };
        return vec![Found { key: None, loaded: judge(&root, findings, &source, defaults) }];
    }
    let keys = policy_keys(&root);
    if keys.is_empty() {
        let source = Source { file, root: Some(&root) };
        return vec![Found { key: None, loaded: Err(source.faults(vec![no_policy(&root)])) }];
    }
    keys.into_iter()
        .map(|entry| Found { key: Some(entry.key.clone()), loaded: load_entry(entry, file, defaults) })
        .collect()
}

/// The keys whose text names a CloudPolicy; a ConfigMap's only key in any case.
fn policy_keys(root: &Node) -> Vec<&Entry> {
    let Some(Content::Map(entries)) = root.get("data").map(|data| &data.content) else {
        return Vec::new();
    };
    match entries.as_slice() {
        [only] => vec![only],
        several => several
            .iter()
            .filter(|entry| entry.node.as_str().is_some_and(|text| text.contains("CloudPolicy")))
            .collect(),
    }
}

fn no_policy(root: &Node) -> Finding {
    let (place, found) = match root.get("data") {
        Some(_) => (Place::Key(Pointer::root().key("data")), "none"),
        None => (Place::Value(Pointer::root()), "a ConfigMap without data"),
    };
    Finding {
        place,
        code: FaultCode::NotAPolicy,
        severity: Severity::Error,
        expected: "a key of data that holds a CloudPolicy".to_owned(),
        found: found.to_owned(),
        suggestion: None,
    }
}

fn load_entry(entry: &Entry, file: &str, defaults: &Defaults) -> Result<Loaded, Faults> {
    let text = entry.node.as_str().unwrap_or_default();
    let outside = |fault: Fault| Fault { span: fault.span.map(|span| place(span, &entry.node)), ..fault };
    let move_out = |faults: Faults| Faults::new(faults.into_iter().map(outside).collect());
    match load_document(text.as_bytes(), file, defaults) {
        Ok(mut loaded) => {
            loaded.policy.warnings = move_out(loaded.policy.warnings);
            Ok(loaded)
        }
        Err(faults) => Err(move_out(faults)),
    }
}

/// A place in the text of a value, as a place in the file; the value's own where the text was written with escapes.
fn place(inner: Span, holder: &Node) -> Span {
    let Content::Scalar { inside, .. } = &holder.content else {
        return holder.span;
    };
    match inside {
        Inside::Block { line, column } => Span {
            line: line + inner.line - 1,
            column: column + inner.column - 1,
            end_line: line + inner.end_line - 1,
            end_column: column + inner.end_column - 1,
        },
        Inside::Shifted(_) | Inside::Unknown => holder.span,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn places(text: &str) -> Vec<String> {
        let describe = |found: Found| match found.loaded {
            Ok(loaded) => vec![format!("{} {}", found.key.unwrap_or_default(), loaded.policy.name)],
            Err(faults) => faults.iter().map(|fault| format!("{} {}", fault.place(), fault.pointer)).collect(),
        };
        load_manifest(text.as_bytes(), "cm.yaml", &Defaults::default()).into_iter().flat_map(describe).collect()
    }

    const POLICY: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: { name: policy, namespace: kube-system }
data:
  policy.yaml: |
    apiVersion: policy.metal.equinix.com/v1alpha1
    kind: CloudPolicy
    metadata: { name: p }
    spec:
      loadBalancers: [{ name: vip, kubeVip: {} }]
";

    #[test]
    fn the_policy_of_a_config_map_is_found() {
        assert_eq!(places(POLICY), ["policy.yaml p"]);
        assert_eq!(places(&format!("{POLICY}  other: text\n")), ["policy.yaml p"]);
    }

    #[test]
    fn a_fault_inside_of_a_config_map_is_placed_in_the_file() {
        assert_eq!(places(&POLICY.replace("kubeVip", "kubevip")), ["cm.yaml:10:36 /spec/loadBalancers/0/kubevip"]);
        assert_eq!(
            places("kind: ConfigMap\ndata:\n  p: \"kind: CloudPolicy\"\n"),
            ["cm.yaml:3:6 ", "cm.yaml:3:6 ", "cm.yaml:3:6 "]
        );
    }

    #[test]
    fn a_config_map_without_policy_says_so() {
        assert_eq!(places("kind: ConfigMap\n"), ["cm.yaml:1:1 "]);
        assert_eq!(places("kind: ConfigMap\ndata: { a: x, b: y }\n"), ["cm.yaml:2:1 /data"]);
    }
}
