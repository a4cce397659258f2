use std::time::Duration;

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::ReservationState;

const SETTLE: Duration = Duration::from_secs(60);

/// A created public address without an address.
pub(in crate::metal::project) fn reservation(id: &str, tags: &[&str]) -> IpReservation {
    IpReservation {
        id: ReservationId::new(id),
        kind: ReservationType::PublicIpv4,
        state: ReservationState::Created,
        address: None,
        network: None,
        cidr: 0,
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        metro: None,
        facility: None,
        assigned_to: Vec::new(),
        created_at: None,
    }
}

fn with_block(id: &str, block: &str) -> IpReservation {
    let block: IpNet = block.parse().expect("a block");
    IpReservation { network: Some(block.network()), cidr: block.prefix_len(), ..reservation(id, &[]) }
}

fn ids<'r>(reservations: impl IntoIterator<Item = &'r Arc<IpReservation>>) -> Vec<&'r str> {
    reservations.into_iter().map(|reservation| reservation.id.as_str()).collect()
}

fn listed(listed: Vec<IpReservation>) -> Reservations {
    let mut reservations = Reservations::new(SETTLE);
    reservations.absorb(listed, Instant::now());
    reservations
}

#[test]
fn lb_04_all_tags_must_be_there_others_may_and_the_oldest_comes_first() {
    let aged = |id: &str, created: Option<&str>, tags: &[&str]| IpReservation {
        created_at: created.map(str::to_owned),
        ..reservation(id, tags)
    };
    let reservations = listed(vec![
        aged("untimed", None, &["usage", "web"]),
        aged("young", Some("2024-03-02T00:00:00Z"), &["web", "more", "usage"]),
        aged("old", Some("2024-03-01T00:00:00Z"), &["more", "usage", "web"]),
        aged("other", Some("2024-01-01T00:00:00Z"), &["usage", "db"]),
        aged("bare", Some("2023-01-01T00:00:00Z"), &[]),
    ]);
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("both tags", &["usage", "web"], &["old", "young", "untimed"]),
        ("in the other order", &["web", "usage"], &["old", "young", "untimed"]),
        ("one tag", &["usage"], &["other", "old", "young", "untimed"]),
        ("a tag nobody has", &["usage", "nobody"], &[]),
        ("a part of a tag", &["us"], &[]),
        ("no tag", &[], &["bare", "other", "old", "young", "untimed"]),
    ];
    for (name, tags, expected) in cases {
        assert_eq!(ids(&reservations.tagged(tags.iter().copied())), expected, "{name}");
    }
}

#[test]
fn an_address_is_found_in_the_smallest_block_around_it() {
    let reservations = listed(vec![
        with_block("wide", "147.75.40.0/24"),
        with_block("narrow", "147.75.40.8/30"),
        with_block("single", "147.75.40.9/32"),
        with_block("twin", "147.75.40.9/32"),
        with_block("six", "2604:1380::/56"),
        reservation("pending", &[]),
    ]);
    let cases = [
        ("147.75.40.9", Some("single")),
        ("147.75.40.10", Some("narrow")),
        ("147.75.40.255", Some("wide")),
        ("147.75.41.0", None),
        ("2604:1380::ffff", Some("six")),
        ("::1", None),
        ("0.0.0.0", None),
    ];
    for (address, expected) in cases {
        let found = reservations.holding(address.parse().expect("an address"));
        assert_eq!(found.map(|reservation| reservation.id.as_str()), expected, "{address}");
    }
}

#[test]
fn lb_05_vrf_blocks_are_passed_over() {
    let vrf = IpReservation { kind: ReservationType::Vrf, ..reservation("vrf", &["web"]) };
    let reservations = listed(vec![vrf, reservation("public", &["web"])]);
    assert_eq!(ids(&reservations.all()), ["public"]);
    assert_eq!(ids(&reservations.tagged(["web"].into_iter())), ["public"]);
}

