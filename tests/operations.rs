//! Leader election and access to the HTTPS server, against an API server's wire: the small one of the sandbox, or with
//! `E2E_CLUSTER=real` a kube-apiserver with RBAC.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "support/operator.rs"]
mod operator;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloud_provider_equinix_metal::kubernetes::EventRecorder;
use cloud_provider_equinix_metal::kubernetes::client::{ClientFactory, NoRequestObserver, RequestObserver};
use cloud_provider_equinix_metal::kubernetes::events;
use cloud_provider_equinix_metal::kubernetes::lease::{
    ElectionConfig, ElectionTiming, KubeLeases, LeaderElector, Leadership, NoElectionObserver,
};
use cloud_provider_equinix_metal::kubernetes::server::review::{Attempt, Verdict};
use cloud_provider_equinix_metal::kubernetes::server::{
    Access, AccessError, AuthenticationConfig, AuthorizationConfig, ClusterLookup, PathPattern, RequestHeaderConfig,
    access,
};
use control_plane::User;
use http::{HeaderMap, HeaderValue, header};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, PostParams};
use operator::Cluster;
use pretty_assertions::assert_eq;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const LEASE: &str = "cloud-controller-manager";
const NAMESPACE: &str = "kube-system";

fn election() -> ElectionConfig {
    let (lease, deadline, retry) = (Duration::from_secs(3), Duration::from_secs(2), Duration::from_millis(400));
    ElectionConfig {
        name: LEASE.into(),
        namespace: NAMESPACE.into(),
        timing: ElectionTiming::new(lease, deadline, retry).unwrap(),
    }
}

/// The replicas of a controller.
struct Replicas {
    cluster: Cluster,
    factory: ClientFactory,
    recorder: EventRecorder,
    stop: CancellationToken,
}

impl Replicas {
    async fn new() -> Self {
        let cluster = Cluster::start().await;
        let factory =
            ClientFactory::new(&cluster.access_of(&cluster.account), Arc::new(NoRequestObserver)).await.unwrap();
        let (recorder, writer) = events(factory.client(LEASE), LEASE);
        let stop = CancellationToken::new();
        tokio::spawn(writer.run(stop.clone()));
        Self { cluster, factory, recorder, stop }
    }

    fn candidate(&self, identity: &str) -> LeaderElector {
        let config = election();
        let client = self.factory.separate_client("leader-election", config.timing.request_timeout()).unwrap();
        let api = Arc::new(KubeLeases::new(client, &config));
        let events = Arc::new(self.recorder.clone());
        LeaderElector::new(config, identity.into(), api, events, Arc::new(NoElectionObserver))
    }

    async fn leader(&self, identity: &str) -> Leadership {
        timeout(Duration::from_secs(20), self.candidate(identity).acquire()).await.unwrap()
    }

