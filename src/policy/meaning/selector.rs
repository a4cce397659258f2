//! Checks label selectors.

use super::labels::{KEY, VALUE, key_fault, value_fault};
use super::report::Report;
use crate::domain::{LabelRequirement, LabelSelector, Operator};
use crate::policy::document::{Requirement, Selector, SelectorOperator};
use crate::policy::tree::Place;
use crate::policy::{FaultCode, Pointer};

/// Checks a selector and brings it into the form that decides.
pub(super) fn check(selector: &Selector, at: &Pointer, report: &mut Report<'_>) -> LabelSelector {
    let mut requirements = Vec::new();
    for (key, value) in &selector.match_labels {
        let here = at.key("matchLabels").key(key);
        check_key(key, Place::Key(here.clone()), report);
        check_value(value, here, report);
        requirements.push(LabelRequirement { key: key.clone(), operator: Operator::In, values: vec![value.clone()] });
    }
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        let here = at.key("matchExpressions").index(index);
        check_requirement(requirement, &here, report);
        requirements.push(LabelRequirement {
            key: requirement.key.clone(),
            operator: requirement.operator.into(),
            values: requirement.values.clone(),
        });
    }
    let selector = LabelSelector { requirements };
    if !report.has_fault(at)
        && let Some((one, other)) = contradiction(&selector)
    {
        report.error(
            Place::Value(at.clone()),
            FaultCode::Unreachable,
            "conditions that can hold together",
            format!("{one} and {other}"),
        );
    }
    selector
}

fn check_requirement(requirement: &Requirement, at: &Pointer, report: &mut Report<'_>) {
    check_key(&requirement.key, Place::Value(at.key("key")), report);
    let values = at.key("values");
    match requirement.operator {
        SelectorOperator::In | SelectorOperator::NotIn => {
            if requirement.values.is_empty() && !report.is_incomplete(&values) {
                report.error(
                    Place::Value(at.clone()),
                    FaultCode::Empty,
                    format!("at least one value for {}", word(requirement.operator)),
                    "none",
                );
            }
            for (index, value) in requirement.values.iter().enumerate() {
                check_value(value, values.index(index), report);
            }
        }
        SelectorOperator::Exists | SelectorOperator::DoesNotExist => {
            if !requirement.values.is_empty() {
                report.error(
                    Place::Key(values),
                    FaultCode::NoEffect,
                    format!("no values for {}", word(requirement.operator)),
                    format!("{} of them", requirement.values.len()),
                );
            }
        }
    }
}

fn check_key(key: &str, place: Place, report: &mut Report<'_>) {
    if let Some(found) = key_fault(key) {
        report.error(place, FaultCode::InvalidLabel, KEY, found);
    }
}

fn check_value(value: &str, at: Pointer, report: &mut Report<'_>) {
    if let Some(found) = value_fault(value) {
        report.error(Place::Value(at), FaultCode::InvalidLabel, VALUE, found);
    }
}

fn word(operator: SelectorOperator) -> &'static str {
    match operator {
        SelectorOperator::In => "In",
        SelectorOperator::NotIn => "NotIn",
        SelectorOperator::Exists => "Exists",
        SelectorOperator::DoesNotExist => "DoesNotExist",
    }
}

/// Two requirements that no labels meet together.
fn contradiction(selector: &LabelSelector) -> Option<(&LabelRequirement, &LabelRequirement)> {
    let all = &selector.requirements;
    all.iter().enumerate().find_map(|(index, one)| {
        let other = all.iter().skip(index + 1).find(|other| excludes(one, other) || excludes(other, one))?;
        Some((one, other))
    })
}

fn excludes(one: &LabelRequirement, other: &LabelRequirement) -> bool {
    if one.key != other.key {
        return false;
    }
    match (one.operator, other.operator) {
        (Operator::In, Operator::In) => !one.values.iter().any(|value| other.values.contains(value)),
        (Operator::In, Operator::NotIn) => one.values.iter().all(|value| other.values.contains(value)),
        (Operator::In | Operator::Exists, Operator::DoesNotExist) => true,
        _ => false,
    }
}
