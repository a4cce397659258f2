//! Checks the section on Services.

use super::labels::{KEY, key_fault};
use super::report::Report;
use super::{Names, selector};
use crate::policy::compiled::DEFAULT_RULE;
use crate::policy::document::{Assign, LoadBalancerKind, OverrideNames, ServiceMatch, ServiceRule, Services, Verdict};
use crate::policy::expression::Expression;
use crate::policy::glob::NameGlob;
use crate::policy::rule;
use crate::policy::suggest::nearest;
use crate::policy::tree::Place;
use crate::policy::words::{one_of, quote};
use crate::policy::{FaultCode, Pointer};
use crate::strategy::Overrides;

/// A rule that was checked.
#[derive(Debug)]
pub(in crate::policy) struct CheckedRule {
    pub name: String,
    pub matches: rule::ServiceMatch,
    pub verdict: CheckedVerdict,
}

/// What a rule, or the default, says.
#[derive(Debug)]
pub(in crate::policy) enum CheckedVerdict {
    Ignore,
    Use { balancer: String, pool: Option<String>, overrides: Overrides },
}

pub(super) fn check(
    services: &Services,
    names: &Names<'_>,
    report: &mut Report<'_>,
) -> (Vec<CheckedRule>, CheckedVerdict) {
    let at = Pointer::root().key("spec").key("services");
    check_override_names(&services.overrides, &at.key("overrides"), report);
    let rules_at = at.key("rules");
    let rules: Vec<CheckedRule> = services
        .rules
        .iter()
        .enumerate()
        .map(|(index, rule)| check_rule(rule, &services.overrides, names, &rules_at.index(index), report))
        .collect();
    super::unique_names(services.rules.iter().map(|rule| rule.name.as_str()), &rules_at, "a rule for Services", report);
    super::reach::check(&rules, &rules_at, report);
    let default = match &services.default {
        None => CheckedVerdict::Ignore,
        Some(default) => {
            let here = at.key("default");
            check_verdict(&default.verdict, &services.overrides, names, &here, &here, report)
        }
    };
    (rules, default)
}

fn check_override_names(names: &OverrideNames, at: &Pointer, report: &mut Report<'_>) {
    for (field, name) in [("metro", &names.metro), ("facility", &names.facility)] {
        if let Some(found) = key_fault(name) {
            report.error(Place::Value(at.key(field)), FaultCode::InvalidLabel, KEY, found);
        }
    }
    if names.metro == names.facility {
        report.error(
            Place::Value(at.key("facility")),
            FaultCode::DuplicateName,
            "a name that no other annotation has",
            format!("{}, the name of metro", quote(&names.facility)),
        );
    }
}

fn check_rule(
    rule: &ServiceRule,
    overrides: &OverrideNames,
    names: &Names<'_>,
    at: &Pointer,
    report: &mut Report<'_>,
) -> CheckedRule {
    if rule.name == DEFAULT_RULE {
        report.error(
            Place::Value(at.key("name")),
            FaultCode::DuplicateName,
            "a name other than that of the default",
            quote(&rule.name),
        );
    }
    CheckedRule {
        name: rule.name.clone(),
        matches: check_match(&rule.matches, &at.key("match"), report),
        verdict: check_verdict(&rule.verdict, overrides, names, &at.key("use"), at, report),
    }
}

fn check_match(matches: &ServiceMatch, at: &Pointer, report: &mut Report<'_>) -> rule::ServiceMatch {
    let namespaces = read_globs(&matches.namespaces, &at.key("namespaces"), report);
    let names = read_globs(&matches.names, &at.key("names"), report);
    let classes = read_globs(&matches.load_balancer_classes, &at.key("loadBalancerClasses"), report);
    let mut select = |field: &str, written: &Option<_>| {
        written.as_ref().map(|written| selector::check(written, &at.key(field), report))
    };
    let namespace_selector = select("namespaceSelector", &matches.namespace_selector);
    let service_selector = select("serviceSelector", &matches.service_selector);
    rule::ServiceMatch {
        namespaces,
        names,
        classes,
        namespace_selector,
        service_selector,
        expression: matches.expression.as_ref().and_then(|text| check_expression(text, at.key("expression"), report)),
    }
}

fn check_expression(text: &str, at: Pointer, report: &mut Report<'_>) -> Option<Expression> {
    match Expression::new(text) {
        Ok(expression) => Some(expression),
        Err(fault) => {
            report
                .error(
                    Place::Inside(at, fault.from, fault.length),
                    FaultCode::InvalidExpression,
                    fault.expected,
                    fault.found,
                )
                .suggest(fault.suggestion);
            None
        }
    }
}

