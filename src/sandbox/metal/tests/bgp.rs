use std::time::Duration;

use ipnet::IpNet;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Setup, each};
use crate::sandbox::metal::{
    AddressFamily, BgpDeployment, BgpSeed, BgpStatus, DeviceSeed, DeviceState, SimulatorConfig,
};

fn local() -> Value {
    json!({"deployment_type": "local", "asn": 65000, "md5": "", "use_case": "kubernetes-load-balancer"})
}

#[tokio::test]
async fn bgp_is_asked_for_once() {
    let setup = Setup::default().await;
    let (config, ask) = (setup.path("bgp-config"), setup.path("bgp-configs"));
    let never = setup.get(&config).await;
    assert_eq!((never.status, never.json()), (200, json!({})));
    let asked = setup.post(&ask, local()).await;
    assert_eq!((asked.status, asked.text.as_str()), (204, ""));
    let got = setup.get(&config).await.json();
    let id = got["id"].as_str().unwrap();
    let expected = json!({"id": id, "status": "enabled", "deployment_type": "local", "asn": 65000, "md5": "",
        "max_prefix": 10, "route_object": null, "ranges": [], "sessions": [], "created_at": "2024-03-01T00:00:00Z",
        "requested_at": "2024-03-01T00:00:00Z", "project": {"href": format!("/metal/v1/projects/{}", setup.p)},
        "href": format!("/metal/v1/bgp-configs/{id}")});
    assert_eq!(got, expected);
    assert_eq!(setup.post(&ask, local()).await.status, 422);
    assert_eq!(
        setup.get(&format!("/projects/{}", setup.p)).await.json()["bgp_config"],
        json!({"href": expected["href"]})
    );
}

#[tokio::test]
async fn each_wish_for_bgp_has_its_outcome() {
    for (name, body, status, outcome) in [
        ("local", local(), 204, json!(["enabled", 65000, ""])),
        ("local, another AS", json!({"deployment_type": "local", "asn": 64512}), 204, json!(["enabled", 65000, null])),
        (
            "global",
            json!({"deployment_type": "global", "asn": 64512, "md5": "Passw0rd12"}),
            204,
            json!(["requested", 64512, "Passw0rd12"]),
        ),
        ("md5 too short", json!({"deployment_type": "local", "asn": 65000, "md5": "Passw0rd"}), 422, json!(null)),
        (
            "md5 without a digit",
            json!({"deployment_type": "local", "asn": 65000, "md5": "Passwordxx"}),
            422,
            json!(null),
        ),
        ("md5 with a sign", json!({"deployment_type": "local", "asn": 65000, "md5": "Passw0rd-x"}), 422, json!(null)),
        ("no AS", json!({"deployment_type": "local"}), 422, json!(null)),
        ("unknown type", json!({"deployment_type": "x", "asn": 1}), 422, json!(null)),
    ] {
        let setup = Setup::default().await;
        let got = setup.post(&setup.path("bgp-configs"), body).await;
        let config = setup.get(&setup.path("bgp-config")).await.json();
        let got = (
            got.status,
            config.get("id").map_or(json!(null), |_| json!([config["status"], config["asn"], config["md5"]])),
        );
        assert_eq!(got, (status, outcome), "{name}");
    }
}

#[tokio::test]
async fn a_session_needs_bgp_in_force() {
    for (status, expected) in [
        (None, 422),
        (Some(BgpStatus::Disabled), 422),
        (Some(BgpStatus::Requested), 422),
        (Some(BgpStatus::Enabled), 201),
    ] {
        let setup = Setup::default().await;
        let device = setup.device("one");
        if let Some(status) = status {
            setup.project.set_bgp(BgpSeed { status, ..BgpSeed::default() });
        }
        let got = setup.post(&format!("/devices/{device}/bgp/sessions"), json!({"address_family": "ipv4"})).await;
        assert_eq!(got.status, expected, "{status:?}");
        if expected == 422 {
            assert_eq!(got.json(), json!({"errors": ["BGP is not enabled"]}), "{status:?}");
        }
    }
}

