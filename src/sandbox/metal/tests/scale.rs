use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::json;

use super::Setup;
use crate::sandbox::metal::{BgpSeed, SimulatorConfig};

async fn walk(setup: &Setup, list: &str, field: &str, query: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for page in 1.. {
        let got = setup.get(&setup.path(&format!("{list}?per_page=1000&page={page}{query}"))).await.json();
        let entries = got[field].as_array().unwrap();
        ids.extend(entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        if got["meta"]["last_page"].as_u64() <= Some(page) {
            assert_eq!(got["meta"]["total"], ids.len());
            return ids;
        }
    }
    unreachable!("pages end")
}

#[tokio::test]
async fn a_thousand_devices_and_two_thousand_reservations_are_served_whole() {
    let setup = Setup::new(SimulatorConfig { quota: 2_000, journal_capacity: 16, ..SimulatorConfig::default() }).await;
    setup.project.set_bgp(BgpSeed::default());
    let devices: BTreeSet<String> = (0..1_000).map(|number| setup.device(&format!("node-{number}"))).collect();
    for service in 0..2_000 {
        let body = json!({"type": "public_ipv4", "quantity": 1, "metro": "da", "tags": [format!("service={service}")],
            "fail_on_approval_required": true});
        assert_eq!(setup.post(&setup.path("ips"), body).await.status, 201);
    }
    for device in &devices {
        let body = json!({"address_family": "ipv4"});
        assert_eq!(setup.post(&format!("/devices/{device}/bgp/sessions"), body).await.status, 201);
    }
    assert_eq!(walk(&setup, "devices", "devices", "&include=ip_addresses.parent_block").await, devices);
    // One IPv6 block and sixteen private ones of 64 devices each came with the devices.
    assert_eq!(walk(&setup, "ips", "ip_addresses", "&include=assignments").await.len(), 2_000 + 17);
    let sessions = setup.get(&setup.path("bgp-config?include=sessions")).await.json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1_000));

    let journal = setup.project.journal();
    assert_eq!((journal.count("POST /projects/{p}/ips"), journal.writes(), journal.latest().len()), (2_000, 3_000, 16));
    let addresses: BTreeSet<_> = setup.project.reservations().iter().filter_map(|held| held.block).collect();
    assert_eq!(addresses.len(), 2_000);
    assert!(setup.project.audit().is_clean());
}
