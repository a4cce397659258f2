//! The small Kubernetes API answers as a real one does, request by request.
//!
//! The answers in `kubernetes_answers/` were recorded from kube-apiserver 1.36.3; `make e2e` asks a real one again.

#[path = "support/kubernetes_answers.rs"]
mod kubernetes_answers;

use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi};
use kubernetes_answers::{FILES, Server, load};
use pretty_assertions::assert_eq;

#[tokio::test]
async fn the_simulated_api_answers_as_a_real_one_did() {
    for file in FILES {
        let api = KubernetesApi::start(ApiConfig::default()).await.expect("a free port is there");
        let mut server = Server::new(&api.url(), None);
        for step in load(file) {
            let answer = server.ask(&step).await;
            assert_eq!(Some(answer), step.answer, "{file}: {}", step.name);
        }
        api.shutdown().await;
    }
}
