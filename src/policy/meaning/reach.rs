//! Finds rules for Services that can never decide, because an earlier rule takes all they match.

use super::report::Report;
use super::services::{CheckedRule, CheckedVerdict};
use crate::domain::{LabelRequirement, LabelSelector, Operator};
use crate::policy::glob::NameGlob;
use crate::policy::tree::Place;
use crate::policy::words::quote;
use crate::policy::{FaultCode, Pointer};

/// Reports each rule that a rule before it hides. Only what is proven is said: two expressions are compared as text.
pub(super) fn check(rules: &[CheckedRule], at: &Pointer, report: &mut Report<'_>) {
    let sound: Vec<bool> = (0..rules.len()).map(|index| !report.has_fault(&at.index(index).key("match"))).collect();
    let fields: Vec<u8> = rules.iter().map(fields).collect();
    for (index, rule) in rules.iter().enumerate() {
        if !sound[index] {
            continue;
        }
        let hides =
            |earlier: usize| sound[earlier] && fields[earlier] & !fields[index] == 0 && covers(&rules[earlier], rule);
        if let Some(earlier) = (0..index).find(|earlier| hides(*earlier)) {
            report.error(
                Place::Value(at.index(index).key("match")),
                FaultCode::Unreachable,
                "a rule that can match something",
                format!("one that never does, as the rule {} before it takes all of it", quote(&rules[earlier].name)),
            );
        }
    }
}

/// Which fields a rule gives, one bit each: a rule that asks for something covers none that does not.
fn fields(rule: &CheckedRule) -> u8 {
    let matches = &rule.matches;
    [
        matches.namespaces.is_some(),
        matches.names.is_some(),
        matches.classes.is_some(),
        matches.namespace_selector.as_ref().is_some_and(|one| !one.is_empty()),
        matches.service_selector.as_ref().is_some_and(|one| !one.is_empty()),
        matches.expression.is_some(),
    ]
    .iter()
    .enumerate()
    .fold(0, |bits, (bit, given)| bits | (u8::from(*given) << bit))
}

/// Whether every Service that the later rule matches is matched by the earlier one.
fn covers(earlier: &CheckedRule, later: &CheckedRule) -> bool {
    let (wide, narrow) = (&earlier.matches, &later.matches);
    covers_names(&wide.namespaces, &narrow.namespaces)
        && covers_names(&wide.names, &narrow.names)
        && covers_classes(earlier, later)
        && covers_labels(&wide.namespace_selector, &narrow.namespace_selector)
        && covers_labels(&wide.service_selector, &narrow.service_selector)
        && match (&wide.expression, &narrow.expression) {
            (None, _) => true,
            (Some(wide), Some(narrow)) => wide.as_str().trim() == narrow.as_str().trim(),
            (Some(_), None) => false,
        }
}

/// A rule that serves, and names no class, matches Services without class only; a rule that ignores matches any.
fn covers_classes(earlier: &CheckedRule, later: &CheckedRule) -> bool {
    let ignores = |rule: &CheckedRule| matches!(rule.verdict, CheckedVerdict::Ignore);
    match (&earlier.matches.classes, &later.matches.classes) {
        (Some(_), _) => covers_names(&earlier.matches.classes, &later.matches.classes),
        (None, Some(_)) => ignores(earlier),
        (None, None) => ignores(earlier) || !ignores(later),
    }
}

fn covers_names(wide: &Option<Vec<NameGlob>>, narrow: &Option<Vec<NameGlob>>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => narrow.iter().all(|narrow| wide.iter().any(|wide| wide.covers(narrow))),
        (Some(_), None) => false,
    }
}

fn covers_labels(wide: &Option<LabelSelector>, narrow: &Option<LabelSelector>) -> bool {
    let requirements = |selector: &Option<LabelSelector>| match selector {
        Some(selector) => selector.requirements.clone(),
        None => Vec::new(),
    };
    let narrow = requirements(narrow);
    requirements(wide).iter().all(|wide| narrow.iter().any(|narrow| implies(narrow, wide)))
}

/// Whether labels that meet the first requirement always meet the second.
fn implies(narrow: &LabelRequirement, wide: &LabelRequirement) -> bool {
    if narrow.key != wide.key {
        return false;
    }
    let within = |inner: &[String], outer: &[String]| inner.iter().all(|value| outer.contains(value));
    match (narrow.operator, wide.operator) {
        (Operator::In, Operator::In) => within(&narrow.values, &wide.values),
        (Operator::NotIn, Operator::NotIn) => within(&wide.values, &narrow.values),
        (Operator::In, Operator::NotIn) => !narrow.values.iter().any(|value| wide.values.contains(value)),
        (Operator::In | Operator::Exists, Operator::Exists) => true,
        (Operator::DoesNotExist, Operator::DoesNotExist | Operator::NotIn) => true,
        _ => false,
    }
}
