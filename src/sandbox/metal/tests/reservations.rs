use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Setup;
use crate::sandbox::metal::{
    Approval, ApprovalRequired, Decision, ReservationKind, ReservationSeed, ReservationState, SimulatorConfig,
};

fn wanted(metro: &str) -> Value {
    json!({"type": "public_ipv4", "quantity": 1, "metro": metro, "tags": ["a", "b"], "details": "text",
        "fail_on_approval_required": true})
}

#[tokio::test]
async fn a_reservation_has_the_documented_shape() {
    let setup = Setup::default().await;
    let created = setup.post(&setup.path("ips"), wanted("da")).await;
    let reservation = created.json();
    assert_eq!(created.status, 201);
    let expected = json!({"type": "public_ipv4", "state": "created", "address_family": 4, "address": "147.75.48.0",
        "network": "147.75.48.0", "gateway": "147.75.48.0", "netmask": "255.255.255.255", "cidr": 32, "public": true,
        "management": false, "manageable": true, "enabled": true, "global_ip": false, "addon": true, "bill": true,
        "details": "text", "customdata": {}, "tags": ["a", "b"], "facility": null, "assignments": [],
        "available": format!("/metal/v1/ips/{}/available", created.id()), "metal_gateway": null,
        "project": {"href": format!("/metal/v1/projects/{}", setup.p)}, "created_at": "2024-03-01T00:00:00Z",
        "href": format!("/metal/v1/ips/{}", created.id())});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&reservation[field], value, "{field}");
    }
    assert_eq!(reservation["metro"]["code"], "da");
    assert_eq!(setup.get(&format!("/ips/{}", created.id())).await.json(), reservation);
    assert_eq!(setup.get(&setup.path("ips")).await.json()["ip_addresses"], json!([reservation]));
}

#[tokio::test]
async fn what_can_be_reserved_and_what_not() {
    let setup = Setup::default().await;
    let vrf = setup.project.vrf_in("da");
    for (name, body, status, block_or_text) in [
        ("a block", json!({"type": "public_ipv4", "quantity": 4, "metro": "da"}), 201, "147.75.48.0/30"),
        ("upper case", json!({"type": "public_ipv4", "quantity": 1, "metro": "DA"}), 201, "147.75.48.4/32"),
        ("a facility", json!({"type": "public_ipv4", "quantity": 1, "facility": "da11"}), 201, "147.75.48.5/32"),
        ("global", json!({"type": "global_ipv4", "quantity": 1}), 201, "147.28.184.0/32"),
        ("VRF", json!({"type": "vrf", "vrf_id": vrf, "network": "10.1.2.0", "cidr": 24}), 201, "10.1.2.0/24"),
        (
            "VRF, too small",
            json!({"type": "vrf", "vrf_id": vrf, "network": "10.1.2.0", "cidr": 30}),
            422,
            "Network and cidr are not valid for a VRF",
        ),
        ("VRF, unknown", json!({"type": "vrf", "vrf_id": "x", "network": "10.1.2.0", "cidr": 24}), 404, "Not found"),
        (
            "old facility",
            json!({"type": "public_ipv4", "quantity": 1, "facility": "ny5"}),
            422,
            "ny5 is not a valid facility",
        ),
        (
            "unknown metro",
            json!({"type": "public_ipv4", "quantity": 1, "metro": "zz"}),
            422,
            "zz is not a valid facility",
        ),
        ("nowhere", json!({"type": "public_ipv4", "quantity": 1}), 422, "Facility can't be blank"),
        (
            "not a power of two",
            json!({"type": "public_ipv4", "quantity": 3, "metro": "da"}),
            422,
            "Quantity must be a power of two within the size limits",
        ),
        (
            "too large",
            json!({"type": "global_ipv4", "quantity": 8}),
            422,
            "Quantity must be a power of two within the size limits",
        ),
        (
            "a device's own",
            json!({"type": "private_ipv4", "quantity": 1, "metro": "da"}),
            422,
            "private_ipv4 is not a valid type to request",
        ),
    ] {
        let got = setup.post(&setup.path("ips"), body).await;
        let body = got.json();
        let told = match body["errors"][0].as_str() {
            Some(text) => text.to_owned(),
            None => format!("{}/{}", body["network"].as_str().unwrap(), body["cidr"]),
        };
        assert_eq!((got.status, told.as_str()), (status, block_or_text), "{name}");
    }
}

