//! Checks address pools.

use std::collections::HashMap;
use std::net::IpAddr;

use super::addresses;
use super::report::Report;
use crate::domain::address::AddressRange;
use crate::policy::document::{AddressPool, ElasticIp, ElasticIpType, PoolKind, StaticRanges};
use crate::policy::tree::Place;
use crate::policy::words::quote;
use crate::policy::{FaultCode, Pointer};
use crate::strategy::StaticPool;

/// A pool that was checked.
#[derive(Debug, Clone)]
pub(in crate::policy) enum CheckedPool {
    /// Reserves on demand.
    Elastic { name: String, settings: ElasticIp },
    /// Has ranges.
    Static(StaticPool),
}

impl CheckedPool {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Elastic { name, .. } => name,
            Self::Static(pool) => &pool.name,
        }
    }
}

/// A range, and where it stands.
struct Placed {
    range: AddressRange,
    text: String,
    pool: String,
    pointer: Pointer,
    order: usize,
}

pub(super) fn check(pools: &[AddressPool], report: &mut Report<'_>) -> Vec<CheckedPool> {
    let at = Pointer::root().key("spec").key("addressPools");
    let mut placed = Vec::new();
    let checked = pools
        .iter()
        .enumerate()
        .map(|(index, pool)| {
            let here = at.index(index);
            match &pool.kind {
                PoolKind::ElasticIp(settings) => elastic(pool, settings, &here.key("elasticIP"), report),
                PoolKind::Static(ranges) => fixed(pool, ranges, &here.key("static"), &mut placed, report),
            }
        })
        .collect();
    super::unique_names(pools.iter().map(|pool| pool.name.as_str()), &at, "an address pool", report);
    overlaps(placed, report);
    checked
}

fn elastic(pool: &AddressPool, settings: &ElasticIp, at: &Pointer, report: &mut Report<'_>) -> CheckedPool {
    if settings.kind == ElasticIpType::GlobalIpv4 {
        for (key, value) in [("metro", &settings.metro), ("facility", &settings.facility)] {
            if value.is_some() {
                report.error(
                    Place::Key(at.key(key)),
                    FaultCode::Mismatch,
                    "no place for a pool of global_ipv4, which is announced from every metro",
                    format!("the key {key}"),
                );
            }
        }
    }
    for (index, tag) in settings.tags.iter().enumerate() {
        let owned = ["usage=", "service=", "cluster="].iter().find(|mark| tag.starts_with(*mark));
        if let Some(mark) = owned {
            report.error(
                Place::Value(at.key("tags").index(index)),
                FaultCode::ReservedLabel,
                "a tag that does not look like those that mark ownership",
                format!("{}, which begins with {mark}", quote(tag)),
            );
        }
    }
    CheckedPool::Elastic { name: pool.name.clone(), settings: settings.clone() }
}

fn fixed(
    pool: &AddressPool,
    written: &StaticRanges,
    at: &Pointer,
    placed: &mut Vec<Placed>,
    report: &mut Report<'_>,
) -> CheckedPool {
    let ranges = read_all(&written.ranges, &at.key("ranges"), report);
    let exclude = read_all(&written.exclude, &at.key("exclude"), report);
    let complete = !report.has_fault(&at.key("ranges"));
    for (index, range) in &exclude {
        if complete && !ranges.iter().any(|(_, held)| held.overlaps(range)) {
            report.error(
                Place::Value(at.key("exclude").index(*index)),
                FaultCode::OutsideOfPool,
                "addresses of the ranges of the pool",
                written.exclude.get(*index).map(|text| quote(text)).unwrap_or_default(),
            );
        }
    }
    let excluded: Vec<AddressRange> = exclude.iter().map(|(_, range)| *range).collect();
    if complete && !ranges.is_empty() && ranges.iter().all(|(_, range)| addresses::covered(range, &excluded)) {
        report.error(
            Place::Value(at.key("exclude")),
            FaultCode::NoEffect,
            "a pool with at least one address left",
            "every address excluded",
        );
    }
    for (index, range) in &ranges {
        placed.push(Placed {
            range: *range,
            text: written.ranges.get(*index).cloned().unwrap_or_default(),
            pool: pool.name.clone(),
            pointer: at.key("ranges").index(*index),
            order: placed.len(),
        });
    }
    CheckedPool::Static(StaticPool {
        name: pool.name.clone(),
        ranges: ranges.into_iter().map(|(_, range)| range).collect(),
        exclude: excluded,
    })
}

fn read_all(texts: &[String], at: &Pointer, report: &mut Report<'_>) -> Vec<(usize, AddressRange)> {
    let mut ranges = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match addresses::range(text) {
            Ok(range) => ranges.push((index, range)),
            Err(fault) => report
                .error(Place::Value(at.index(index)), FaultCode::InvalidAddress, fault.expected, fault.found)
                .suggest(fault.suggestion),
        }
    }
    ranges
}

/// Each range that shares an address with one that stands before it.
fn overlaps(mut placed: Vec<Placed>, report: &mut Report<'_>) {
    placed.sort_by_key(|one| (one.range.first(), one.order));
    let mut found: HashMap<usize, (usize, usize)> = HashMap::new();
    let mut furthest: Option<(usize, IpAddr)> = None;
    for (number, one) in placed.iter().enumerate() {
        if let Some((other, last)) = furthest
            && placed.get(other).is_some_and(|other| other.range.family() == one.range.family())
            && one.range.first() <= last
        {
            let later = if placed[other].order > one.order { other } else { number };
            let earlier = if later == other { number } else { other };
            found.entry(placed[later].order).or_insert((later, earlier));
        }
        if furthest.is_none_or(|(_, last)| one.range.last() > last || last.is_ipv4() != one.range.last().is_ipv4()) {
            furthest = Some((number, one.range.last()));
        }
    }
    for (later, earlier) in found.into_values() {
        let (later, earlier) = (&placed[later], &placed[earlier]);
        report.error(
            Place::Value(later.pointer.clone()),
            FaultCode::Overlap,
            "addresses that no other range has",
            format!(
                "{}, which shares addresses with {} of pool {}",
                quote(&later.text),
                quote(&earlier.text),
                earlier.pool
            ),
        );
    }
}
