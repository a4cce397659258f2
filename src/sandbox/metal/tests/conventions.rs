use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Setup, each, got};
use crate::sandbox::metal::{Access, AuthToken, DeviceSeed, ReservationSeed, SchemaDrift, SimulatorConfig};

#[tokio::test]
async fn each_kind_of_key_gets_its_answer() {
    let config = SimulatorConfig { read_only_tokens: vec![AuthToken::from("reader")], ..SimulatorConfig::default() };
    let setup = Setup::new(config).await;
    let device = setup.device("one");
    setup.project.set_access("stranger", Access::Forbidden);
    setup.project.set_access("blind", Access::EmptyLists);
    let denied = json!({"errors": ["Access denied for the current authentication token"]});
    let no_view = json!({"errors": ["You are not authorized to view this device"]});
    let no_key = json!({"error": "Invalid authentication token"});
    for (key, read, read_body, write, write_body, list) in [
        (Some("sandbox-token"), 200, None, 200, None, (200, 1)),
        (Some("reader"), 200, None, 403, Some(&denied), (200, 1)),
        (Some("stranger"), 403, Some(&no_view), 403, Some(&no_view), (403, 0)),
        (Some("blind"), 403, Some(&no_view), 403, Some(&no_view), (200, 0)),
        (Some("nonsense"), 401, Some(&no_key), 401, Some(&no_key), (401, 0)),
        (None, 401, Some(&no_key), 401, Some(&no_key), (401, 0)),
    ] {
        let url = |path: &str| format!("{}{path}", setup.simulator.base_url());
        let with_key = |request: reqwest::RequestBuilder| match key {
            Some(key) => request.header("x-auth-token", key),
            None => request,
        };
        let reading = got(with_key(setup.http.get(url(&format!("/devices/{device}"))))).await.unwrap();
        let writing = setup.http.put(url(&format!("/devices/{device}"))).json(&json!({"tags": []}));
        let writing = got(with_key(writing)).await.unwrap();
        let listing = got(with_key(setup.http.get(url(&setup.path("devices"))))).await.unwrap();
        for (answer, status, body) in [(&reading, read, read_body), (&writing, write, write_body)] {
            assert_eq!(answer.status, status, "{key:?}");
            if let Some(body) = body {
                assert_eq!(answer.json(), *body, "{key:?}");
            }
        }
        let listed = listing.json()["devices"].as_array().map_or(0, Vec::len);
        assert_eq!((listing.status, listed), list, "{key:?}");
    }
}