#[test]
fn own_writes_are_seen_whatever_lists_say() {
    let start = Instant::now();
    let (at, late, very_late) = (start + Duration::from_secs(10), start + SETTLE * 2, start + SETTLE * 20);
    let both = || vec![reservation("a", &["t"]), reservation("b", &["t"])];
    let mut reservations = Reservations::new(SETTLE);
    reservations.absorb(vec![reservation("a", &["t"])], start);
    reservations.reserved(Arc::new(reservation("b", &["t"])), at);
    reservations.released(&ReservationId::new("a"), at);

    let mut seen = Vec::new();
    let mut look = |step: &'static str, reservations: &Reservations| {
        let tagged = reservations.tagged(["t"].into_iter());
        assert_eq!(ids(&reservations.all()), ids(&tagged), "{step}");
        seen.push((step, ids(&tagged).join(" ")));
    };
    look("after the writes", &reservations);
    for (step, listing, started) in [
        ("a list from before", vec![reservation("a", &["t"])], start),
        ("a list that lags", vec![reservation("a", &["t"])], at + Duration::from_secs(1)),
        ("a list that agrees", vec![reservation("b", &["t"])], at + Duration::from_secs(2)),
        ("a list that lags again", vec![reservation("a", &["t"])], at + Duration::from_secs(3)),
        ("a list of both", both(), late),
        ("a list that agrees, late", vec![reservation("b", &["t"])], late),
        ("others released b", vec![], late + SETTLE),
        ("a is there for good", both(), very_late),
    ] {
        reservations.absorb(listing, started);
        look(step, &reservations);
    }
    let expected = [
        ("after the writes", "b"),
        ("a list from before", "b"),
        ("a list that lags", "b"),
        ("a list that agrees", "b"),
        ("a list that lags again", "b"),
        ("a list of both", "b"),
        ("a list that agrees, late", "b"),
        ("others released b", ""),
        ("a is there for good", "a b"),
    ];
    assert_eq!(seen, expected.map(|(step, ids)| (step, ids.to_owned())));
}

#[test]
fn a_released_reservation_that_stays_counts_again() {
    let start = Instant::now();
    let mut reservations = listed(vec![reservation("a", &[])]);
    reservations.released(&ReservationId::new("a"), start);
    reservations.absorb(vec![reservation("a", &[])], start + SETTLE * PATIENCE - Duration::from_secs(1));
    assert_eq!(ids(&reservations.all()), [""; 0]);
    reservations.absorb(vec![reservation("a", &[])], start + SETTLE * PATIENCE);
    assert_eq!(ids(&reservations.all()), ["a"]);
    assert!(reservations.released.is_empty());
}

#[test]
fn one_of_ours_that_lists_never_show_is_suspect_until_proved() {
    let start = Instant::now();
    let mut reservations = Reservations::new(SETTLE);
    let id = ReservationId::new("a");
    reservations.reserved(Arc::new(reservation("a", &[])), start);
    let suspects = |reservations: &Reservations, after| reservations.suspects(&[], start + after);
    assert_eq!(suspects(&reservations, SETTLE - Duration::from_secs(1)), []);
    assert_eq!(reservations.suspects(&[reservation("a", &[])], start + SETTLE), []);
    assert_eq!(suspects(&reservations, SETTLE), [ReservationId::new("a")]);
    reservations.proved(&id, start + SETTLE);
    assert_eq!(suspects(&reservations, SETTLE), []);
    reservations.absorb(Vec::new(), start + SETTLE);
    assert_eq!(ids(&reservations.all()), ["a"]);
    reservations.disproved(&id);
    reservations.absorb(Vec::new(), start + SETTLE);
    assert_eq!((ids(&reservations.all()), reservations.written.len()), (vec![], 0));
}

#[test]
fn writes_are_forgotten_once_lists_agree() {
    let start = Instant::now();
    let mut reservations = Reservations::new(SETTLE);
    for n in 0..100 {
        reservations.reserved(Arc::new(reservation(&n.to_string(), &["t"])), start);
        reservations.released(&ReservationId::new((1000 + n).to_string()), start);
    }
    let listing: Vec<IpReservation> = (0..100).map(|n: u32| reservation(&n.to_string(), &["t"])).collect();
    reservations.absorb(listing, start + SETTLE);
    assert_eq!((reservations.written.len(), reservations.released.len()), (0, 0));
    for n in 0..100_u32 {
        reservations.released(&ReservationId::new(n.to_string()), start + SETTLE);
    }
    let index = &reservations.index;
    assert_eq!((index.entries.len(), index.by_id.len(), index.by_tag.len()), (0, 0, 0));
}
