use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::record::{OnRelease, RECORD_ANNOTATION};
use crate::domain::reservation::Location;
use crate::domain::{ClusterId, Ingress, Record, ReservationState, ReservationType, Service, ServiceKey};
use crate::plan::{Claims, ServiceFacts, Step};
use crate::strategy::announce::KubeVip;
use crate::strategy::testing::{elastic_pool, reservation, service};
use crate::strategy::{Pool, StaticPool};

#[derive(Default)]
struct Held {
    by_others: BTreeMap<IpAddr, &'static str>,
    in_pool: usize,
    set_aside: Option<IpAddr>,
}

impl Claims for Held {
    fn other_holder(&self, address: IpAddr, _: &ServiceKey) -> Option<ServiceKey> {
        self.by_others.get(&address).map(|name| ServiceKey::new("default", *name))
    }

    fn set_aside(&self, _: &ServiceKey) -> Option<IpAddr> {
        self.set_aside
    }

    fn held_by_others(&self, _: &str, _: &ServiceKey) -> usize {
        self.in_pool
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn held(addresses: &[(&str, &'static str)]) -> Held {
    Held { by_others: addresses.iter().map(|(address, name)| (ip(address), *name)).collect(), ..Held::default() }
}

fn public() -> Pool {
    Pool::Elastic(elastic_pool("public"))
}

fn office() -> Pool {
    Pool::Static(StaticPool {
        name: "office".into(),
        ranges: vec![crate::domain::address::AddressRange::of_network("203.0.113.16/30".parse().unwrap())],
        exclude: vec![crate::domain::address::AddressRange::of_network("203.0.113.17/32".parse().unwrap())],
    })
}

fn assignment(pool: Pool) -> Assignment {
    Assignment {
        rule: "all".into(),
        backend: Arc::new(Backend { name: "vip".into(), announcer: Arc::new(KubeVip) }),
        pool: Some(Arc::new(pool)),
        overrides: Overrides {
            metro: Some("metal.equinix.com/eip-metro".into()),
            facility: Some("metal.equinix.com/eip-facility".into()),
        },
    }
}

fn facts(service: Service, reservations: &[(&str, &str)]) -> ServiceFacts {
    let mut facts = ServiceFacts::new(service, &ClusterId::new("8c1f"));
    let tags = facts.tags.clone();
    facts.reservations = reservations.iter().map(|(id, ip)| Arc::new(reservation(id, ip, &tags.all()))).collect();
    facts
}

/// The Service as it is once the steps that patch it are carried out.
fn after(mut service: Service, steps: &[Step]) -> Service {
    for step in steps {
        if let crate::plan::Action::PatchService(patch) = &step.action {
            match &patch.load_balancer_ip {
                crate::plan::Change::Keep => {}
                crate::plan::Change::Set(ip) => service.load_balancer_ip = Some(ip.to_string()),
                crate::plan::Change::Clear => service.load_balancer_ip = None,
            }
            for (key, value) in &patch.annotations {
                match value {
                    Some(value) => service.annotations.insert(key.clone(), value.clone()),
                    None => service.annotations.remove(key),
                };
            }
        }
    }
    service
}

/// Plans until settled, without Metal: what is printed is what is done.
fn story(mut facts: ServiceFacts, pool: Pool, claims: &Held) -> Vec<String> {
    let assignment = assignment(pool);
    let mut told = Vec::new();
    for _ in 0..5 {
        match ensure(&facts, &assignment, "h1", claims) {
            EnsurePlan::Steps { steps, .. } => {
                told.extend(steps.iter().map(|step| shorten(&step.to_string())));
                if steps.iter().any(|s| matches!(s.action, crate::plan::Action::Reserve(_))) {
                    return told;
                }
                facts.reservations.retain(|r| {
                    !steps.iter().any(
                        |s| matches!(&s.action, crate::plan::Action::Release { reservation } if *reservation == r.id),
                    )
                });
                let service = after(facts.service.clone(), &steps);
                facts.record = service.annotations.get(RECORD_ANNOTATION).and_then(|text| Record::parse(text));
                facts.service = service;
            }
            EnsurePlan::Settled(ingress) => {
                told.push(format!("settled {}", shown(&ingress)));
                return told;
            }
            EnsurePlan::Wait(reason) => {
                told.push(format!("wait: {reason}"));
                return told;
            }
            EnsurePlan::Refuse(reason) => {
                told.push(format!("refuse: {reason}"));
                return told;
            }
        }
    }
    panic!("did not settle: {told:?}")
}

fn shown(ingress: &[Ingress]) -> String {
    ingress.iter().filter_map(|i| i.ip).map(|a| a.to_string()).collect::<Vec<_>>().join(",")
}

/// Leaves the record's text out; it has tests of its own.
fn shorten(step: &str) -> String {
    match step.split_once(" annotation metal.equinix.com/load-balancer=") {
        Some((before, rest)) => {
            let reason = rest.split_once("  # ").map_or("", |(_, reason)| reason);
            format!("{before} +record  # {reason}")
        }
        None => step.to_owned(),
    }
}

/// The Service once it has settled on an address.
fn settled(name: &str, reservations: &[(&str, &str)], pool: Pool) -> Service {
    let facts = facts(service(name), reservations);
    let EnsurePlan::Steps { steps, .. } = ensure(&facts, &assignment(pool), "h1", &Held::default()) else {
        panic!("a patch was expected")
    };
    let mut service = after(facts.service, &steps);
    service.ingress = vec![Ingress::address(service.load_balancer_ip.as_deref().unwrap().parse().unwrap())];
    service
}

#[test]
fn lb_07_a_new_service_gets_a_reservation_with_the_words_of_the_original() {
    let facts = facts(service("web"), &[]);
    let plan = ensure(&facts, &assignment(public()), "h1", &Held::default());
    let EnsurePlan::Steps { steps, holds: None } = plan else { panic!("{plan:?}") };
    let [Step { action: crate::plan::Action::Reserve(request), .. }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(
        *request,
        crate::domain::ReservationRequest {
            kind: ReservationType::PublicIpv4,
            location: Some(Location::Metro("da".into())),
            tags: vec![
                "usage=cloud-provider-equinix-metal-auto".into(),
                "service=grOt6dAM0WQqTUIOZw1s2Y60hJou4P9m1mieZFyOsz8=".into(),
                "cluster=8c1f".into()
            ],
            details: "Equinix Metal Kubernetes CCM auto-generated for Load Balancer".into(),
        }
    );
}

#[test]
fn lb_08_31_the_place_is_the_annotations_then_the_pools_else_refused() {
    let metro = ("metal.equinix.com/eip-metro", "sv");
    let facility = ("metal.equinix.com/eip-facility", "da11");
    let nowhere = Pool::Elastic(crate::strategy::ElasticPool { location: None, ..elastic_pool("public") });
    let cases = [
        ("the pool's", vec![], public(), "reserve one public_ipv4 address in metro da"),
        ("annotation metro first", vec![metro, facility], public(), "reserve one public_ipv4 address in metro sv"),
        ("annotation facility", vec![facility], public(), "reserve one public_ipv4 address in facility da11"),
        ("nowhere", vec![], nowhere, "refuse: no metro is known for an address of pool public"),
    ];
    for (name, annotations, pool, expected) in cases {
        let mut web = service("web");
        web.annotations = annotations.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let told = story(facts(web, &[]), pool, &Held::default());
        assert!(told[0].starts_with(expected), "{name}: {told:?}");
    }
}

#[test]
fn lb_09_11_12_the_address_is_written_and_recorded_and_becomes_the_status() {
    assert_eq!(
        story(facts(service("web"), &[("r1", "145.40.70.10")]), public(), &Held::default()),
        [
            "patch service default/web: spec.loadBalancerIP=145.40.70.10 +record  # rule all: address 145.40.70.10 from pool public, load balancer vip",
            "settled 145.40.70.10",
        ]
    );
}

#[test]
fn lb_13_a_second_run_finds_the_reservation_and_does_nothing() {
    let web = settled("web", &[("r1", "145.40.70.10")], public());
    assert_eq!(story(facts(web, &[("r1", "145.40.70.10")]), public(), &Held::default()), ["settled 145.40.70.10"]);
}

#[test]
fn lb_04_13_a_service_of_the_original_keeps_the_address_it_has() {
    let twins = [("r1", "145.40.70.10"), ("r2", "145.40.70.11")];
    let mut written = service("web");
    written.load_balancer_ip = Some("145.40.70.11".into());
    let mut shown = service("web");
    shown.ingress = vec![Ingress::address(ip("145.40.70.11"))];
    for web in [written, shown] {
        let told = story(facts(web, &twins), public(), &Held::default());
        assert_eq!(told.last().map(String::as_str), Some("settled 145.40.70.11"));
    }
}

#[test]
fn lb_10_15_an_address_the_user_named_is_mapped_as_it_is_and_nothing_is_reserved_or_released() {
    let mut web = service("web");
    web.load_balancer_ip = Some("198.51.100.7".into());
    let told = story(facts(web, &[]), public(), &Held::default());
    assert_eq!(
        told,
        [
            "patch service default/web: +record  # rule all: address 198.51.100.7 as the user asked, load balancer vip",
            "settled 198.51.100.7",
        ]
    );
}

#[test]
fn lb_15_23_a_service_with_its_own_address_is_cleaned_up_and_no_reservation_is_released() {
    let mut web = service("web");
    web.load_balancer_ip = Some("198.51.100.7".into());
    let first = facts(web, &[]);
    let EnsurePlan::Steps { steps, .. } = ensure(&first, &assignment(public()), "h1", &Held::default()) else {
        panic!()
    };
    let mut web = after(first.service, &steps);
    let left = facts(web.clone(), &[]);
    assert_eq!(remnant(&left), Some(vec![Ingress::address(ip("198.51.100.7"))]));
    web.deleting = true;
    assert_eq!(teardown(&facts(web, &[])), vec![]);
}

#[test]
fn lb_16_when_the_user_names_another_address_the_status_is_the_mapped_one_and_the_old_one_goes_back() {
    let mut web = settled("web", &[("r1", "145.40.70.10")], public());
    web.load_balancer_ip = Some("198.51.100.7".into());
    assert_eq!(
        story(facts(web, &[("r1", "145.40.70.10")]), public(), &Held::default()),
        [
            "patch service default/web: +record  # rule all: address 198.51.100.7 as the user asked, load balancer vip",
            "release reservation r1  # service default/web does not use it (145.40.70.10)",
            "settled 198.51.100.7",
        ]
    );
}

#[test]
fn lb_17_a_reservation_without_address_is_waited_for_and_a_denied_one_is_reported() {
    let cases = [
        (ReservationState::Pending, "wait: Metal has not decided yet about reservation r1"),
        (
            ReservationState::Denied,
            "refuse: Metal denied reservation r1; delete it in Metal, or raise the project's quota, and the service is tried again",
        ),
        (ReservationState::Created, "wait: Metal has not decided yet about reservation r1"),
    ];
    for (state, expected) in cases {
        let mut facts = facts(service("web"), &[("r1", "0.0.0.0")]);
        Arc::make_mut(&mut facts.reservations[0]).state = state;
        assert_eq!(story(facts, public(), &Held::default()), [expected]);
    }
}

#[test]
fn a_twin_from_a_lost_answer_is_given_back_once_the_address_is_recorded() {
    assert_eq!(
        story(facts(service("web"), &[("r1", "145.40.70.10"), ("r2", "145.40.70.11")]), public(), &Held::default()),
        [
            "patch service default/web: spec.loadBalancerIP=145.40.70.10 +record  # rule all: address 145.40.70.10 from pool public, load balancer vip",
            "release reservation r2  # service default/web does not use it (145.40.70.11)",
            "settled 145.40.70.10",
        ]
    );
}

#[test]
fn an_address_stays_when_the_pool_of_the_rule_changes() {
    let web = settled("web", &[("r1", "145.40.70.10")], public());
    assert_eq!(story(facts(web, &[("r1", "145.40.70.10")]), office(), &Held::default()), ["settled 145.40.70.10"]);
    let web = settled("web", &[], office());
    assert_eq!(story(facts(web, &[]), public(), &Held::default()), ["settled 203.0.113.16"]);
}

#[test]
fn a_static_pool_gives_the_lowest_free_address_and_says_when_it_is_exhausted() {
    let refused = "refuse: every address of pool office is in use; add a range to the pool or delete a service";
    let cases = [
        ("all free", held(&[]), "settled 203.0.113.16"),
        ("first taken, second excluded", held(&[("203.0.113.16", "a")]), "settled 203.0.113.18"),
        ("exhausted", held(&[("203.0.113.16", "a"), ("203.0.113.18", "b"), ("203.0.113.19", "c")]), refused),
        (
            "one was set aside for it",
            Held { set_aside: Some(ip("203.0.113.19")), ..Held::default() },
            "settled 203.0.113.19",
        ),
    ];
    for (name, claims, expected) in cases {
        let told = story(facts(service("web"), &[]), office(), &claims);
        assert_eq!(told.last().map(String::as_str), Some(expected), "{name}");
    }
}

#[test]
fn a_requested_address_must_be_free_and_in_the_static_pool() {
    let cases = [
        ("in the pool", "203.0.113.19", office(), "settled 203.0.113.19"),
        (
            "outside the pool",
            "203.0.113.99",
            office(),
            "refuse: the address 203.0.113.99 in spec.loadBalancerIP is not in pool office (203.0.113.16-203.0.113.19); choose one of its addresses or remove the field",
        ),
        (
            "excluded",
            "203.0.113.17",
            office(),
            "refuse: the address 203.0.113.17 in spec.loadBalancerIP is not in pool office (203.0.113.16-203.0.113.19); choose one of its addresses or remove the field",
        ),
        (
            "another's",
            "203.0.113.16",
            office(),
            "refuse: the address 203.0.113.16 in spec.loadBalancerIP is held by service default/first; choose another or remove the field",
        ),
        (
            "no address",
            "web.example.com",
            public(),
            "refuse: spec.loadBalancerIP \"web.example.com\" is not an IP address; correct or remove it",
        ),
    ];
    for (name, address, pool, expected) in cases {
        let mut web = service("web");
        web.load_balancer_ip = Some(address.into());
        let told = story(facts(web, &[]), pool, &held(&[("203.0.113.16", "first")]));
        assert_eq!(told.last().map(String::as_str), Some(expected), "{name}");
    }
}

#[test]
fn an_address_reserved_for_another_service_is_not_given_away() {
    let mut web = service("web");
    web.load_balancer_ip = Some("145.40.70.99".into());
    let mut facts = facts(web, &[]);
    let other = ServiceFacts::new(service("other"), &ClusterId::new("8c1f"));
    facts.requested_reservation = Some(Arc::new(reservation("r9", "145.40.70.99", &other.tags.all())));
    assert_eq!(
        story(facts, public(), &Held::default()),
        [
            "refuse: the address 145.40.70.99 in spec.loadBalancerIP was reserved for another service (reservation r9); choose another or remove the field"
        ]
    );
}

#[test]
fn a_pool_with_a_limit_refuses_the_next_address() {
    let pool = || Pool::Elastic(crate::strategy::ElasticPool { max_addresses: Some(40), ..elastic_pool("public") });
    let at = |in_pool| Held { in_pool, ..Held::default() };
    assert!(story(facts(service("web"), &[]), pool(), &at(39))[0].starts_with("reserve one"));
    assert_eq!(
        story(facts(service("web"), &[]), pool(), &at(40)),
        ["refuse: pool public holds 40 of at most 40 addresses; raise maxAddresses or delete a service"]
    );
}

#[test]
fn a_forged_record_outside_the_pool_is_not_believed() {
    let mut web = settled("web", &[], office());
    web.ingress.clear();
    let forged = web.annotations[RECORD_ANNOTATION].replace("203.0.113.16", "198.51.100.1");
    web.annotations.insert(RECORD_ANNOTATION.into(), forged);
    web.load_balancer_ip = None;
    let told = story(facts(web, &[]), office(), &Held::default());
    assert_eq!(told.last().map(String::as_str), Some("settled 203.0.113.16"));
}

#[test]
fn lb_23_24_25_teardown_gives_the_address_back_before_the_record_goes_and_clears_what_was_written() {
    let mut web = settled("web", &[("r1", "145.40.70.10")], public());
    web.kind = crate::domain::ServiceType::ClusterIp;
    let told = |service: &Service, reservations: &[(&str, &str)]| {
        teardown(&facts(service.clone(), reservations)).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&web, &[("r1", "145.40.70.10")]),
        [
            "release reservation r1  # service default/web does not use it (145.40.70.10)",
            "patch service default/web: -spec.loadBalancerIP -annotation metal.equinix.com/load-balancer  # the service has no load balancer any more",
        ],
        "type changed"
    );
    assert_eq!(
        told(&web, &[]),
        [
            "patch service default/web: -spec.loadBalancerIP -annotation metal.equinix.com/load-balancer  # the service has no load balancer any more"
        ],
        "released by an earlier try"
    );
    web.deleting = true;
    assert_eq!(
        told(&web, &[("r1", "145.40.70.10")]),
        ["release reservation r1  # service default/web does not use it (145.40.70.10)"],
        "deleted"
    );
}

#[test]
fn lb_24_a_remnant_is_seen_until_nothing_is_left() {
    let web = settled("web", &[("r1", "145.40.70.10")], public());
    let address = Some(vec![Ingress::address(ip("145.40.70.10"))]);
    assert_eq!(remnant(&facts(web.clone(), &[("r1", "145.40.70.10")])), address);
    assert_eq!(remnant(&facts(web, &[])), address, "the reservation is gone, the record is not");
    assert_eq!(remnant(&facts(service("web"), &[("r1", "145.40.70.10")])), address, "crashed before recording");
    assert_eq!(remnant(&facts(service("web"), &[])), None);
}

#[test]
fn a_pool_that_retains_keeps_the_reservation_for_the_next_service_of_that_name() {
    let retain =
        Pool::Elastic(crate::strategy::ElasticPool { on_release: OnRelease::Retain, ..elastic_pool("public") });
    let mut web = settled("web", &[("r1", "145.40.70.10")], retain);
    web.deleting = true;
    assert_eq!(teardown(&facts(web, &[("r1", "145.40.70.10")])), vec![]);
}

#[test]
fn the_record_tells_what_was_given() {
    let web = settled("web", &[("r1", "145.40.70.10")], public());
    assert_eq!(
        web.annotations[RECORD_ANNOTATION],
        r#"{"loadBalancer":"vip","backend":{"kind":"kubeVip"},"pool":"public","address":"145.40.70.10","cidr":32,"source":"reservation","reservation":"r1","onRelease":"Delete","rule":"all","policy":"h1"}"#
    );
    let mut other_hash = facts(web, &[("r1", "145.40.70.10")]);
    other_hash.record.as_mut().unwrap().policy = "h0".into();
    assert_eq!(
        story(other_hash, public(), &Held::default()),
        ["settled 145.40.70.10"],
        "another policy that gives the same writes nothing"
    );
}