#[tokio::test]
async fn a_key_can_lose_its_rights_while_the_server_runs() {
    let setup = Setup::default().await;
    let path = setup.path("devices");
    assert_eq!(setup.get(&path).await.status, 200);
    setup.project.set_access(setup.key.as_str(), Access::Unknown);
    assert_eq!(setup.get(&path).await.status, 401);
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_the_exact_content_type() {
    let setup = Setup::default().await;
    let mut seen = std::collections::BTreeSet::new();
    for (path, status) in [("/user", 200), ("/devices/none", 404), ("/no/such/route", 404), ("/ips", 404)] {
        let got = setup.get(path).await;
        assert_eq!(
            (got.status, got.header("content-type")),
            (status, Some("application/json; charset=utf-8")),
            "{path}"
        );
        assert!(seen.insert(uuid::Uuid::parse_str(got.header("x-request-id").unwrap()).unwrap()), "{path}");
        if status == 404 {
            assert_eq!(got.json(), json!({"errors": ["Not found"]}), "{path}");
        }
    }
}

#[tokio::test]
async fn a_created_object_says_where_it_is() {
    let setup = Setup::default().await;
    let got = setup.post(&setup.path("ips"), json!({"type": "public_ipv4", "quantity": 1, "metro": "da"})).await;
    assert_eq!(got.status, 201);
    assert_eq!(got.header("location"), Some(format!("/metal/v1/ips/{}", got.id()).as_str()));
    assert!(got.header("etag").unwrap().starts_with("W/\""));
}

#[tokio::test]
async fn lists_are_paged_with_their_own_defaults_and_a_cap() {
    for (cap, query, ips_query, devices, ips) in [
        (1000, "", "", (10, 12, 2), (250, 260, 2)),
        (1000, "?per_page=1000", "?per_page=1000", (12, 12, 1), (263, 260, 1)),
        (1000, "?page=2", "?page=2", (2, 12, 2), (13, 260, 2)),
        (1000, "?page=9", "?page=9", (0, 12, 2), (0, 260, 2)),
        (100, "?per_page=1000", "?per_page=1000", (12, 12, 1), (100, 260, 3)),
    ] {
        let config = SimulatorConfig { per_page_cap: cap, quota: 1000, ..SimulatorConfig::default() };
        let setup = Setup::new(config).await;
        for number in 0..12 {
            setup.device(&format!("node-{number}"));
        }
        for _ in 0..261 {
            setup.project.seed_reservation(ReservationSeed::public("da", &[])).unwrap();
        }
        for (name, path, (length, total, last)) in [
            ("devices", format!("devices{query}"), devices),
            // The first device brought a private and an IPv6 block along.
            ("ip_addresses", format!("ips{ips_query}"), (ips.0, ips.1 + 3, ips.2)),
        ] {
            let list = setup.get(&setup.path(&path)).await.json();
            let got = (list[name].as_array().unwrap().len(), &list["meta"]["total"], &list["meta"]["last_page"]);
            assert_eq!(got, (length, &json!(total), &json!(last)), "{cap} {path}");
        }
    }
}

#[tokio::test]
async fn meta_links_are_relative_to_the_host() {
    let setup = Setup::default().await;
    for number in 0..3 {
        setup.device(&format!("node-{number}"));
    }
    let list = setup.get(&setup.path("devices?per_page=1&page=2&include=facility")).await.json();
    let link = |page: u8| json!({"href": format!("/metal/v1/projects/{}/devices?page={page}", setup.p)});
    assert_eq!(
        list["meta"],
        json!({"first": link(1), "previous": link(1), "self": link(2), "next": link(3), "last": link(3),
            "total": 3, "current_page": 2, "last_page": 3})
    );
}

#[tokio::test]
async fn references_are_stubs_until_included_and_again_when_excluded() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    let is_stub = |value: &Value| {
        let fields = value.as_object().unwrap();
        fields.len() == 1 && fields["href"].as_str().unwrap().starts_with("/metal/v1/")
    };
    for (query, pointer, stub) in [
        ("", "/facility", true),
        ("", "/project", true),
        ("", "/plan", false),
        ("", "/metro", false),
        ("", "/ip_addresses/0", false),
        ("", "/ip_addresses/0/assigned_to", true),
        ("", "/network_ports/0", false),
        ("?include=facility", "/facility", false),
        ("?include=facility,project", "/project", false),
        ("?include=facility%2Cproject", "/project", false),
        ("?include=facility&include=project", "/project", false),
        ("?include=ip_addresses.assigned_to.facility", "/ip_addresses/0/assigned_to/facility", false),
        ("?include=project.devices.facility", "/project/devices/0/facility", false),
        ("?include=project.devices.ip_addresses.assigned_to", "/project/devices/0/ip_addresses/0/assigned_to", true),
        ("?exclude=plan,metro", "/plan", true),
        ("?exclude=ip_addresses", "/ip_addresses/0", true),
        ("?exclude=facility&include=facility", "/facility", true),
    ] {
        let got = setup.get(&format!("/devices/{device}{query}")).await.json();
        assert_eq!(is_stub(got.pointer(pointer).unwrap()), stub, "{query} {pointer}");
    }
}

#[tokio::test]
async fn a_parent_block_appears_only_when_included_on_lists_too() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    let include = "include=ip_addresses.parent_block%2Cparent_block";
    let plain = setup.get(&format!("/devices/{device}")).await.json();
    assert!(plain["ip_addresses"].as_array().unwrap().iter().all(|address| address.get("parent_block").is_none()));

    let single = setup.get(&format!("/devices/{device}?{include}")).await.json();
    let list = setup.get(&setup.path(&format!("devices?{include}"))).await.json();
    assert_eq!(single, list["devices"][0]);
    let blocks = each(&single["ip_addresses"], "parent_block");
    assert_eq!(each(&json!(blocks), "network"), [json!("139.178.48.0"), json!("2604:1380:4603::"), json!("10.67.0.0")]);
    assert_eq!(each(&json!(blocks), "cidr"), [json!(31), json!(56), json!(25)]);
    let private = blocks[2]["href"].as_str().unwrap().strip_prefix("/metal/v1").unwrap().to_owned();
    assert_eq!(setup.get(&private).await.json()["type"], "private_ipv4");
}