#[tokio::test]
async fn a_vrf_range_has_its_own_fields() {
    let setup = Setup::default().await;
    let id = setup.project.seed_reservation(ReservationSeed::vrf("da", "10.1.2.0/24".parse().unwrap())).unwrap();
    let vrf = setup.project.vrf_in("da");
    let range = setup.get(&format!("/ips/{id}")).await.json();
    assert_eq!(range["vrf"], json!({"href": format!("/metal/v1/vrfs/{vrf}")}));
    assert!(
        range.get("created_by").is_some() && range.get("assignments").is_none() && range.get("requested_by").is_none()
    );
    assert_eq!(setup.get(&format!("/ips/{id}?include=vrf")).await.json()["vrf"]["id"], json!(vrf));
}

#[tokio::test]
async fn beyond_the_quota_a_reservation_fails_or_waits() {
    let approval =
        |decision| Approval { required: ApprovalRequired::OverQuota, decision, after: Duration::from_secs(60) };
    for (decision, state, addressed) in
        [(Decision::Hold, "pending", false), (Decision::Approve, "created", true), (Decision::Deny, "denied", false)]
    {
        let config = SimulatorConfig { quota: 2, approval: approval(decision), ..SimulatorConfig::default() };
        let setup = Setup::new(config).await;
        let order = |fail: bool, quantity: u8| json!({"type": "public_ipv4", "quantity": quantity, "metro": "da", "tags": ["t"], "fail_on_approval_required": fail});
        let first = setup.post(&setup.path("ips"), order(true, 2)).await;
        assert_eq!(first.status, 201);
        let refused = setup.post(&setup.path("ips"), order(true, 1)).await;
        assert_eq!(refused.status, 422);
        assert!(refused.json()["errors"][0].as_str().unwrap().contains("insufficient public IPv4 space"));

        let waiting = setup.post(&setup.path("ips"), order(false, 1)).await;
        let fields =
            |got: &Value| [got["state"].clone(), got["address"].clone(), got["cidr"].clone(), got["tags"].clone()];
        assert_eq!(waiting.status, 201);
        assert_eq!(fields(&waiting.json()), [json!("pending"), json!(null), json!(null), json!(["t"])]);
        setup.project.advance(Duration::from_secs(60));
        let decided = setup.get(&format!("/ips/{}", waiting.id())).await.json();
        assert_eq!(
            (decided["state"].as_str().unwrap(), decided["address"].is_string()),
            (state, addressed),
            "{decision:?}"
        );

        assert_eq!(setup.delete(&format!("/ips/{}", first.id())).await.status, 204);
        let freed = setup.post(&setup.path("ips"), order(true, 1)).await;
        assert_eq!(freed.status, 201, "{decision:?}");
    }
}

#[tokio::test]
async fn a_human_can_be_asked_about_every_reservation() {
    let approval = Approval { required: ApprovalRequired::Always, decision: Decision::Hold, after: Duration::ZERO };
    let setup = Setup::new(SimulatorConfig { approval, ..SimulatorConfig::default() }).await;
    let body = json!({"type": "public_ipv4", "quantity": 1, "metro": "da"});
    let pending = setup.post(&setup.path("ips"), body).await;
    assert_eq!(setup.project.reservations()[0].state, ReservationState::Pending);
    setup.project.decide(&pending.id(), Decision::Approve);
    setup.project.decide(&pending.id(), Decision::Deny);
    let decided = &setup.project.reservations()[0];
    assert_eq!((decided.state, decided.block), (ReservationState::Created, Some("147.75.48.0/32".parse().unwrap())));
}

#[tokio::test]
async fn tags_are_replaced_as_a_whole() {
    let setup = Setup::default().await;
    let id = setup.post(&setup.path("ips"), wanted("da")).await.id();
    let path = format!("/ips/{id}");
    for (body, expected) in [
        (json!({"tags": ["c"]}), (json!(["c"]), json!("text"), json!({}))),
        (json!({"details": "new", "customdata": {"k": 1}}), (json!(["c"]), json!("new"), json!({"k": 1}))),
        (json!({"tags": []}), (json!([]), json!("new"), json!({"k": 1}))),
    ] {
        let got = setup.patch(&path, body).await;
        let object = got.json();
        assert_eq!(got.status, 200);
        assert_eq!((object["tags"].clone(), object["details"].clone(), object["customdata"].clone()), expected);
    }
    assert_eq!(setup.patch("/ips/none", json!({"tags": []})).await.status, 404);
}