#[tokio::test]
async fn a_session_is_opened_once_for_each_family() {
    let setup = Setup::default().await;
    setup.project.set_bgp(BgpSeed::default());
    let device = setup.device("one");
    let path = format!("/devices/{device}/bgp/sessions");
    let opened = setup.post(&path, json!({"address_family": "ipv4", "default_route": false})).await;
    let session = opened.json();
    let expected = json!({"id": opened.id(), "address_family": "ipv4", "status": "unknown", "default_route": false,
        "learned_routes": [], "switch_name": "esr1.da11", "device": {"href": format!("/metal/v1/devices/{device}")},
        "created_at": "2024-03-01T00:00:00Z", "updated_at": "2024-03-01T00:00:00Z",
        "href": format!("/metal/v1/bgp/sessions/{}", opened.id())});
    assert_eq!((opened.status, &session), (201, &expected));
    for (body, status, text) in [
        (json!({"address_family": "ipv4"}), 422, "Address family already has session with ipv4"),
        (json!({"address_family": "ipv6"}), 201, ""),
        (json!({"address_family": "ipv6"}), 422, "Address family already has session with ipv6"),
        (json!({"address_family": "ipx"}), 422, "ipx is not a valid address family"),
    ] {
        let got = setup.post(&path, body).await;
        assert_eq!((got.status, got.json()["errors"][0].as_str().unwrap_or_default()), (status, text));
    }
    assert_eq!(setup.post("/devices/none/bgp/sessions", json!({"address_family": "ipv4"})).await.status, 404);

    let families = [json!("ipv4"), json!("ipv6")];
    for path in [path.clone(), setup.path("bgp/sessions")] {
        let list = setup.get(&path).await.json();
        assert_eq!(each(&list["bgp_sessions"], "address_family"), families, "{path}");
        assert!(list.get("meta").is_none(), "{path}");
        assert_eq!(list["bgp_sessions"][0], session, "{path}");
    }
    let config = setup.get(&setup.path("bgp-config?include=sessions")).await.json();
    assert_eq!(each(&config["sessions"], "address_family"), families);
    assert_eq!(setup.get(&setup.path("bgp-config")).await.json()["sessions"], json!([]));
    let expanded = setup.get(&format!("/bgp/sessions/{}?include=device", opened.id())).await.json();
    assert_eq!(expanded["device"]["hostname"], "one");
}

