use pretty_assertions::assert_eq;
use serde_json::json;

use super::{Setup, each};
use crate::sandbox::metal::SimulatorConfig;

#[tokio::test]
async fn only_the_metros_on_offer_are_shown() {
    let config = SimulatorConfig { metros: vec!["sv".to_owned(), "DA".to_owned()], ..SimulatorConfig::default() };
    let setup = Setup::new(config).await;
    let metros = setup.get("/locations/metros?per_page=1").await.json();
    assert_eq!(each(&metros["metros"], "code"), [json!("sv"), json!("da")]);
    assert!(metros.get("meta").is_none());
    let id = metros["metros"][1]["id"].as_str().unwrap();
    assert_eq!(setup.get(&format!("/locations/metros/{id}")).await.json(), metros["metros"][1]);
    assert_eq!(setup.get("/locations/metros/ny").await.status, 404);
}

#[tokio::test]
async fn facilities_hide_their_address_until_asked() {
    let setup = Setup::default().await;
    for path in ["/facilities".to_owned(), setup.path("facilities")] {
        let plain = setup.get(&path).await.json();
        assert_eq!(plain["facilities"][1]["code"], "da11", "{path}");
        assert_eq!(plain["facilities"][1]["metro"]["code"], "da", "{path}");
        assert!(plain["facilities"][1]["address"].get("href").is_some(), "{path}");
        let open = setup.get(&format!("{path}?include=address")).await.json();
        assert_eq!(open["facilities"][1]["address"]["city"], "Dallas", "{path}");
    }
}

#[tokio::test]
async fn plans_are_narrowed_by_slug_type_and_category() {
    let setup = Setup::default().await;
    for path in ["/plans".to_owned(), setup.path("plans")] {
        for (query, count) in [
            ("", 8),
            ("?slug=c3.small.x86", 1),
            ("?slug=none", 0),
            ("?type=standard", 8),
            ("?type=workload_optimized", 0),
            ("?categories[]=compute", 8),
            ("?categories[]=storage", 0),
        ] {
            let plans = setup.get(&format!("{path}{query}")).await.json();
            assert_eq!(plans["plans"].as_array().unwrap().len(), count, "{path}{query}");
        }
        let plan = &setup.get(&format!("{path}?slug=c3.small.x86")).await.json()["plans"][0];
        assert_eq!(plan["available_in_metros"].as_array().unwrap().len(), 7);
        assert_eq!(plan["pricing"], json!({"hour": 0.75}));
    }
}