#[tokio::test]
async fn types_are_read_in_every_notation() {
    let setup = Setup::default().await;
    setup.device("one");
    setup.project.seed_reservation(ReservationSeed::public("da", &[])).unwrap();
    setup.project.seed_reservation(ReservationSeed::global(&[])).unwrap();
    setup.project.seed_reservation(ReservationSeed::vrf("da", "10.1.2.0/24".parse().unwrap())).unwrap();
    for (query, expected) in [
        ("", vec!["public_ipv6", "private_ipv4", "public_ipv4", "global_ipv4", "vrf"]),
        ("?types=vrf", vec!["vrf"]),
        ("?types=vrf&types=public_ipv4", vec!["public_ipv4", "vrf"]),
        ("?types=vrf,public_ipv4", vec!["public_ipv4", "vrf"]),
        ("?types=vrf%2Cpublic_ipv4", vec!["public_ipv4", "vrf"]),
        ("?types[]=vrf", vec!["vrf"]),
        ("?types=none", vec![]),
    ] {
        let list = setup.get(&setup.path(&format!("ips{query}"))).await.json();
        assert_eq!(each(&list["ip_addresses"], "type"), expected, "{query}");
    }
}

#[tokio::test]
async fn the_schema_can_drift() {
    let fields = ["lifecycle_hints", "hardware_reservation", "description", "volumes", "customdata", "iqn"];
    for (drift, shapes) in [
        (SchemaDrift::Off, ["missing", "null", "null", "value", "{}", "value"]),
        (SchemaDrift::UnknownFields, ["value", "null", "null", "value", "{}", "value"]),
        (SchemaDrift::MissingFields, ["value", "{}", "null", "missing", "{}", "missing"]),
    ] {
        let setup = Setup::new(SimulatorConfig { schema_drift: drift, ..SimulatorConfig::default() }).await;
        setup.device("one");
        let device = &setup.get(&setup.path("devices")).await.json()["devices"][0];
        let shape = |field: &str| match device.get(field) {
            None => "missing",
            Some(Value::Null) => "null",
            Some(Value::Object(fields)) if fields.is_empty() => "{}",
            Some(_) => "value",
        };
        assert_eq!(fields.map(shape), shapes, "{drift:?}");
        let nested = &device["ip_addresses"][0];
        assert_eq!(nested.get("lifecycle_hints").is_some(), drift != SchemaDrift::Off, "{drift:?}");
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_project() {
    let world = |seed| async move {
        let setup = Setup::new(SimulatorConfig { seed, ..SimulatorConfig::default() }).await;
        setup.device("one");
        setup.project.seed_device(DeviceSeed::new("two", "sv")).unwrap();
        setup.post(&setup.path("ips"), json!({"type": "public_ipv4", "quantity": 1, "metro": "sv"})).await;
        [setup.get(&setup.path("devices")).await.json(), setup.get(&setup.path("ips")).await.json()]
    };
    assert_eq!(world(7).await, world(7).await);
    assert_ne!(world(7).await, world(8).await);
}

#[tokio::test]
async fn another_project_is_not_found() {
    let setup = Setup::default().await;
    for path in ["", "/devices", "/ips", "/bgp-config", "/bgp/sessions", "/facilities", "/plans"] {
        assert_eq!(setup.get(&format!("/projects/0000{path}")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_refused() {
    let setup = Setup::default().await;
    let device = setup.device("one");
    for (name, path, body, status) in [
        ("not JSON", setup.path("ips"), "{", 422),
        ("no type", setup.path("ips"), "{\"quantity\": 1}", 422),
        ("wrong type", format!("/devices/{device}/ips"), "{\"address\": 1}", 422),
        ("empty", format!("/devices/{device}/bgp/sessions"), "", 422),
        ("empty, for a device that is not there", "/devices/none/bgp/sessions".to_owned(), "", 404),
    ] {
        let request = setup.request(http::Method::POST, &path, None).body(body);
        assert_eq!(got(request).await.unwrap().status, status, "{name}");
    }
}
