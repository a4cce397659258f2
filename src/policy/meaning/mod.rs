//! Checks what a document means, and keeps what it proved on the way: a policy is put together from these parts.

mod addresses;
mod bgp;
mod labels;
mod nodes;
mod pools;
mod reach;
pub(super) mod report;
mod selector;
mod services;
mod template;

use std::collections::HashMap;

pub(super) use pools::CheckedPool;
pub(super) use report::Report;
pub(super) use services::{CheckedRule, CheckedVerdict};

use super::document::{Document, LoadBalancer};
use super::tree::Place;
use super::words::quote;
use super::{FaultCode, Pointer};
use crate::strategy::{BgpStrategy, NodeStrategy};

/// The parts of a policy. Complete, and free of contradictions, when the report has no error.
#[derive(Debug)]
pub(super) struct Checked {
    pub pools: Vec<CheckedPool>,
    pub balancers: Vec<LoadBalancer>,
    pub rules: Vec<CheckedRule>,
    pub default: CheckedVerdict,
    pub nodes: NodeStrategy,
    pub bgp: BgpStrategy,
}

/// Names that rules refer to.
struct Names<'a> {
    pools: Vec<&'a str>,
    pools_incomplete: bool,
    balancers: &'a [LoadBalancer],
    balancers_incomplete: bool,
}

/// Checks a document.
pub(super) fn check(document: &Document, report: &mut Report<'_>) -> Checked {
    let spec = &document.spec;
    let at = Pointer::root().key("spec");
    let pools = pools::check(&spec.address_pools, report);
    let balancers_at = at.key("loadBalancers");
    let balancer_names = spec.load_balancers.iter().map(|balancer| balancer.name.as_str());
    unique_names(balancer_names, &balancers_at, "a load balancer", report);
    let names = Names {
        pools: pools.iter().map(CheckedPool::name).collect(),
        pools_incomplete: report.is_incomplete(&at.key("addressPools")),
        balancers: &spec.load_balancers,
        balancers_incomplete: report.is_incomplete(&balancers_at),
    };
    let (rules, default) = services::check(&spec.services, &names, report);
    Checked {
        rules,
        default,
        nodes: nodes::check(&spec.nodes, &spec.bgp, report),
        bgp: bgp::check(&spec.bgp, report),
        balancers: spec.load_balancers.clone(),
        pools,
    }
}

/// Reports each name that stands a second time.
fn unique_names<'a>(names: impl Iterator<Item = &'a str>, at: &Pointer, what: &str, report: &mut Report<'_>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, name) in names.enumerate() {
        match seen.get(name) {
            Some(first) => {
                let first = report.original(&at.index(*first));
                report.error(
                    Place::Value(at.index(index).key("name")),
                    FaultCode::DuplicateName,
                    format!("a name that is not taken by {what} already"),
                    format!("{}, the name of {first}", quote(name)),
                );
            }
            None => {
                seen.insert(name, index);
            }
        }
    }
}
