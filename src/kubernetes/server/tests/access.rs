//! Access as the cluster grants it, against an API server's wire.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::identity::User;
use super::super::pki::Authority;
use super::super::review::{Attempt, Verdict};
use super::super::*;
use crate::kubernetes::client::NoRequestObserver;

const LOOKUP: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

struct Cluster {
    server: MockServer,
    directory: tempfile::TempDir,
}

impl Cluster {
    async fn new() -> Self {
        let (server, directory) = (MockServer::start().await, tempfile::tempdir().unwrap());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": server.uri()}}],
            "users": [{"name": "u", "user": {}}],
        });
        std::fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        Self { server, directory }
    }

    async fn answers(&self, verb: &str, at: &str, status: u16, body: Value) {
        let answer = ResponseTemplate::new(status).set_body_json(body);
        Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(&self.server).await;
    }

    async fn access(&self, lookup: ClusterLookup) -> Result<Access, AccessError> {
        let kubeconfig = Some(self.directory.path().join("kubeconfig"));
        let authentication = AuthenticationConfig { kubeconfig: kubeconfig.clone(), lookup, ..authentication() };
        let authorization = AuthorizationConfig { kubeconfig, ..authorization() };
        let observer: Arc<dyn crate::kubernetes::client::RequestObserver> = Arc::new(NoRequestObserver);
        access(&authentication, &authorization, &observer).await
    }
}

fn authentication() -> AuthenticationConfig {
    AuthenticationConfig {
        kubeconfig: None,
        lookup: ClusterLookup::Skipped,
        token_ttl: Duration::from_secs(10),
        client_ca: None,
        request_header: RequestHeaderConfig {
            client_ca: None,
            allowed_names: Vec::new(),
            username_headers: vec!["x-remote-user".into()],
            uid_headers: Vec::new(),
            group_headers: vec!["x-remote-group".into()],
            extra_prefixes: vec!["x-remote-extra-".into()],
        },
    }
}

fn authorization() -> AuthorizationConfig {
    AuthorizationConfig {
        kubeconfig: None,
        always_allow: vec![PathPattern::new("/healthz")],
        allowed_ttl: Duration::from_secs(10),
        denied_ttl: Duration::from_secs(10),
    }
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(header::AUTHORIZATION, value)])
}

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(ToString::to_string).collect(), ..User::anonymous() }
}

fn forbidden() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403})
}

#[tokio::test]
async fn app_25_tokens_are_reviewed_once_in_a_while() {
    let cluster = Cluster::new().await;
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let known = json!({
        "spec": {"token": "t"},
        "status": {"authenticated": true, "user": {
            "username": "system:serviceaccount:monitoring:prometheus", "uid": "u",
            "groups": ["system:serviceaccounts"], "extra": {"k": ["v"]},
        }},
    });
    for (token, answer, expected) in [
        ("good", known, 1),
        ("bad", json!({"spec": {"token": "t"}, "status": {"authenticated": false, "error": "expired"}}), 1),
    ] {
        Mock::given(method("POST"))
            .and(path(reviews))
            .and(body_partial_json(json!({"kind": "TokenReview", "spec": {"token": token}})))
            .respond_with(ResponseTemplate::new(201).set_body_json(answer))
            .expect(expected)
            .mount(&cluster.server)
            .await;
    }
    let access = cluster.access(ClusterLookup::Skipped).await.unwrap();
    let mut prometheus =
        user("system:serviceaccount:monitoring:prometheus", &["system:serviceaccounts", "system:authenticated"]);
    prometheus.uid = "u".into();
    prometheus.extra.insert("k".into(), vec!["v".into()]);
    for _ in 0..3 {
        assert_eq!(access.authenticator.identify(&bearer("good"), &[]).await, Ok(prometheus.clone()));
        assert!(access.authenticator.identify(&bearer("bad"), &[]).await.is_err());
    }
    assert_eq!(access.authenticator.identify(&HeaderMap::new(), &[]).await, Ok(User::anonymous()));
}

#[tokio::test]
async fn app_25_rbac_09_a_review_that_is_forbidden_refuses_the_token_each_time() {
    let cluster = Cluster::new().await;
    Mock::given(method("POST"))
        .and(path("/apis/authentication.k8s.io/v1/tokenreviews"))
        .respond_with(ResponseTemplate::new(403).set_body_json(forbidden()))
        .expect(2)
        .mount(&cluster.server)
        .await;
    let access = cluster.access(ClusterLookup::Skipped).await.unwrap();
    for _ in 0..2 {
        assert!(access.authenticator.identify(&bearer("good"), &[]).await.is_err());
    }
}

