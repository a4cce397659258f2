//! Checks the section on BGP.

use super::labels::{KEY, key_fault};
use super::report::Report;
use super::selector;
use crate::policy::document::{Bgp, BgpAnnotationNames};
use crate::policy::tree::Place;
use crate::policy::words::quote;
use crate::policy::{FaultCode, Pointer};
use crate::strategy::{BgpAnnotations, BgpStrategy};

pub(super) fn check(bgp: &Bgp, report: &mut Report<'_>) -> BgpStrategy {
    let at = Pointer::root().key("spec").key("bgp");
    check_names(&bgp.annotations, &at.key("annotations"), report);
    BgpStrategy {
        local_asn: bgp.local_asn,
        password: bgp.password_from.as_ref().map(Into::into),
        node_selector: selector::check(&bgp.node_selector, &at.key("nodeSelector"), report),
        annotations: BgpAnnotations::from(&bgp.annotations),
    }
}

fn names(annotations: &BgpAnnotationNames) -> [(&'static str, &str); 6] {
    [
        ("localASN", &annotations.local_asn),
        ("peerASN", &annotations.peer_asn),
        ("peerIP", &annotations.peer_ip),
        ("srcIP", &annotations.src_ip),
        ("bgpPass", &annotations.bgp_pass),
        ("networkIPv4Private", &annotations.network_ipv4_private),
    ]
}

fn check_names(annotations: &BgpAnnotationNames, at: &Pointer, report: &mut Report<'_>) {
    let names = names(annotations);
    for (index, (field, name)) in names.iter().enumerate() {
        let place = Place::Value(at.key(field));
        let is_numbered = name.contains("{{n}}");
        if let Some(found) = key_fault(&name.replace("{{n}}", "0")) {
            report.error(place, FaultCode::InvalidLabel, KEY, found);
        } else if let Some((other, _)) = names.iter().take(index).find(|(_, earlier)| earlier == name) {
            report.error(
                place,
                FaultCode::DuplicateName,
                "a name that no other annotation has",
                format!("{}, the name of {other}", quote(name)),
            );
        } else if !is_numbered && *field != "networkIPv4Private" {
            report.warning(
                place,
                FaultCode::NoEffect,
                "{{n}} in the name, so that each peer has its own annotation",
                format!("{}, which several peers overwrite in turn", quote(name)),
            );
        }
    }
}

/// Whether an annotation is one of those that the section writes.
pub(super) fn writes(bgp: &Bgp, annotation: &str) -> bool {
    names(&bgp.annotations).iter().any(|(_, name)| match name.split_once("{{n}}") {
        None => *name == annotation,
        Some((before, after)) => annotation
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())),
    })
}
