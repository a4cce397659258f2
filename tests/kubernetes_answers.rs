//! The small Kubernetes API answers as a real one does, request by request.
//!
//! The answers in `kubernetes_answers/` were recorded from kube-apiserver 1.36.3; `make e2e` asks a real one again.

#[path = "support/kubernetes_answers.rs"]
mod kubernetes_answers;

use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi};
use kubernetes_answers::{FILES, Server, load};
use pretty_assertions::assert_eq;

/// Asks the steps of a file, in their order, of a fresh simulated server.
async fn compare(file: &str) {
    let api = KubernetesApi::start(ApiConfig::default()).await.expect("a free port is there");
    let mut server = Server::new(&api.url(), None);
    for step in load(file) {
        let answer = server.ask(&step).await;
        assert_eq!(Some(answer), step.answer, "{file}: {}", step.name);
    }
    api.shutdown().await;
}

#[tokio::test]
async fn services_are_answered_as_a_real_server_did() {
    compare("services").await;
}

#[tokio::test]
async fn other_resources_are_answered_as_a_real_server_did() {
    compare("resources").await;
}

#[tokio::test]
async fn custom_resources_are_answered_as_a_real_server_did() {
    compare("custom_resources").await;
}

#[test]
fn every_recorded_file_is_compared() {
    assert_eq!(FILES, ["services", "resources", "custom_resources"]);
}
