//! What the end-to-end suites rely on holds for the control plane that they start.
//!
//! `make e2e` runs this with etcd, kube-apiserver and kubectl at hand; a plain `cargo test` leaves it out.

#[path = "support/control_plane.rs"]
mod control_plane;

use std::path::Path;

use control_plane::{ControlPlane, User};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use pretty_assertions::assert_eq;

#[tokio::test]
async fn kubectl_is_served_by_a_released_version() {
    let cluster = ControlPlane::start().await;

    let listed = cluster.kubectl(["get", "namespaces", "--output=name"]).output().expect("kubectl runs");
    assert_eq!(String::from_utf8_lossy(&listed.stderr), "");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("namespace/kube-system\n"));

    let version = cluster.client().await.apiserver_version().await.expect("the version is readable");
    let release: Vec<&str> = version.git_version.trim_start_matches('v').split('.').collect();
    assert_eq!(release[..2], [version.major.as_str(), version.minor.as_str()], "{version:?}");
}

#[tokio::test]
async fn a_service_account_has_only_what_rbac_gives_it() {
    let account = User::service_account("kube-system", "cloud-provider-equinix-metal");
    let cluster = ControlPlane::start_with(std::slice::from_ref(&account)).await;
    let namespaces = |client| Api::<Namespace>::all(client);

    let as_admin = namespaces(cluster.client().await).list(&ListParams::default()).await;
    assert!(as_admin.is_ok(), "{as_admin:?}");

    let denied = namespaces(cluster.client_of(&account).await).list(&ListParams::default()).await;
    match denied {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("expected 403, got {other:?}"),
    }

    let users: Vec<String> = audited(&cluster.audit_log(), "namespaces", "list");
    assert_eq!(users, [User::admin().name, account.name]);
}

#[tokio::test]
async fn a_restart_keeps_the_data_and_a_drop_ends_everything() {
    let mut cluster = ControlPlane::start().await;
    let before = cluster.client().await;
    let kept = ConfigMap {
        metadata: ObjectMeta { name: Some("kept".into()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    Api::<ConfigMap>::default_namespaced(before).create(&PostParams::default(), &kept).await.expect("created");

    cluster.restart_apiserver().await;
    let after = cluster.client().await;
    let found = Api::<ConfigMap>::default_namespaced(after.clone()).get_opt("kept").await.expect("readable");
    assert!(found.is_some());

    let data = cluster.kubeconfig().parent().expect("it lies in the data folder").to_path_buf();
    drop(cluster);
    assert!(after.apiserver_version().await.is_err(), "the apiserver outlived its handle");
    assert!(!data.exists(), "the data outlived its handle");
}

#[tokio::test]
async fn dep_08_09_the_manifests_are_accepted_and_give_the_controller_what_it_needs_and_no_more() {
    let account = User::service_account("kube-system", "cloud-provider-equinix-metal");
    let cluster = ControlPlane::start_with(std::slice::from_ref(&account)).await;
    let run = |arguments: &[&str]| {
        let output = cluster.kubectl(arguments).output().expect("kubectl runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["create", "namespace", "metallb-system"]);
    for manifest in ["deployment", "secret", "policy", "metallb"] {
        let path = format!("{}/deploy/template/{manifest}.yaml", env!("CARGO_MANIFEST_DIR"));
        run(&["apply", "--validate=strict", "--filename", &path]);
    }

    let client = cluster.client_of(&account).await;
    let mut wrong = Vec::new();
    for row @ (allowed, namespace, group, resource, verbs) in RIGHTS {
        for verb in verbs.split(' ') {
            if is_allowed(&client, namespace, group, resource, verb).await != *allowed {
                wrong.push((row, verb));
            }
        }
    }
    assert_eq!(wrong, []);
}

/// Whether, where (empty for everywhere), API group, resource and verbs.
type Right = (bool, &'static str, &'static str, &'static str, &'static str);

const RIGHTS: &[Right] = &[
    (true, "", "", "namespaces", "get list watch"),
    (true, "", "", "nodes", "get list watch update patch delete"),
    (true, "", "", "nodes/status", "patch"),
    (true, "", "", "services", "get list watch update patch"),
    (true, "", "", "services/status", "patch"),
    (true, "", "", "events", "create patch"),
    (true, "", "events.k8s.io", "events", "create patch"),
    (true, "", "authentication.k8s.io", "tokenreviews", "create"),
    (true, "", "authorization.k8s.io", "subjectaccessreviews", "create"),
    (true, "", "discovery.k8s.io", "endpointslices", "get list watch"),
    (true, "kube-system", "discovery.k8s.io", "endpointslices", "get list watch create update patch"),
    (true, "kube-system", "coordination.k8s.io", "leases", "create get list watch update patch"),
    (true, "kube-system", "", "configmaps", "create get list watch update patch"),
    (true, "kube-system", "", "endpoints", "create get list watch update patch"),
    (true, "kube-system", "", "services", "create"),
    (true, "metallb-system", "", "configmaps", "get update patch"),
    (true, "metallb-system", "metallb.io", "ipaddresspools", "get list create update patch delete"),
    (true, "metallb-system", "metallb.io", "bgppeers", "get list create update patch delete"),
    (true, "metallb-system", "metallb.io", "bgpadvertisements", "get list create update patch delete"),
    (false, "kube-system", "", "secrets", "get list watch"),
    (false, "", "", "secrets", "get list watch"),
    (false, "", "", "services", "create delete"),
    (false, "", "", "nodes", "create"),
    (false, "", "", "configmaps", "get list create update patch"),
    (false, "", "", "pods", "get list create delete"),
    (false, "", "discovery.k8s.io", "endpointslices", "create update patch delete"),
    (false, "default", "coordination.k8s.io", "leases", "create get update"),
    (false, "", "rbac.authorization.k8s.io", "clusterroles", "bind escalate create update"),
    (false, "", "", "serviceaccounts", "impersonate"),
];

async fn is_allowed(client: &Client, namespace: &str, group: &str, resource: &str, verb: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                subresource: Some(subresource.into()),
                verb: Some(verb.into()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await.expect("anybody may ask");
    answer.status.is_some_and(|status| status.allowed)
}

/// Who sent the requests of one kind, in the order in which the apiserver finished them.
fn audited(log: &Path, resource: &str, verb: &str) -> Vec<String> {
    let log = std::fs::read_to_string(log).expect("the audit log is written");
    log.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("one event a line"))
        .filter(|event| event["objectRef"]["resource"] == resource && event["verb"] == verb)
        .map(|event| event["user"]["username"].as_str().expect("a user").to_string())
        .collect()
}
