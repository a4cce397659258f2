//! A real kube-apiserver still answers as recorded, request by request.
//!
//! `make e2e` runs this with etcd and kube-apiserver at hand; a plain `cargo test` leaves it out. With `RECORD_ANSWERS=1`
//! the recorded answers are replaced by those of the server at hand.

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "support/kubernetes_answers.rs"]
mod kubernetes_answers;

use control_plane::ControlPlane;
use kubernetes_answers::{FILES, Server, load, path_of};
use pretty_assertions::assert_eq;

#[tokio::test]
async fn a_real_api_server_answers_as_recorded() {
    let record = std::env::var_os("RECORD_ANSWERS").is_some();
    for file in FILES {
        let cluster = ControlPlane::start().await;
        let mut server = Server::new(cluster.url(), Some(cluster.admin_token()));
        let mut lines = String::new();
        for mut step in load(file) {
            let answer = Some(server.ask(&step).await);
            if !record {
                assert_eq!(answer, step.answer, "{file}: {}", step.name);
            }
            step.answer = answer;
            lines.push_str(&serde_json::to_string(&step).expect("a step can be written"));
            lines.push('\n');
        }
        if record {
            std::fs::write(path_of(file), lines).expect("the answers can be written");
        }
    }
}
