//! A rule for Services, compiled.

use std::cell::OnceCell;
use std::sync::Arc;

use super::compiled::ServiceSubject;
use super::expression::{Expression, ExpressionSubject};
use super::glob::NameGlob;
use crate::domain::LabelSelector;
use crate::strategy::Assignment;

/// A rule for Services.
#[derive(Debug)]
pub struct ServiceRule {
    /// Its name in the policy.
    pub name: String,
    /// Which Services it applies to.
    pub matches: ServiceMatch,
    /// What it says of them.
    pub outcome: Outcome,
}

/// What a rule says of a Service.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Leave it alone.
    Ignore,
    /// Serve it.
    Serve(Arc<Assignment>),
}

/// Which Services a rule applies to: every field that is given must match.
#[derive(Debug, Default)]
pub struct ServiceMatch {
    /// Globs on the Namespace.
    pub namespaces: Option<Vec<NameGlob>>,
    /// Globs on the name.
    pub names: Option<Vec<NameGlob>>,
    /// Globs on `spec.loadBalancerClass`.
    pub classes: Option<Vec<NameGlob>>,
    /// Selector on the Namespace's labels.
    pub namespace_selector: Option<LabelSelector>,
    /// Selector on the Service's labels.
    pub service_selector: Option<LabelSelector>,
    /// CEL.
    pub expression: Option<Expression>,
}

/// The part of a rule that a Service does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// `namespaces`
    Namespace,
    /// `names`
    Name,
    /// `loadBalancerClasses`
    Class,
    /// The Service sets a class, and the rule names none.
    ClassNotNamed,
    /// `namespaceSelector`
    NamespaceSelector,
    /// `serviceSelector`
    ServiceSelector,
    /// `expression` is false.
    Expression,
    /// `expression` failed, for this reason.
    ExpressionFailed(String),
}

/// A Service under decision, with what is worked out at most once for all rules.
pub(super) struct Candidate<'a> {
    pub subject: ServiceSubject<'a>,
    expression_subject: OnceCell<ExpressionSubject>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(subject: ServiceSubject<'a>) -> Self {
        Self { subject, expression_subject: OnceCell::new() }
    }

    /// The class that the Service sets.
    pub(super) fn class(&self) -> Option<&'a str> {
        self.subject.service.load_balancer_class.as_deref().filter(|class| !class.is_empty())
    }

    fn for_expressions(&self) -> &ExpressionSubject {
        self.expression_subject.get_or_init(|| ExpressionSubject::new(self.subject.service))
    }
}

impl ServiceRule {
    /// The first part of the rule that the Service does not meet; `None` when the rule applies.
    pub(super) fn miss(&self, candidate: &Candidate<'_>) -> Option<Miss> {
        let service = candidate.subject.service;
        let matches = &self.matches;
        if !any(&matches.namespaces, &service.key.namespace) {
            return Some(Miss::Namespace);
        }
        if !any(&matches.names, &service.key.name) {
            return Some(Miss::Name);
        }
        if let Some(miss) = self.class_miss(candidate.class()) {
            return Some(miss);
        }
        if !selects(&matches.namespace_selector, candidate.subject.namespace_labels) {
            return Some(Miss::NamespaceSelector);
        }
        if !selects(&matches.service_selector, &service.labels) {
            return Some(Miss::ServiceSelector);
        }
        match matches.expression.as_ref().map(|one| one.holds(candidate.for_expressions())) {
            None | Some(Ok(true)) => None,
            Some(Ok(false)) => Some(Miss::Expression),
            Some(Err(reason)) => Some(Miss::ExpressionFailed(reason)),
        }
    }

    /// A Service that sets a class is served only by a rule that names it; any rule may leave it alone.
    fn class_miss(&self, class: Option<&str>) -> Option<Miss> {
        match (&self.matches.classes, class) {
            (Some(globs), Some(class)) => (!globs.iter().any(|glob| glob.matches(class))).then_some(Miss::Class),
            (Some(_), None) => Some(Miss::Class),
            (None, Some(_)) => match self.outcome {
                Outcome::Serve(_) => Some(Miss::ClassNotNamed),
                Outcome::Ignore => None,
            },
            (None, None) => None,
        }
    }
}

fn any(globs: &Option<Vec<NameGlob>>, name: &str) -> bool {
    globs.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(name)))
}

fn selects(selector: &Option<LabelSelector>, labels: &std::collections::BTreeMap<String, String>) -> bool {
    selector.as_ref().is_none_or(|selector| selector.matches(labels))
}