#[tokio::test]
async fn app_24_access_is_reviewed_by_path_and_verb() {
    let cluster = Cluster::new().await;
    let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let asked = json!({
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "bob", "groups": ["g"], "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
        },
    });
    Mock::given(method("POST"))
        .and(path(reviews))
        .and(body_partial_json(asked))
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({"spec": {}, "status": {"allowed": true}})))
        .expect(1)
        .mount(&cluster.server)
        .await;
    let refusal = json!({"spec": {}, "status": {"allowed": false, "reason": "because"}});
    cluster.answers("POST", reviews, 201, refusal).await;
    let access = cluster.access(ClusterLookup::Skipped).await.unwrap();
    let attempt = |path: &str| Attempt { user: user("bob", &["g"]), verb: "get".into(), path: path.into() };
    for _ in 0..2 {
        assert_eq!(access.authorizer.decide(&attempt("/metrics")).await.unwrap(), Verdict::Allowed);
    }
    let denied = Verdict::Denied { reason: "because".into() };
    assert_eq!(access.authorizer.decide(&attempt("/configz")).await.unwrap(), denied);
}

#[tokio::test]
async fn app_25_outside_a_cluster_everybody_is_anonymous() {
    let observer: Arc<dyn crate::kubernetes::client::RequestObserver> = Arc::new(NoRequestObserver);
    let required = AuthenticationConfig { lookup: ClusterLookup::Required, ..authentication() };
    let access = access(&required, &authorization(), &observer).await.unwrap();
    assert_eq!(access.authenticator.identify(&bearer("anything"), &[]).await, Ok(User::anonymous()));
    let attempt = Attempt { user: User::anonymous(), verb: "get".into(), path: "/metrics".into() };
    assert_eq!(access.authorizer.decide(&attempt).await.unwrap(), Verdict::Denied { reason: String::new() });
}

#[tokio::test]
async fn app_26_authorities_come_from_the_cluster() {
    let (users, proxies) = (Authority::new("users"), Authority::new("proxies"));
    let cluster = Cluster::new().await;
    let map = json!({
        "metadata": {"name": "extension-apiserver-authentication"},
        "data": {
            "client-ca-file": users.pem(),
            "requestheader-client-ca-file": proxies.pem(),
            "requestheader-allowed-names": "[\"front\"]",
            "requestheader-username-headers": "[\"X-User\"]",
            "requestheader-group-headers": "[\"X-Group\"]",
            "requestheader-extra-headers-prefix": "[]",
        },
    });
    cluster.answers("GET", LOOKUP, 200, map).await;
    let access = cluster.access(ClusterLookup::Required).await.unwrap();
    let alice = [users.client("alice", &["readers"]).der];
    let found = access.authenticator.identify(&HeaderMap::new(), &alice).await.unwrap();
    assert_eq!((found.name.as_str(), found.groups), ("alice", vec!["readers".into(), "system:authenticated".into()]));
    let headers = HeaderMap::from_iter([
        ("x-user".parse().unwrap(), HeaderValue::from_static("carol")),
        ("x-group".parse::<header::HeaderName>().unwrap(), HeaderValue::from_static("g")),
    ]);
    let front = [proxies.client("front", &[]).der];
    let found = access.authenticator.identify(&headers, &front).await;
    assert_eq!(found, Ok(user("carol", &["g", "system:authenticated"])));
}

#[tokio::test]
async fn app_27_a_lookup_that_fails_is_fatal_unless_tolerated_or_skipped() {
    let rows = [
        (403, forbidden(), ClusterLookup::Required, Some("cannot read the ConfigMap")),
        (403, forbidden(), ClusterLookup::Tolerated, None),
        (403, forbidden(), ClusterLookup::Skipped, None),
        (404, json!({"kind": "Status", "reason": "NotFound", "code": 404}), ClusterLookup::Required, None),
        (
            200,
            json!({"metadata": {}, "data": {"client-ca-file": "nonsense"}}),
            ClusterLookup::Required,
            Some("cannot be used: client-ca-file: it holds no certificate in PEM"),
        ),
        (200, json!({"metadata": {}, "data": {"client-ca-file": "nonsense"}}), ClusterLookup::Tolerated, None),
    ];
    for (status, body, lookup, expected) in rows {
        let cluster = Cluster::new().await;
        cluster.answers("GET", LOOKUP, status, body).await;
        let refused = cluster.access(lookup).await.err().map(|error| error.to_string());
        match (&refused, expected) {
            (None, None) => {}
            (Some(message), Some(expected)) if message.contains(expected) => {}
            _ => panic!("{status} {lookup:?}: {refused:?}"),
        }
    }
}

#[tokio::test]
async fn app_25_26_bad_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let observer: Arc<dyn crate::kubernetes::client::RequestObserver> = Arc::new(NoRequestObserver);
    let refused = async |config: AuthenticationConfig| match access(&config, &authorization(), &observer).await {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    };
    let with_ca = |path: &Path| AuthenticationConfig { client_ca: Some(path.into()), ..authentication() };
    assert_eq!(refused(with_ca(&empty)).await, format!("--client-ca-file: {} cannot be used", empty.display()));
    assert_eq!(refused(with_ca(Path::new("/nowhere"))).await, "--client-ca-file: cannot read /nowhere");
    let missing = AuthenticationConfig { kubeconfig: Some("/nowhere".into()), ..authentication() };
    assert_eq!(refused(missing).await, "cannot ask the cluster whose a token is (--authentication-kubeconfig)");
}