#[tokio::test]
async fn free_addresses_of_a_block() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    let seed = ReservationSeed { quantity: 2, ..ReservationSeed::public("da", &[]) };
    let id = setup.project.seed_reservation(seed).unwrap();
    let path = format!("/ips/{id}/available");
    let both = json!({"available": ["147.75.48.0/32", "147.75.48.1/32"]});
    for (query, status, body) in [
        ("?cidr=32", 200, both),
        ("?cidr=31", 200, json!({"available": ["147.75.48.0/31"]})),
        ("?cidr=30", 200, json!({"available": []})),
        ("?cidr=200", 200, json!({"available": []})),
        ("", 422, json!({"errors": ["Cidr can't be blank"]})),
    ] {
        let got = setup.get(&format!("{path}{query}")).await;
        assert_eq!((got.status, got.json()), (status, body), "{query}");
    }
    setup.project.assign(&device, "147.75.48.0/32".parse().unwrap()).unwrap();
    assert_eq!(setup.get(&format!("{path}?cidr=32")).await.json(), json!({"available": ["147.75.48.1/32"]}));
    assert_eq!(setup.get("/ips/none/available?cidr=32").await.status, 404);
}

#[tokio::test]
async fn old_reservations_have_their_place_in_the_facility_alone() {
    let setup = Setup::default().await;
    let body = json!({"type": "public_ipv4", "quantity": 1, "facility": "da11"});
    let id = setup.post(&setup.path("ips"), body).await.id();
    let got = setup.get(&format!("/ips/{id}?include=facility")).await.json();
    assert_eq!(
        (got["facility"]["code"].clone(), got["facility"]["metro"]["code"].clone()),
        (json!("da11"), json!("da"))
    );
    assert_eq!(got["metro"], json!(null));
}

#[tokio::test]
async fn a_type_nobody_has_heard_of_can_be_in_the_list() {
    let setup = Setup::default().await;
    let kind = ReservationKind::Other("anycast_ipv4".to_owned());
    let block = Some("192.0.2.0/30".parse().unwrap());
    setup.project.seed_reservation(ReservationSeed { kind, block, ..ReservationSeed::public("da", &[]) }).unwrap();
    let list = setup.get(&setup.path("ips")).await.json();
    let got = &list["ip_addresses"][0];
    assert_eq!(
        [&got["type"], &got["network"], &got["cidr"]],
        [&json!("anycast_ipv4"), &json!("192.0.2.0"), &json!(30)]
    );
}

#[tokio::test]
async fn reservations_made_at_once_get_different_addresses() {
    let setup = Setup::default().await;
    let path = setup.path("ips");
    let created = futures::future::join_all((0..64).map(|_| setup.post(&path, wanted("da")))).await;
    let addresses: std::collections::BTreeSet<String> =
        created.iter().map(|got| got.json()["address"].as_str().unwrap().to_owned()).collect();
    assert_eq!(addresses.len(), 64);
    assert_eq!(setup.project.audit().granted_twice, []);
}

#[tokio::test]
async fn a_block_can_be_named_once() {
    let setup = Setup::default().await;
    let seed = |block: &str| {
        let block = Some(block.parse().unwrap());
        setup.project.seed_reservation(ReservationSeed { block, ..ReservationSeed::public("da", &[]) })
    };
    let first = seed("147.75.48.0/30").unwrap();
    assert!(seed("147.75.48.2/32").is_err());
    assert!(seed("147.75.48.0/29").is_err());
    assert!(seed("203.0.113.7/32").is_ok());
    let body = json!({"type": "public_ipv4", "quantity": 1, "metro": "da"});
    assert_eq!(setup.post(&setup.path("ips"), body).await.json()["address"], "147.75.48.4");
    setup.project.release(&first).unwrap();
    assert!(seed("147.75.48.2/32").is_err(), "the block is still draining");
    setup.project.advance(SimulatorConfig::default().drain_delay);
    assert!(seed("147.75.48.2/32").is_ok());
    assert!(setup.project.audit().is_clean());
}