fn read_globs(texts: &Option<Vec<String>>, at: &Pointer, report: &mut Report<'_>) -> Option<Vec<NameGlob>> {
    let texts = texts.as_ref()?;
    let mut globs = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match NameGlob::new(text) {
            Ok(glob) => globs.push(glob),
            Err(reason) => {
                report.error(
                    Place::Value(at.index(index)),
                    FaultCode::InvalidGlob,
                    "a glob",
                    format!("{}: {reason}", quote(text)),
                );
            }
        }
    }
    Some(globs)
}

/// `at` holds the names of balancer and pool, `holder` the overrides.
fn check_verdict(
    verdict: &Verdict,
    overrides: &OverrideNames,
    names: &Names<'_>,
    at: &Pointer,
    holder: &Pointer,
    report: &mut Report<'_>,
) -> CheckedVerdict {
    match verdict {
        Verdict::Ignore => CheckedVerdict::Ignore,
        Verdict::Use { assign, allow_overrides } => {
            check_assign(assign, names, at, report);
            CheckedVerdict::Use {
                balancer: assign.load_balancer.clone(),
                pool: assign.address_pool.clone(),
                overrides: check_overrides(allow_overrides, overrides, &holder.key("allowOverrides"), report),
            }
        }
    }
}

fn check_assign(assign: &Assign, names: &Names<'_>, at: &Pointer, report: &mut Report<'_>) {
    let balancer = names.balancers.iter().find(|balancer| balancer.name == assign.load_balancer);
    if balancer.is_none() && !names.balancers_incomplete {
        let known = names.balancers.iter().map(|balancer| balancer.name.as_str());
        unknown_name(&assign.load_balancer, known, at.key("loadBalancer"), "a load balancer", report);
    }
    let pool_at = at.key("addressPool");
    match &assign.address_pool {
        Some(pool) => {
            if !names.pools.contains(&pool.as_str()) && !names.pools_incomplete {
                unknown_name(pool, names.pools.iter().copied(), pool_at.clone(), "an address pool", report);
            }
            if let Some(balancer) = balancer.filter(|balancer| balancer.kind.chooses_addresses()) {
                report.error(
                    Place::Key(pool_at),
                    FaultCode::Mismatch,
                    format!("no address pool beside {}", described(&balancer.name, &balancer.kind)),
                    quote(pool),
                );
            }
        }
        None => {
            let needs_pool = balancer.filter(|balancer| !balancer.kind.chooses_addresses());
            if let Some(balancer) = needs_pool.filter(|_| !report.is_incomplete(&pool_at)) {
                report.error(
                    Place::Value(at.clone()),
                    FaultCode::MissingKey,
                    format!(
                        "the key addressPool, as {} chooses no addresses",
                        described(&balancer.name, &balancer.kind)
                    ),
                    "a load balancer alone",
                );
            }
        }
    }
}

fn described(name: &str, kind: &LoadBalancerKind) -> String {
    match name == kind.as_str() {
        true => name.to_owned(),
        false => format!("{name} ({})", kind.as_str()),
    }
}

fn unknown_name<'a>(
    found: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    at: Pointer,
    what: &str,
    report: &mut Report<'_>,
) {
    let expected = match known.clone().next() {
        None => format!("the name of {what}, of which the policy has none"),
        Some(_) => format!("the name of {what}: {}", one_of(known.clone())),
    };
    report.error(Place::Value(at), FaultCode::UnknownName, expected, quote(found)).suggest(nearest(found, known));
}

fn check_overrides(allowed: &[String], names: &OverrideNames, at: &Pointer, report: &mut Report<'_>) -> Overrides {
    let names_at = Pointer::root().key("spec").key("services").key("overrides");
    let mut overrides = Overrides::default();
    for (index, name) in allowed.iter().enumerate() {
        let slot = match name {
            name if *name == names.metro => &mut overrides.metro,
            name if *name == names.facility => &mut overrides.facility,
            // What was meant to be renamed is not known.
            _ if report.is_incomplete(&names_at) => continue,
            name => {
                let known = [names.metro.as_str(), names.facility.as_str()];
                report
                    .error(
                        Place::Value(at.index(index)),
                        FaultCode::UnknownName,
                        format!("an annotation that overrides something: {}", one_of(known)),
                        quote(name),
                    )
                    .suggest(nearest(name, known));
                continue;
            }
        };
        if slot.replace(name.clone()).is_some() {
            report.error(
                Place::Value(at.index(index)),
                FaultCode::DuplicateName,
                "every annotation once",
                format!("{} a second time", quote(name)),
            );
        }
    }
    overrides
}