#[tokio::test]
async fn a_session_is_changed_and_closed() {
    let setup = Setup::default().await;
    setup.project.set_bgp(BgpSeed::default());
    let device = setup.device("one");
    let id = setup.project.open_session(&device, AddressFamily::Ipv4).unwrap();
    let path = format!("/bgp/sessions/{id}");
    for (body, expected) in [(json!({"default_route": true}), json!(true)), (json!(false), json!(false))] {
        let got = setup.put(&path, body).await;
        assert_eq!((got.status, got.json()["default_route"].clone()), (200, expected));
    }
    assert_eq!(setup.delete(&path).await.status, 204);
    assert_eq!(setup.project.sessions(), []);
    for got in [setup.get(&path).await, setup.delete(&path).await, setup.put(&path, json!(true)).await] {
        assert_eq!((got.status, got.json()), (404, json!({"errors": ["Not found"]})));
    }
    let again = setup.post(&format!("/devices/{device}/bgp/sessions"), json!({"address_family": "ipv4"})).await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn sessions_end_with_their_device() {
    let setup = Setup::default().await;
    setup.project.set_bgp(BgpSeed::default());
    let device = setup.device("one");
    let id = setup.project.open_session(&device, AddressFamily::Ipv4).unwrap();
    setup.project.remove_device(&device).unwrap();
    assert_eq!(setup.get(&format!("/bgp/sessions/{id}")).await.status, 404);
    assert_eq!(setup.get(&setup.path("bgp/sessions")).await.json(), json!({"bgp_sessions": []}));
}

#[tokio::test]
async fn the_api_looks_at_the_routers_every_six_hours_or_on_request() {
    let setup = Setup::default().await;
    setup.project.set_bgp(BgpSeed::default());
    let (one, two, three) = (setup.device("one"), setup.device("two"), setup.device("three"));
    setup.project.set_device_state(&two, DeviceState::Inactive).unwrap();
    let ids = [one, two, three].map(|device| setup.project.open_session(&device, AddressFamily::Ipv4).unwrap());
    let routes = |count: u8| (0..count).map(|n| format!("147.75.48.{n}/32").parse().unwrap()).collect::<Vec<IpNet>>();
    setup.project.announce(&ids[0], &routes(10)).unwrap();
    setup.project.announce(&ids[2], &routes(11)).unwrap();
    let seen = async || {
        let list = setup.get(&setup.path("bgp/sessions")).await.json();
        let learned = |session: &Value| session["learned_routes"].as_array().unwrap().len();
        let sessions = list["bgp_sessions"].as_array().unwrap().clone();
        sessions.iter().map(|s| (s["status"].as_str().unwrap().to_owned(), learned(s))).collect::<Vec<_>>()
    };
    let fresh = [("unknown", 0), ("unknown", 0), ("unknown", 0)].map(|(s, n)| (s.to_owned(), n));
    let looked = [("up", 10), ("down", 0), ("down", 0)].map(|(s, n)| (s.to_owned(), n));
    setup.project.advance(Duration::from_secs(6 * 3600 - 1));
    assert_eq!(seen().await, fresh);
    setup.project.advance(Duration::from_secs(1));
    assert_eq!(seen().await, looked);

    setup.project.set_session_status(&ids[0], "up,down").unwrap();
    assert_eq!(setup.get(&format!("/bgp/sessions/{}", ids[0])).await.json()["status"], "up,down");
    let discovered = setup.post(&format!("/bgp/discover/{}", setup.p), json!({})).await;
    assert_eq!((discovered.status, discovered.json()), (200, json!({"updated_at": "2024-03-01T06:00:00Z"})));
    assert_eq!(seen().await, looked);
}

#[tokio::test]
async fn neighbours_by_metro_family_and_password() {
    let config = SimulatorConfig { single_hop_metros: vec!["sv".to_owned()], ..SimulatorConfig::default() };
    let setup = Setup::new(config).await;
    setup.project.set_bgp(BgpSeed::default());
    let far = setup.device("far");
    let near = setup.project.seed_device(DeviceSeed::new("near", "sv")).unwrap();
    let path = |device: &str| format!("/devices/{device}/bgp/neighbors");
    assert_eq!(setup.get(&path(&far)).await.json(), json!({"bgp_neighbors": []}));
    assert_eq!(setup.get(&path("none")).await.status, 404);
    for device in [&far, &near] {
        setup.project.open_session(device, AddressFamily::Ipv4).unwrap();
    }
    let far_v4 = json!({"address_family": 4, "customer_as": 65000, "customer_ip": "10.67.0.1", "peer_as": 65530,
        "peer_ips": ["169.254.255.1", "169.254.255.2"], "multihop": true, "md5_enabled": false, "md5_password": null,
        "routes_in": [{"route": "10.67.0.0/31", "exact": true}], "routes_out": []});
    assert_eq!(setup.get(&path(&far)).await.json(), json!({"bgp_neighbors": [far_v4]}));
    let single = &setup.get(&path(&near)).await.json()["bgp_neighbors"][0];
    assert_eq!([&single["multihop"], &single["peer_ips"]], [&json!(false), &json!(["10.86.0.0"])]);

    setup.project.open_session(&far, AddressFamily::Ipv6).unwrap();
    let both = setup.get(&path(&far)).await.json();
    assert_eq!(each(&both["bgp_neighbors"], "address_family"), [json!(4), json!(6)]);
    assert_eq!(both["bgp_neighbors"][1]["customer_ip"], "2604:1380:4603::1");

    for (md5, enabled) in [(None, false), (Some(""), false), (Some("Passw0rd12"), true)] {
        setup.project.set_bgp(BgpSeed { md5: md5.map(str::to_owned), ..BgpSeed::default() });
        let first = &setup.get(&path(&far)).await.json()["bgp_neighbors"][0];
        assert_eq!([&first["md5_enabled"], &first["md5_password"]], [&json!(enabled), &json!(md5)]);
    }
    setup.project.set_bgp(BgpSeed { deployment: BgpDeployment::Global, asn: 4_200_000_000, ..BgpSeed::default() });
    assert_eq!(setup.get(&path(&far)).await.json()["bgp_neighbors"][0]["customer_as"], 4_200_000_000_u32);
}

#[tokio::test]
async fn passwords_are_never_printed() {
    let setup = Setup::default().await;
    let seed = BgpSeed { md5: Some("Passw0rd12".to_owned()), ..BgpSeed::default() };
    assert!(!format!("{seed:?}").contains("Passw0rd12"));
    setup.project.set_bgp(seed);
    assert!(!format!("{:?}", setup.project).contains("Passw0rd12"));
}
