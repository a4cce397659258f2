use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Setup;
use crate::sandbox::metal::{AddressFamily, BgpSeed, SimulatorConfig};

const LAG: Duration = Duration::from_secs(5);

async fn lagging() -> Setup {
    let setup =
        Setup::new(SimulatorConfig { visibility_lag: LAG, session_visibility_lag: LAG, ..SimulatorConfig::default() })
            .await;
    setup.project.set_bgp(BgpSeed::default());
    setup
}

fn count(list: &Value) -> usize {
    list.as_array().unwrap().len()
}

#[tokio::test]
async fn devices_join_and_leave_lists_late() {
    let setup = lagging().await;
    let id = setup.device("one");
    let listed = async || setup.get(&setup.path("devices")).await.json()["meta"]["total"].clone();
    assert_eq!((setup.get(&format!("/devices/{id}")).await.status, listed().await), (200, json!(0)));
    setup.project.advance(LAG);
    assert_eq!(listed().await, 1);

    setup.project.remove_device(&id).unwrap();
    assert_eq!((setup.get(&format!("/devices/{id}")).await.status, listed().await), (404, json!(1)));
    let ghost = &setup.get(&setup.path("devices")).await.json()["devices"][0];
    assert_eq!((ghost["state"].clone(), count(&ghost["ip_addresses"])), (json!("active"), 3));
    setup.project.advance(LAG);
    assert_eq!(listed().await, 0);
}

#[tokio::test]
async fn reservations_join_and_leave_lists_late() {
    let setup = lagging().await;
    let body = json!({"type": "public_ipv4", "quantity": 1, "metro": "da"});
    let id = setup.post(&setup.path("ips"), body).await.id();
    let listed = async || setup.get(&setup.path("ips")).await.json()["meta"]["total"].clone();
    assert_eq!((setup.get(&format!("/ips/{id}")).await.status, listed().await), (200, json!(0)));
    setup.project.advance(LAG);
    assert_eq!(listed().await, 1);
    setup.delete(&format!("/ips/{id}")).await;
    assert_eq!((setup.get(&format!("/ips/{id}")).await.status, listed().await), (404, json!(1)));
    setup.project.advance(LAG);
    assert_eq!(listed().await, 0);
}

#[tokio::test]
async fn assignments_lag_in_lists_and_not_in_their_reservation() {
    let setup = lagging().await;
    let device = setup.device("one");
    let body = json!({"type": "public_ipv4", "quantity": 1, "metro": "da"});
    let reservation = setup.post(&setup.path("ips"), body).await;
    setup.project.advance(LAG);
    let assign = json!({"address": reservation.json()["address"]});
    let assignment = setup.post(&format!("/devices/{device}/ips"), assign).await.id();
    let seen = async || {
        let list = setup.get(&setup.path("ips?types=public_ipv4&include=assignments")).await.json();
        let object = setup.get(&format!("/ips/{}", reservation.id())).await.json();
        let of_device = setup.get(&format!("/devices/{device}/ips")).await.json();
        let listed = count(&list["ip_addresses"][0]["assignments"]);
        (listed, count(&object["assignments"]), count(&of_device["ip_addresses"]))
    };
    assert_eq!(seen().await, (0, 1, 3));
    setup.project.advance(LAG);
    assert_eq!(seen().await, (1, 1, 4));
    setup.delete(&format!("/ips/{assignment}")).await;
    assert_eq!(seen().await, (1, 0, 4));
    setup.project.advance(LAG);
    assert_eq!(seen().await, (0, 0, 3));
}

#[tokio::test]
async fn sessions_lag_in_every_list() {
    let setup = lagging().await;
    let device = setup.device("one");
    let id = setup.project.open_session(&device, AddressFamily::Ipv4).unwrap();
    let seen = async || {
        let of = async |path: String, field: &str| count(&setup.get(&path).await.json()[field]);
        [
            of(setup.path("bgp/sessions"), "bgp_sessions").await,
            of(format!("/devices/{device}/bgp/sessions"), "bgp_sessions").await,
            of(setup.path("bgp-config?include=sessions"), "sessions").await,
            of(format!("/devices/{device}/bgp/neighbors"), "bgp_neighbors").await,
        ]
    };
    assert_eq!(setup.get(&format!("/bgp/sessions/{id}")).await.status, 200);
    assert_eq!(seen().await, [0; 4]);
    let again = setup.post(&format!("/devices/{device}/bgp/sessions"), json!({"address_family": "ipv4"})).await;
    assert_eq!(again.status, 422, "a duplicate is known at once");
    setup.project.advance(LAG);
    assert_eq!(seen().await, [1; 4]);
    setup.delete(&format!("/bgp/sessions/{id}")).await;
    assert_eq!(setup.get(&format!("/bgp/sessions/{id}")).await.status, 404);
    assert_eq!(seen().await, [1; 4]);
    setup.project.advance(LAG);
    assert_eq!(seen().await, [0; 4]);
}

#[tokio::test]
async fn the_lag_can_change_while_the_server_runs() {
    let setup = Setup::default().await;
    setup.project.reconfigure(|config| config.visibility_lag = LAG);
    setup.device("one");
    assert_eq!(setup.get(&setup.path("devices")).await.json()["meta"]["total"], 0);
}
