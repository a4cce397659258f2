//! A cluster with an account for the controller and one that may read metrics.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cloud_provider_equinix_metal::kubernetes::client::{ClusterAccess, RequestRate};
use cloud_provider_equinix_metal::sandbox::kubernetes::{
    ApiConfig, Fault, FaultEffect, Grant, KubernetesApi, Token, Verb,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane::{ControlPlane, User};

/// A cluster of either kind.
pub(crate) struct Cluster {
    kind: Kind,
    /// The controller's account: it may take part in the election, record events, and ask about users.
    pub(crate) account: User,
    /// An account that may do nothing but read `/metrics`.
    pub(crate) reader: User,
}

enum Kind {
    Sandbox { api: KubernetesApi, directory: TempDir },
    Real(Box<ControlPlane>),
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let account = User::service_account("kube-system", "cloud-provider-equinix-metal");
        let reader = User::service_account("monitoring", "prometheus");
        let kind = match std::env::var("E2E_CLUSTER").as_deref() {
            Ok("real") => Kind::real(&account, &reader).await,
            Ok(_) | Err(_) => Kind::sandbox(&account, &reader).await,
        };
        Self { kind, account, reader }
    }

    /// Without RBAC, what the reader has no right to is refused from now on to everybody.
    pub(crate) fn forbid_reviews(&self) {
        if let Kind::Sandbox { api, .. } = &self.kind {
            for (verb, resource) in [(Verb::Get, "configmaps"), (Verb::Create, "tokenreviews")] {
                api.store().inject(Fault {
                    verb: Some(verb),
                    resource: Some(resource.into()),
                    name: None,
                    times: 100,
                    effect: FaultEffect::Refuse(403),
                });
            }
        }
    }

    /// How a user reaches the cluster.
    pub(crate) fn access_of(&self, user: &User) -> ClusterAccess {
        let kubeconfig = match &self.kind {
            Kind::Sandbox { directory, .. } => kubeconfig_in(directory, user),
            Kind::Real(cluster) => cluster.kubeconfig_of(user),
        };
        ClusterAccess { kubeconfig: Some(kubeconfig), master: None, rate: RequestRate::Unlimited }
    }

    /// A user's bearer token.
    pub(crate) fn token_of(&self, user: &User) -> String {
        let text = std::fs::read_to_string(self.access_of(user).kubeconfig.unwrap()).unwrap();
        let parsed: Value = serde_json::from_str(&text).unwrap();
        parsed["users"][0]["user"]["token"].as_str().unwrap().to_owned()
    }

    /// A client that may do anything.
    pub(crate) async fn admin(&self) -> Client {
        match &self.kind {
            Kind::Sandbox { directory, .. } => {
                let kubeconfig = Kubeconfig::read_from(kubeconfig_in(directory, &User::admin())).unwrap();
                let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
                Client::try_from(config).unwrap()
            }
            Kind::Real(cluster) => cluster.client().await,
        }
    }

    /// The verbs that the controller's account has used on a resource.
    pub(crate) fn verbs(&self, resource: &str) -> BTreeSet<String> {
        match &self.kind {
            Kind::Sandbox { api, .. } => {
                let journal = api.store().journal().into_iter();
                let own =
                    journal.filter(|entry| entry.resource == resource && entry.user_agent.contains("/leader-election"));
                own.map(|entry| entry.verb.as_str().to_owned()).collect()
            }
            Kind::Real(cluster) => {
                let log = std::fs::read_to_string(cluster.audit_log()).unwrap();
                let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let own = entries.filter(|entry| {
                    entry["user"]["username"] == self.account.name.as_str()
                        && entry["objectRef"]["resource"] == resource
                });
                own.filter_map(|entry| Some(entry["verb"].as_str()?.to_owned())).collect()
            }
        }
    }
}

impl Kind {
    async fn sandbox(account: &User, reader: &User) -> Self {
        let users = [User::admin(), account.clone(), reader.clone()];
        let secret = |user: &User| format!("token-of-{}", user.name.rsplit(':').next().unwrap());
        let tokens = users.iter().map(|user| Token {
            secret: secret(user),
            user: user.name.clone(),
            groups: user.groups.clone(),
        });
        let grant =
            |user: &User, target: &str| Grant { subject: user.name.clone(), verb: "get".into(), target: target.into() };
        let config =
            ApiConfig { tokens: tokens.collect(), grants: vec![grant(reader, "/metrics")], ..ApiConfig::default() };
        let api = KubernetesApi::start(config).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        for user in &users {
            let content = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
                "clusters": [{ "name": "k", "cluster": { "server": api.url() } }],
                "users": [{ "name": "u", "user": { "token": secret(user) } }],
            });
            std::fs::write(kubeconfig_in(&directory, user), content.to_string()).unwrap();
        }
        Self::Sandbox { api, directory }
    }

    async fn real(account: &User, reader: &User) -> Self {
        let cluster = ControlPlane::start_with(&[account.clone(), reader.clone()]).await;
        let client = cluster.client().await;
        for (path, object) in rights(account, reader) {
            let request = http::Request::post(path).header("content-type", "application/json");
            let made: Value = client.request(request.body(object.to_string().into_bytes()).unwrap()).await.unwrap();
            assert_eq!(made["metadata"]["name"], object["metadata"]["name"]);
        }
        Self::Real(Box::new(cluster))
    }
}

fn kubeconfig_in(directory: &TempDir, user: &User) -> PathBuf {
    directory.path().join(user.name.replace(':', "_"))
}

/// What RBAC-04, -05 and -06 list, and nothing else.
fn rights(account: &User, reader: &User) -> Vec<(&'static str, Value)> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles";
    const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings";
    const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let binding = |name: &str, kind: &str, role: &str, user: &User| {
        json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role },
            "subjects": [{ "apiGroup": RBAC, "kind": "User", "name": user.name }],
        })
    };
    let role = json!({
        "metadata": { "name": "ccm" },
        "rules": [
            { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"] },
            {
                "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update"],
                "resourceNames": ["cloud-controller-manager"],
            },
            { "apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"] },
        ],
    });
    let metrics = json!({
        "metadata": { "name": "metrics" },
        "rules": [{ "nonResourceURLs": ["/metrics"], "verbs": ["get"] }],
    });
    vec![
        (ROLES, role),
        (BINDINGS, binding("ccm", "Role", "ccm", account)),
        (BINDINGS, binding("ccm-authorities", "Role", "extension-apiserver-authentication-reader", account)),
        (CLUSTER_BINDINGS, binding("ccm-delegates", "ClusterRole", "system:auth-delegator", account)),
        (CLUSTER_ROLES, metrics),
        (CLUSTER_BINDINGS, binding("metrics", "ClusterRole", "metrics", reader)),
    ]
}
