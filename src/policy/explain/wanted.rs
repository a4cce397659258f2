//! The part of a rule that a Service does not meet, in words: what was wanted, what was found.

use std::collections::BTreeMap;

use crate::domain::LabelSelector;
use crate::policy::glob::NameGlob;
use crate::policy::rule::{Miss, ServiceMatch};
use crate::policy::words::one_of;
use crate::policy::{ServiceRule, ServiceSubject};

/// The field of the rule, what it wanted and what was found.
pub(super) fn describe(
    rule: &ServiceRule,
    miss: &Miss,
    subject: &ServiceSubject<'_>,
) -> (&'static str, String, String) {
    let matches = &rule.matches;
    let service = subject.service;
    match miss {
        Miss::Namespace => ("namespaces", globs(&matches.namespaces), service.key.namespace.clone()),
        Miss::Name => ("names", globs(&matches.names), service.key.name.clone()),
        Miss::Class => ("loadBalancerClasses", globs(&matches.classes), class(subject)),
        Miss::ClassNotNamed => {
            ("loadBalancerClasses", "a Service without class, as the rule names none".to_owned(), class(subject))
        }
        Miss::NamespaceSelector => selector("namespaceSelector", &matches.namespace_selector, subject.namespace_labels),
        Miss::ServiceSelector => selector("serviceSelector", &matches.service_selector, &service.labels),
        Miss::Expression => ("expression", expression(matches), "false".to_owned()),
        Miss::ExpressionFailed(reason) => ("expression", expression(matches), format!("it failed: {reason}")),
    }
}

fn globs(globs: &Option<Vec<NameGlob>>) -> String {
    one_of(globs.iter().flatten().map(NameGlob::as_str))
}

fn class(subject: &ServiceSubject<'_>) -> String {
    match subject.service.load_balancer_class.as_deref() {
        None | Some("") => "no class".to_owned(),
        Some(class) => class.to_owned(),
    }
}

fn expression(matches: &ServiceMatch) -> String {
    matches.expression.as_ref().map(|one| one.as_str().trim().to_owned()).unwrap_or_default()
}

fn selector(
    field: &'static str,
    selector: &Option<LabelSelector>,
    labels: &BTreeMap<String, String>,
) -> (&'static str, String, String) {
    let Some(requirement) = selector.as_ref().and_then(|selector| selector.first_failure(labels)) else {
        return (field, String::new(), String::new());
    };
    let found = match labels.get(&requirement.key) {
        Some(value) => format!("{}={value}", requirement.key),
        None => format!("no label {}", requirement.key),
    };
    (field, requirement.to_string(), found)
}
