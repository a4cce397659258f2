//! The path of a policy: bytes → values with places → schema → meaning → a policy that decides.

use super::compile;
use super::fault::{Fault, Severity};
use super::meaning::{self, Report};
use super::remainder::{self, Remainder};
use super::tree::{Finding, Node, Place};
use super::yaml::{self, Reading};
use super::{Defaults, Document, FaultCode, Faults, Pointer, Policy, hash, shape, supported};

/// More mistakes than this are not looked at for what the rest means.
const MANY: usize = 200;
/// More faults than this are not shown.
const MOST: usize = 500;

/// A policy, and the document it was made from.
#[derive(Debug)]
pub struct Loaded {
    /// The document as written.
    pub document: Document,
    /// What it decides.
    pub policy: Policy,
}

/// Reads a policy. `file` is what its faults call it.
///
/// # Errors
/// Every fault of the text, in its order; there is no policy then.
pub fn load(bytes: &[u8], file: &str, defaults: &Defaults) -> Result<Policy, Faults> {
    load_document(bytes, file, defaults).map(|loaded| loaded.policy)
}

/// Reads a policy and keeps its document.
///
/// # Errors
/// Every fault of the text, in its order; there is no policy then.
pub fn load_document(bytes: &[u8], file: &str, defaults: &Defaults) -> Result<Loaded, Faults> {
    let Reading { root, findings } = yaml::read(bytes);
    match root {
        None => Err(Source { file, root: None }.faults(findings)),
        Some(root) => judge(&root, findings, &Source { file, root: Some(&root) }, defaults),
    }
}

/// Makes a policy of a document that was put together in code. `origin` is what its faults call it.
///
/// # Errors
/// Every fault of the document.
pub fn compile_document(document: &Document, origin: &str, defaults: &Defaults) -> Result<Policy, Faults> {
    let source = Source { file: origin, root: None };
    let value = document.to_value();
    assess(&value, Vec::new(), &source, defaults).map(|loaded| loaded.policy)
}

/// Reads a policy that stands inside of another text.
pub(super) fn judge(
    root: &Node,
    findings: Vec<Finding>,
    source: &Source<'_>,
    defaults: &Defaults,
) -> Result<Loaded, Faults> {
    assess(&root.to_value(), findings, source, defaults)
}

fn assess(
    value: &serde_json::Value,
    mut findings: Vec<Finding>,
    source: &Source<'_>,
    defaults: &Defaults,
) -> Result<Loaded, Faults> {
    let misfits = shape::check(value);
    let is_stranger = misfits.iter().any(|finding| {
        finding.code == FaultCode::NotAPolicy
            || *finding.place.pointer() == Pointer::root() && value.get("kind").is_none()
    });
    if is_stranger {
        let head = misfits.into_iter().filter(|finding| {
            finding.code == FaultCode::NotAPolicy
                || (*finding.place.pointer() == Pointer::root() && finding.code != FaultCode::UnknownKey)
        });
        return Err(source.faults(findings.into_iter().chain(head).collect()));
    }
    let unsupported = supported::check(value);
    let within_unsupported =
        |finding: &Finding| unsupported.iter().any(|one| finding.place.pointer().is_within(one.place.pointer()));
    let remainder = match misfits.is_empty() {
        true => match remainder::whole(value.clone()) {
            Ok(remainder) => Some(remainder),
            Err(error) => {
                findings.push(beyond_types(&error));
                None
            }
        },
        false if misfits.len() > MANY => None,
        false => remainder::of(value, &misfits),
    };
    findings.extend(misfits.into_iter().filter(|finding| !within_unsupported(finding)));
    findings.extend(unsupported);
    match remainder {
        None => Err(source.faults(findings)),
        Some(remainder) => conclude(&remainder, findings, source, defaults),
    }
}

/// What the schema lets pass and the types do not hold; there is no such value known.
fn beyond_types(error: &serde_json::Error) -> Finding {
    Finding {
        place: Place::Value(Pointer::root()),
        code: FaultCode::InvalidValue,
        severity: Severity::Error,
        expected: "values that fit their fields".to_owned(),
        found: error.to_string(),
        suggestion: None,
    }
}

fn conclude(
    remainder: &Remainder,
    mut findings: Vec<Finding>,
    source: &Source<'_>,
    defaults: &Defaults,
) -> Result<Loaded, Faults> {
    let mut report = Report::new(remainder);
    let checked = meaning::check(&remainder.document, &mut report);
    findings.extend(report.into_findings());
    let faults = source.faults(findings);
    if faults.iter().any(|fault| fault.severity == Severity::Error) {
        return Err(faults);
    }
    let document = remainder.document.clone();
    let identity = compile::Identity {
        name: document.metadata.name.clone(),
        hash: hash::of(&document),
        rollout: document.spec.rollout.clone(),
        warnings: faults,
    };
    Ok(Loaded { policy: compile::compile(checked, identity, defaults), document })
}

/// Where a document comes from.
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub root: Option<&'a Node>,
}

impl Source<'_> {
    pub(super) fn faults(&self, mut findings: Vec<Finding>) -> Faults {
        if findings.len() > MOST {
            let all = findings.len();
            findings.truncate(MOST);
            findings.push(Finding {
                place: Place::Value(Pointer::root()),
                code: FaultCode::TooLarge,
                severity: Severity::Error,
                expected: format!("at most {MOST} faults, the first of which are shown"),
                found: all.to_string(),
                suggestion: None,
            });
        }
        Faults::new(findings.into_iter().map(|finding| self.fault(finding)).collect())
    }

    fn fault(&self, finding: Finding) -> Fault {
        let span = match (&finding.place, self.root) {
            (Place::Text(span, _), _) => Some(*span),
            (place, Some(root)) => Some(root.locate(place)),
            (_, None) => None,
        };
        Fault {
            code: finding.code,
            severity: finding.severity,
            file: self.file.to_owned(),
            span,
            pointer: finding.place.pointer().as_str().to_owned(),
            expected: finding.expected,
            found: finding.found,
            suggestion: finding.suggestion,
        }
    }
}
