use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Setup, each};
use crate::sandbox::metal::{DeviceSeed, DeviceState, GoneDevice, Networking, Purchase, SimulatorConfig};

const STEP: Duration = Duration::from_secs(1);

fn addresses(device: &Value) -> Vec<(Value, Value, Value, Value)> {
    let list = device["ip_addresses"].as_array().unwrap();
    list.iter()
        .map(|a| (a["address"].clone(), a["cidr"].clone(), a["public"].clone(), a["management"].clone()))
        .collect()
}

#[tokio::test]
async fn a_device_has_the_documented_shape() {
    let setup = Setup::default().await;
    let id = setup.device("node-1");
    let device = setup.get(&format!("/devices/{id}")).await.json();
    let picked: Vec<&Value> = [
        "/hostname",
        "/state",
        "/short_id",
        "/plan/slug",
        "/metro/code",
        "/operating_system/distro",
        "/locked",
        "/hardware_reservation",
        "/created_at",
        "/termination_time",
        "/href",
    ]
    .into_iter()
    .map(|pointer| device.pointer(pointer).unwrap())
    .collect();
    let expected = [
        json!("node-1"),
        json!("active"),
        json!(id[..8]),
        json!("c3.small.x86"),
        json!("da"),
        json!("ubuntu"),
        json!(false),
        json!(null),
        json!("2024-03-01T00:00:00Z"),
        json!(null),
        json!(format!("/metal/v1/devices/{id}")),
    ];
    assert_eq!(picked, expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn management_addresses_by_kind_of_network() {
    let public = (json!("139.178.48.1"), json!(31), json!(true), json!(true));
    let six = (json!("2604:1380:4603::1"), json!(127), json!(true), json!(true));
    let private = (json!("10.67.0.1"), json!(31), json!(false), json!(true));
    for (network, expected, blocks) in [
        (Networking::Layer3, vec![public, six, private.clone()], vec!["public_ipv6", "private_ipv4"]),
        (Networking::PrivateOnly, vec![private], vec!["private_ipv4"]),
        (Networking::Layer2, vec![], vec![]),
    ] {
        let setup = Setup::default().await;
        let id = setup.project.seed_device(DeviceSeed { network, ..DeviceSeed::new("one", "da") }).unwrap();
        let device = setup.get(&format!("/devices/{id}")).await.json();
        assert_eq!(addresses(&device), expected, "{network:?}");
        let list = setup.get(&setup.path("ips")).await.json();
        assert_eq!(each(&list["ip_addresses"], "type"), blocks, "{network:?}");
        assert_eq!(setup.get(&format!("/devices/{id}/ips")).await.json()["ip_addresses"], device["ip_addresses"]);
    }
}

#[tokio::test]
async fn a_metro_gets_a_second_private_block_when_the_first_is_full() {
    let setup = Setup::default().await;
    for number in 0..65 {
        setup.device(&format!("node-{number}"));
    }
    let list = setup.get(&setup.path("ips?types=private_ipv4")).await.json();
    assert_eq!(each(&list["ip_addresses"], "network"), [json!("10.67.0.0"), json!("10.67.0.128")]);
    assert_eq!(each(&list["ip_addresses"], "cidr"), [json!(25), json!(25)]);
    let stubs =
        list["ip_addresses"].as_array().unwrap().iter().map(|block| block["assignments"].as_array().unwrap().len());
    assert_eq!(stubs.collect::<Vec<_>>(), [64, 1]);
}

#[tokio::test]
async fn an_ordered_device_becomes_active_by_itself() {
    let setup = Setup::default().await;
    let body = json!({"plan": "c3.small.x86", "metro": "sv", "operating_system": "ubuntu_24_04", "hostname": "new",
        "tags": ["a"]});
    let created = setup.post(&setup.path("devices"), body).await;
    assert_eq!((created.status, created.json()["state"].clone()), (201, json!("queued")));
    let path = format!("/devices/{}", created.id());
    for state in ["queued", "provisioning", "active", "active"] {
        assert_eq!(setup.get(&path).await.json()["state"], state);
        setup.project.advance(STEP);
    }
    let refused = [
        (json!({"plan": "c9", "metro": "sv", "operating_system": "x"}), "c9 is not a valid plan"),
        (json!({"plan": "c3.small.x86", "metro": "zz", "operating_system": "x"}), "zz is not a valid facility"),
        (json!({"plan": "c3.small.x86", "metro": "tr", "operating_system": "x"}), "tr is not a valid facility"),
    ];
    for (body, text) in refused {
        let got = setup.post(&setup.path("devices"), body).await;
        assert_eq!((got.status, got.json()), (422, json!({"errors": [text]})));
    }
}

#[tokio::test]
async fn actions_lead_through_the_documented_states() {
    for (from, action, status, states) in [
        (DeviceState::Active, "power_off", 202, ["powering_off", "inactive"]),
        (DeviceState::Inactive, "power_on", 202, ["powering_on", "active"]),
        (DeviceState::Active, "reinstall", 202, ["reinstalling", "active"]),
        (DeviceState::Active, "reboot", 202, ["active", "active"]),
        (DeviceState::Active, "rescue", 202, ["active", "active"]),
        (DeviceState::Inactive, "power_off", 422, ["inactive", "inactive"]),
        (DeviceState::Active, "power_on", 422, ["active", "active"]),
        (DeviceState::Active, "explode", 422, ["active", "active"]),
    ] {
        let setup = Setup::default().await;
        let id = setup.project.seed_device(DeviceSeed { state: from.clone(), ..DeviceSeed::new("one", "da") }).unwrap();
        let got = setup.post(&format!("/devices/{id}/actions"), json!({"type": action})).await;
        assert_eq!(got.status, status, "{from} {action}");
        for state in states {
            assert_eq!(setup.get(&format!("/devices/{id}")).await.json()["state"], state, "{from} {action}");
            setup.project.advance(STEP);
        }
    }
    let setup = Setup::default().await;
    assert_eq!(setup.post("/devices/none/actions", json!({"type": "reboot"})).await.status, 404);
}

#[tokio::test]
async fn a_deleted_device_is_on_its_way_out_then_gone() {
    let no_view = json!({"errors": ["You are not authorized to view this device"]});
    for (gone_device, status, body) in
        [(GoneDevice::NotFound, 404, json!({"errors": ["Not found"]})), (GoneDevice::Forbidden, 403, no_view)]
    {
        let setup = Setup::new(SimulatorConfig { gone_device, ..SimulatorConfig::default() }).await;
        let id = setup.device("one");
        let path = format!("/devices/{id}");
        let deleted = setup.delete(&path).await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
        assert_eq!(setup.get(&path).await.json()["state"], "deprovisioning");
        assert_eq!(setup.delete(&path).await.status, 204);

        setup.project.advance(STEP);
        let got = setup.get(&path).await;
        assert_eq!((got.status, got.json()), (status, body));
        assert_eq!(setup.delete(&path).await.status, status);
        assert_eq!(setup.get(&setup.path("devices")).await.json()["meta"]["total"], 0);
    }
}

#[tokio::test]
async fn a_device_that_is_being_provisioned_or_locked_cannot_be_deleted() {
    let setup = Setup::default().await;
    let seed = DeviceSeed { state: DeviceState::Provisioning, ..DeviceSeed::new("new", "da") };
    let new = setup.project.seed_device(seed).unwrap();
    let locked = setup.device("locked");
    assert_eq!(setup.put(&format!("/devices/{locked}"), json!({"locked": true})).await.status, 200);
    for (id, text) in
        [(new, "Cannot delete a device while it is provisioning"), (locked, "Cannot delete a locked item")]
    {
        let got = setup.delete(&format!("/devices/{id}")).await;
        assert_eq!((got.status, got.json()), (422, json!({"errors": [text]})));
    }
}

#[tokio::test]
async fn a_device_takes_changes_and_keeps_the_rest() {
    let setup = Setup::default().await;
    let id = setup.device("one");
    let path = format!("/devices/{id}");
    let change = json!({"hostname": "two", "tags": ["b"], "description": "d", "userdata": "#", "customdata": {"k": 1}});
    let changed = setup.put(&path, change).await;
    let again = setup.put(&path, json!({})).await;
    for got in [&changed, &again] {
        let device = got.json();
        assert_eq!(
            [&device["hostname"], &device["tags"], &device["description"], &device["userdata"], &device["customdata"]],
            [&json!("two"), &json!(["b"]), &json!("d"), &json!("#"), &json!({"k": 1})]
        );
    }
    assert_eq!(setup.put("/devices/none", json!({})).await.status, 404);
}

#[tokio::test]
async fn a_gone_device_gives_back_all_it_held() {
    let setup = Setup::default().await;
    let one = setup.device("one");
    setup.project.remove_device(&one).unwrap();
    assert_eq!(
        setup.get(&setup.path("ips?types=private_ipv4")).await.json()["ip_addresses"][0]["assignments"],
        json!([])
    );
    setup.project.advance(STEP);
    let two = setup.device("two");
    let device = setup.get(&format!("/devices/{two}")).await.json();
    assert_eq!(
        each(&device["ip_addresses"], "address"),
        [json!("139.178.48.1"), json!("2604:1380:4603::1"), json!("10.67.0.1")]
    );
    assert!(setup.project.audit().is_clean());
}

#[tokio::test]
async fn lists_are_narrowed_by_every_filter() {
    let setup = Setup::default().await;
    let seeds = [
        DeviceSeed { tags: vec!["blue".to_owned()], ..DeviceSeed::new("web-1", "da") },
        DeviceSeed { purchase: Purchase::Spot, ..DeviceSeed::new("web-2", "sv") },
        DeviceSeed {
            purchase: Purchase::Reserved,
            instance_type: "m3.large.x86".to_owned(),
            termination_time: Some(jiff::Timestamp::UNIX_EPOCH),
            ..DeviceSeed::new("db-1", "da")
        },
    ];
    for seed in seeds {
        setup.project.seed_device(seed).unwrap();
    }
    let first = &setup.get(&setup.path("devices")).await.json()["devices"][0];
    let mac = first["network_ports"][1]["data"]["mac"].as_str().unwrap().to_owned();
    let address = first["ip_addresses"][2]["address"].as_str().unwrap().to_owned();
    for (query, expected) in [
        (String::new(), vec!["web-1", "web-2", "db-1"]),
        ("hostname=web".to_owned(), vec!["web-1", "web-2"]),
        ("hostname=eb-1".to_owned(), vec!["web-1"]),
        ("search=BLUE".to_owned(), vec!["web-1"]),
        ("search=m3.large".to_owned(), vec!["db-1"]),
        (format!("search={address}"), vec!["web-1"]),
        ("tag=blue".to_owned(), vec!["web-1"]),
        ("tag=blu".to_owned(), vec![]),
        ("facility=sv15".to_owned(), vec!["web-2"]),
        ("metro=DA".to_owned(), vec!["web-1", "db-1"]),
        ("type=ondemand".to_owned(), vec!["web-1"]),
        ("type=spot".to_owned(), vec!["web-2"]),
        ("type=reserved".to_owned(), vec!["db-1"]),
        ("reserved=false".to_owned(), vec!["web-1", "web-2"]),
        ("has_termination_time=true".to_owned(), vec!["db-1"]),
        (format!("mac_address={mac}"), vec!["web-1"]),
        ("categories[]=compute".to_owned(), vec!["web-1", "web-2", "db-1"]),
        ("categories=storage".to_owned(), vec![]),
        ("metro=da&hostname=web".to_owned(), vec!["web-1"]),
    ] {
        let list = setup.get(&setup.path(&format!("devices?{query}"))).await.json();
        assert_eq!(each(&list["devices"], "hostname"), expected, "{query}");
        assert_eq!(list["meta"]["total"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn the_project_counts_its_devices_and_can_show_them() {
    let setup = Setup::default().await;
    let id = setup.device("one");
    let stubs = setup.get(&setup.path("")).await;
    assert_eq!(stubs.status, 404, "a trailing slash is another route");
    let project = setup.get(&format!("/projects/{}", setup.p)).await.json();
    assert_eq!(
        [&project["id"], &project["devices"], &project["bgp_config"]],
        [&json!(setup.p), &json!([{"href": format!("/metal/v1/devices/{id}")}]), &json!(null)]
    );
    let expanded = setup.get(&format!("/projects/{}?include=devices", setup.p)).await.json();
    assert_eq!(expanded["devices"][0]["hostname"], "one");
    assert_eq!(setup.get("/user").await.json()["default_project_id"], json!(setup.p));
}
