use pretty_assertions::assert_eq;
use serde_json::json;

use super::{Setup, each};
use crate::sandbox::metal::{Audit, DeviceSeed, DuplicateTags, ReservationSeed, SimulatorConfig};

#[tokio::test]
async fn an_address_is_assigned_read_and_taken_away() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    let reservation =
        setup.post(&setup.path("ips"), json!({"type": "public_ipv4", "quantity": 1, "metro": "da"})).await;
    let address = reservation.json()["address"].clone();
    let assigned = setup.post(&format!("/devices/{device}/ips"), json!({"address": address})).await;
    let object = assigned.json();
    assert_eq!(assigned.status, 201);
    assert_eq!(
        [&object["address"], &object["cidr"], &object["management"], &object["public"], &object["assigned_to"]],
        [&address, &json!(32), &json!(false), &json!(true), &json!({"href": format!("/metal/v1/devices/{device}")})]
    );
    let assignment = assigned.id();
    assert_eq!(setup.get(&format!("/ips/{assignment}")).await.json(), object);
    let stub = json!([{"href": format!("/metal/v1/ips/{assignment}")}]);
    let path = format!("/ips/{}", reservation.id());
    assert_eq!(setup.get(&path).await.json()["assignments"], stub);
    assert_eq!(setup.get(&format!("{path}?include=assignments")).await.json()["assignments"], json!([object]));
    let deep = setup.get(&setup.path("ips?types=public_ipv4&include=assignments.assigned_to")).await.json();
    assert_eq!(deep["ip_addresses"][0]["assignments"][0]["assigned_to"]["hostname"], "one");
    assert_eq!(setup.get(&format!("/devices/{device}/ips")).await.json()["ip_addresses"][3], object);

    assert_eq!(setup.delete(&format!("/ips/{assignment}")).await.status, 204);
    assert_eq!(setup.delete(&format!("/ips/{assignment}")).await.status, 404);
    assert_eq!(setup.get(&path).await.json()["assignments"], json!([]));
    assert_eq!(setup.get(&path).await.status, 200);
}

#[tokio::test]
async fn what_can_be_assigned_and_what_not() {
    let setup = Setup::default().await;
    let here = setup.device("one");
    let there = setup.project.seed_device(DeviceSeed::new("two", "sv")).unwrap();
    for seed in [ReservationSeed { quantity: 4, ..ReservationSeed::public("da", &[]) }, ReservationSeed::global(&[])] {
        setup.project.seed_reservation(seed).unwrap();
    }
    let taken = "Address has already been taken";
    let unknown = "Address is not within a reservation of this project";
    for (name, device, address, status, text) in [
        ("another metro", &there, "147.75.48.0", 422, "Facility can't be blank"),
        ("plain", &here, "147.75.48.0", 201, ""),
        ("again", &here, "147.75.48.0", 422, taken),
        ("with prefix", &here, "147.75.48.1/32", 201, ""),
        ("a part", &here, "147.75.48.2/31", 201, ""),
        ("inside that part", &here, "147.75.48.3", 422, taken),
        ("the whole", &here, "147.75.48.0/30", 422, taken),
        ("global, anywhere", &there, "147.28.184.0", 201, ""),
        ("not ours", &here, "8.8.8.8", 422, unknown),
        ("a device's own", &here, "139.178.48.1", 422, taken),
        ("nonsense", &here, "here", 422, "Address is not valid"),
        ("no such device", &"none".to_owned(), "147.75.48.0", 404, "Not found"),
    ] {
        let got = setup.post(&format!("/devices/{device}/ips"), json!({"address": address})).await;
        let told = got.json()["errors"][0].as_str().unwrap_or_default().to_owned();
        assert_eq!((got.status, told.as_str()), (status, text), "{name}");
    }
    assert_eq!(setup.get("/devices/none/ips").await.status, 404);
}

#[tokio::test]
async fn an_address_drains_before_it_can_be_assigned_again() {
    let setup = Setup::default().await;
    let (one, two) = (setup.device("one"), setup.device("two"));
    setup.project.seed_reservation(ReservationSeed::public("da", &[])).unwrap();
    let assign =
        async |device: &str| setup.post(&format!("/devices/{device}/ips"), json!({"address": "147.75.48.0"})).await;
    let first = assign(&one).await;
    assert_eq!(setup.delete(&format!("/ips/{}", first.id())).await.status, 204);
    let draining = assign(&two).await;
    assert_eq!((draining.status, draining.json()), (422, json!({"errors": ["Address has already been taken"]})));
    setup.project.advance(SimulatorConfig::default().drain_delay);
    assert_eq!(assign(&two).await.status, 201);
    assert_eq!(setup.project.assignments().iter().map(|held| held.device.clone()).collect::<Vec<_>>(), [two]);
}

#[tokio::test]
async fn what_comes_with_devices_cannot_be_deleted() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    let block = setup.get(&setup.path("ips")).await.json()["ip_addresses"][0]["id"].as_str().unwrap().to_owned();
    let own =
        setup.get(&format!("/devices/{device}")).await.json()["ip_addresses"][0]["id"].as_str().unwrap().to_owned();
    for id in [block, own] {
        let got = setup.delete(&format!("/ips/{id}")).await;
        let text = json!({"errors": ["You are not authorized to delete this ip address"]});
        assert_eq!((got.status, got.json()), (403, text));
    }
    assert_eq!(setup.delete("/ips/none").await.status, 404);
    assert_eq!(setup.get("/ips/none").await.json(), json!({"errors": ["Not found"]}));
}

#[tokio::test]
async fn the_audit_names_what_should_not_be() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    let seed = |tags: &[&str]| setup.project.seed_reservation(ReservationSeed::public("da", tags)).unwrap();
    let (one, two) = (seed(&["a", "b"]), seed(&["b", "a"]));
    seed(&["a"]);
    seed(&[]);
    seed(&[]);
    setup.project.assign(&device, "147.75.48.0/32".parse().unwrap()).unwrap();
    let tags = ["a", "b"].map(str::to_owned).to_vec();
    let duplicate = DuplicateTags { tags, reservations: vec![one.clone(), two] };
    assert_eq!(setup.project.audit(), Audit { duplicate_tags: vec![duplicate], ..Audit::default() });

    setup.project.release(&one).unwrap();
    assert_eq!(setup.project.audit(), Audit { released_while_assigned: vec![one], ..Audit::default() });
    assert_eq!(each(&setup.get(&format!("/devices/{device}/ips")).await.json()["ip_addresses"], "management").len(), 3);
}