    async fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.cluster.admin().await, NAMESPACE)
    }

    async fn spec(&self) -> LeaseSpec {
        self.leases().await.get(LEASE).await.unwrap().spec.unwrap()
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn le_01_04_08_11_12_rbac_05_replicas_take_turns_on_the_wire() {
    let replicas = Replicas::new().await;
    let first = replicas.leader("first").await;
    let taken = replicas.spec().await;
    assert_eq!(taken.acquire_time, taken.renew_time);
    let expected = LeaseSpec {
        holder_identity: Some("first".into()),
        lease_duration_seconds: Some(3),
        lease_transitions: Some(0),
        acquire_time: taken.acquire_time.clone(),
        renew_time: taken.renew_time.clone(),
        ..LeaseSpec::default()
    };
    assert_eq!(taken, expected);
    sleep(Duration::from_secs(1)).await;
    let renewed = replicas.spec().await;
    assert_eq!(renewed, LeaseSpec { renew_time: renewed.renew_time.clone(), ..taken.clone() });
    assert!(renewed.renew_time > taken.renew_time);

    let standby = replicas.candidate("second");
    let standby = tokio::spawn(standby.acquire());
    sleep(Duration::from_secs(4)).await;
    assert!(!standby.is_finished(), "a lease that is renewed is not taken");
    first.release().await;
    let released = Instant::now();
    let _second = standby.await.unwrap();
    assert!(released.elapsed() < Duration::from_secs(2), "{:?}", released.elapsed());
    let taken_over = replicas.spec().await;
    assert_eq!((taken_over.holder_identity.as_deref(), taken_over.lease_transitions), (Some("second"), Some(1)));

    let messages = told(&replicas, 3).await;
    let expected = ["first became leader", "first stopped leading", "second became leader"];
    assert_eq!(messages, expected.map(str::to_owned).into());
    let verbs = replicas.cluster.verbs("leases");
    assert_eq!(verbs, ["create", "get", "update"].map(str::to_owned).into());
}

/// Messages of the events on the lease, once there are that many.
async fn told(replicas: &Replicas, count: usize) -> BTreeSet<String> {
    let events: Api<Event> = Api::namespaced(replicas.cluster.admin().await, NAMESPACE);
    for _ in 0..100 {
        let found = events.list(&ListParams::default()).await.unwrap().items;
        let found: Vec<_> =
            found.into_iter().filter(|event| event.reason.as_deref() == Some("LeaderElection")).collect();
        if found.len() >= count {
            for event in &found {
                let about = &event.involved_object;
                assert_eq!((about.kind.as_deref(), about.name.as_deref()), (Some("Lease"), Some(LEASE)));
                assert_eq!(event.source.as_ref().and_then(|source| source.component.as_deref()), Some(LEASE));
                assert_eq!(event.type_.as_deref(), Some("Normal"));
            }
            return found.into_iter().filter_map(|event| event.message).collect();
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("there are fewer than {count} events on the lease");
}

#[tokio::test]
async fn le_06_a_dead_leader_is_followed_when_its_lease_has_run_out() {
    let replicas = Replicas::new().await;
    let first = replicas.leader("first").await;
    let standby = tokio::spawn(replicas.candidate("second").acquire());
    sleep(Duration::from_millis(1500)).await;
    drop(first);
    let died = Instant::now();
    let _second = timeout(Duration::from_secs(20), standby).await.unwrap().unwrap();
    // What the standby saw last may be a renewal of up to a poll before the death.
    let waited = died.elapsed().as_secs_f64();
    assert!((1.5..6.0).contains(&waited), "{waited}");
    assert_eq!(replicas.spec().await.lease_transitions, Some(1));
}

#[tokio::test]
async fn le_09_a_thief_ends_leadership() {
    let replicas = Replicas::new().await;
    let mut leadership = replicas.leader("first").await;
    let leases = replicas.leases().await;
    // The leader writes meanwhile: a conflict is tried again.
    loop {
        let mut lease = leases.get(LEASE).await.unwrap();
        let spec = lease.spec.as_mut().unwrap();
        spec.holder_identity = Some("thief".into());
        spec.lease_duration_seconds = Some(60);
        match leases.replace(LEASE, &PostParams::default(), &lease).await {
            Ok(_) => break,
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
    }
    let stolen = Instant::now();
    timeout(Duration::from_secs(10), leadership.lost()).await.unwrap();
    let lasted = stolen.elapsed().as_secs_f64();
    assert!((1.5..4.0).contains(&lasted), "{lasted}");
    assert_eq!(replicas.spec().await.holder_identity.as_deref(), Some("thief"));
}

async fn access_of(cluster: &Cluster, user: &User, lookup: ClusterLookup) -> Result<Access, AccessError> {
    let kubeconfig = cluster.access_of(user).kubeconfig;
    let authentication = AuthenticationConfig {
        kubeconfig: kubeconfig.clone(),
        lookup,
        token_ttl: Duration::from_secs(10),
        client_ca: None,
        request_header: RequestHeaderConfig {
            client_ca: None,
            allowed_names: Vec::new(),
            username_headers: Vec::new(),
            uid_headers: Vec::new(),
            group_headers: Vec::new(),
            extra_prefixes: Vec::new(),
        },
    };
    let authorization = AuthorizationConfig {
        kubeconfig,
        always_allow: vec![PathPattern::new("/healthz")],
        allowed_ttl: Duration::from_secs(10),
        denied_ttl: Duration::from_secs(10),
    };
    let observer: Arc<dyn RequestObserver> = Arc::new(NoRequestObserver);
    access(&authentication, &authorization, &observer).await
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(header::AUTHORIZATION, value)])
}

#[tokio::test]
async fn app_23_24_25_rbac_06_the_cluster_decides_who_sees_what() {
    let cluster = Cluster::start().await;
    let access = access_of(&cluster, &cluster.account, ClusterLookup::Required).await.unwrap();
    assert!(access.authenticator.identify(&bearer("nobody's"), &[]).await.is_err());
    for (user, path, expected) in [
        (&cluster.reader, "/metrics", true),
        (&cluster.reader, "/configz", false),
        (&cluster.account, "/metrics", false),
        (&cluster.account, "/healthz", true),
    ] {
        let found = access.authenticator.identify(&bearer(&cluster.token_of(user)), &[]).await.unwrap();
        assert_eq!(found.name, user.name);
        assert!(user.groups.iter().all(|group| found.groups.contains(group)), "{:?}", found.groups);
        let attempt = Attempt { user: found, verb: "get".into(), path: path.into() };
        let verdict = access.authorizer.decide(&attempt).await.unwrap();
        assert_eq!(verdict == Verdict::Allowed, expected, "{} {path}: {verdict:?}", user.name);
    }
}

#[tokio::test]
async fn app_25_27_rbac_09_an_account_without_these_rights() {
    let cluster = Cluster::start().await;
    cluster.forbid_reviews();
    let refused = access_of(&cluster, &cluster.reader, ClusterLookup::Required).await.err().unwrap();
    assert!(refused.to_string().contains("extension-apiserver-authentication-reader"), "{refused}");
    for lookup in [ClusterLookup::Tolerated, ClusterLookup::Skipped] {
        let access = access_of(&cluster, &cluster.reader, lookup).await.unwrap();
        let token = cluster.token_of(&cluster.account);
        assert!(access.authenticator.identify(&bearer(&token), &[]).await.is_err());
    }
}
