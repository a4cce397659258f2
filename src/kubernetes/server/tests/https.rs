//! The server over real connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pretty_assertions::assert_eq;
use reqwest::{Client, ClientBuilder, Identity, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::authentication::{Authenticator, Trust, TrustedProxies};
use super::super::certificate_user::Authorities;
use super::super::identity::User;
use super::super::pki::{Authority, Issued};
use super::super::review::{AccessReviewer, Attempt, ReviewError, TokenReviewer, Verdict};
use super::super::*;
use crate::domain::Secret;
use crate::kubernetes::metrics::Metrics;

/// A cluster that knows tokens of the form `token-of-NAME`, and allows admin and members of `readers` anything.
struct Cluster {
    asked: Mutex<Vec<Attempt>>,
}

#[async_trait]
impl TokenReviewer for Cluster {
    async fn review(&self, token: &Secret) -> Result<Option<User>, ReviewError> {
        match token.expose().strip_prefix("token-of-") {
            Some("nobody-knows") => Err(ReviewError::TimedOut),
            Some(name) => Ok(Some(User { name: name.into(), groups: vec!["tokens".into()], ..User::anonymous() })),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl AccessReviewer for Cluster {
    async fn review(&self, attempt: &Attempt) -> Result<Verdict, ReviewError> {
        self.asked.lock().unwrap().push(attempt.clone());
        let user = &attempt.user;
        match user.name.as_str() {
            "unlucky" => Err(ReviewError::TimedOut),
            "admin" => Ok(Verdict::Allowed),
            _ if user.groups.iter().any(|group| group == "readers") => Ok(Verdict::Allowed),
            _ => Ok(Verdict::Denied { reason: String::new() }),
        }
    }
}

struct Edge;

impl PolicyStatus for Edge {
    fn report(&self) -> PolicyReport {
        PolicyReport {
            source: "file /policy.yaml".into(),
            active: Some(ActivePolicy {
                name: "edge".into(),
                hash: "0123456789abcdef".into(),
                counts: BTreeMap::from([("services".into(), 2)]),
            }),
            faults: vec!["/policy.yaml:3:5: unknown field".into()],
            held: None,
        }
    }
}

struct Setup {
    address: SocketAddr,
    users: Authority,
    proxies: Authority,
    cluster: Arc<Cluster>,
    checks: Arc<HealthChecks>,
    verbosity: Arc<AtomicI32>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

fn config() -> ServingConfig {
    ServingConfig {
        bind: "127.0.0.1".parse().unwrap(),
        port: 0,
        certificate: CertificateSource::SelfSigned,
        sni: Vec::new(),
        min_version: TlsVersion::Tls12,
        ciphers: CipherSuites::OFFERED,
        curves: Curves::OFFERED,
        http2: Http2::On { max_streams: None },
        sharing: Sharing::default(),
    }
}

impl Setup {
    async fn new() -> Self {
        Self::with(&config()).await
    }

    async fn with(config: &ServingConfig) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (users, proxies) = (Authority::new("users"), Authority::new("proxies"));
        let trust = Trust {
            users: Some(Authorities::from_pem(users.pem().as_bytes()).unwrap()),
            proxies: Some(TrustedProxies {
                authorities: Authorities::from_pem(proxies.pem().as_bytes()).unwrap(),
                allowed_names: vec!["front".into()],
                username_headers: vec!["X-Remote-User".into()],
                uid_headers: vec!["x-remote-uid".into()],
                group_headers: vec!["x-remote-group".into()],
                extra_prefixes: vec!["X-Remote-Extra-".into()],
            }),
        };
        let cluster = Arc::new(Cluster { asked: Mutex::default() });
        let metrics = Metrics::new();
        let checks = Arc::new(HealthChecks::new(metrics.health()));
        let verbosity = Arc::new(AtomicI32::new(0));
        let set = verbosity.clone();
        let site = Site {
            checks: checks.clone(),
            metrics,
            settings: json!({"cloudcontrollermanager.config.k8s.io": {"flags": {"v": "0"}}}),
            policy: Arc::new(Edge),
            set_verbosity: Arc::new(move |verbosity| set.store(verbosity, Ordering::Relaxed)),
            authenticator: Authenticator::new(
                Arc::new(ArcSwap::from_pointee(trust)),
                Some(cluster.clone()),
                Duration::from_secs(10),
            ),
            authorizer: Authorizer::new(
                AuthorizationConfig {
                    kubeconfig: None,
                    always_allow: ["/healthz", "/readyz", "/livez"].map(PathPattern::new).into(),
                    allowed_ttl: Duration::from_secs(10),
                    denied_ttl: Duration::from_secs(10),
                },
                Some(cluster.clone()),
            ),
        };
        let server = Server::bind(config).unwrap();
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(Arc::new(site), stop.clone()));
        Self { address, users, proxies, cluster, checks, verbosity, stop, serving }
    }

    async fn ask(&self, client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = client.request(method, format!("https://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_string());
        Reply {
            status: response.status(),
            content_type: content_type.unwrap_or_default(),
            body: response.text().await.unwrap(),
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask(&client().build().unwrap(), Method::GET, path, headers).await
    }

    async fn admin(&self, path: &str) -> Reply {
        self.get(path, &[("authorization", "Bearer token-of-admin")]).await
    }

    async fn with_certificate(&self, issued: &Issued, path: &str, headers: &[(&str, &str)]) -> Reply {
        let identity = Identity::from_pem(format!("{}{}", issued.certificate, issued.key).as_bytes()).unwrap();
        self.ask(&client().identity(identity).build().unwrap(), Method::GET, path, headers).await
    }
}

struct Reply {
    status: StatusCode,
    content_type: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}

fn client() -> ClientBuilder {
    Client::builder().danger_accept_invalid_certs(true).no_proxy()
}

fn forbidden(user: &str, path: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden",
        "message": format!("forbidden: User {user:?} cannot get path {path:?}"), "details": {}, "code": 403,
    })
}

#[tokio::test]
async fn app_20_21_22_health_needs_no_credentials() {
    let setup = Setup::new().await;
    setup.checks.add(Arc::new(Ping("leaderElection")));
    for path in ["/healthz", "/livez", "/readyz", "/healthz?exclude=leaderElection"] {
        let reply = setup.get(path, &[]).await;
        let found = (reply.status.as_u16(), reply.content_type.as_str(), reply.body.as_str());
        assert_eq!(found, (200, "text/plain; charset=utf-8", "ok"), "{path}");
    }
    let reply = setup.get("/healthz?verbose", &[]).await;
    assert_eq!(reply.body, "[+]leaderElection ok\nhealthz check passed\n");
    let reply = setup.get("/livez?verbose=1&exclude=leaderElection", &[]).await;
    assert_eq!(reply.body, "[+]leaderElection excluded: ok\nlivez check passed\n");
    assert_eq!(setup.cluster.asked.lock().unwrap().len(), 0);
    assert_eq!(setup.get("/healthz/leaderElection", &[]).await.status, 403);
    assert_eq!(setup.admin("/healthz/leaderElection").await.body, "ok");
    assert_eq!(setup.admin("/healthz/nothing").await.status, 404);
}

struct Sick;

impl HealthCheck for Sick {
    fn name(&self) -> &str {
        "sick"
    }

    fn check(&self) -> Result<(), String> {
        Err("a private reason".into())
    }
}

#[tokio::test]
async fn app_21_what_fails_is_told_without_the_reason() {
    let setup = Setup::new().await;
    setup.checks.add(Arc::new(Sick));
    let reply = setup.get("/healthz", &[]).await;
    assert_eq!(
        (reply.status.as_u16(), reply.body.as_str()),
        (500, "[-]sick failed: reason withheld\nhealthz check failed\n")
    );
    let reply = setup.admin("/healthz/sick").await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (500, "internal server error: a private reason\n"));
}

#[tokio::test]
async fn app_23_24_who_may_see_what() {
    let setup = Setup::new().await;
    let rows: [(&str, Option<&str>, u16); 14] = [
        ("/healthz", None, 200),
        ("/healthz", Some("Bearer wrong"), 401),
        ("/healthz", Some("Bearer token-of-nobody-knows"), 401),
        ("/healthz", Some("bearer  token-of-anybody"), 200),
        ("/healthz", Some("Basic YTpi"), 200),
        ("/metrics", None, 403),
        ("/metrics", Some("Bearer wrong"), 401),
        ("/metrics", Some("Bearer token-of-anybody"), 403),
        ("/metrics", Some("Bearer token-of-admin"), 200),
        ("/metrics", Some("Bearer token-of-unlucky"), 500),
        ("/nothing", None, 403),
        ("/nothing", Some("Bearer token-of-admin"), 404),
        ("/debug/pprof/", Some("Bearer token-of-admin"), 404),
        ("/", Some("Bearer token-of-admin"), 404),
    ];
    for (path, authorization, expected) in rows {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        assert_eq!(setup.get(path, &headers).await.status, expected, "{path} {authorization:?}");
    }
}

#[tokio::test]
async fn app_23_refusals_are_status_objects() {
    let setup = Setup::new().await;
    assert_eq!(setup.get("/metrics", &[]).await.json(), forbidden("system:anonymous", "/metrics"));
    let unauthorized = setup.get("/healthz", &[("authorization", "Bearer wrong")]).await.json();
    assert_eq!(
        unauthorized,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
        })
    );
    let broken = setup.get("/x?y=<b>", &[("authorization", "Bearer token-of-unlucky")]).await;
    assert_eq!(
        (broken.status.as_u16(), broken.body.as_str()),
        (500, "Internal Server Error: \"/x\": no answer within 10s\n")
    );
}

#[tokio::test]
async fn app_24_the_cluster_is_asked_for_path_and_verb() {
    let setup = Setup::new().await;
    let client = client().build().unwrap();
    let headers = [("authorization", "Bearer token-of-bob")];
    setup.ask(&client, Method::PUT, "/debug/flags/v?x=1", &headers).await;
    let user =
        User { name: "bob".into(), groups: vec!["tokens".into(), "system:authenticated".into()], ..User::anonymous() };
    let expected = Attempt { user, verb: "put".into(), path: "/debug/flags/v".into() };
    assert_eq!(*setup.cluster.asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn app_26_certificates_name_users() {
    let setup = Setup::new().await;
    let strangers = Authority::new("users");
    let rows = [
        (setup.users.client("alice", &["readers"]), 200),
        (setup.users.client("admin", &[]), 200),
        (setup.users.client("root", &["system:masters"]), 200),
        (setup.users.client("alice", &["others"]), 403),
        (strangers.client("admin", &[]), 401),
        (setup.users.server(&["admin"]), 401),
    ];
    for (row, (issued, expected)) in rows.iter().enumerate() {
        assert_eq!(setup.with_certificate(issued, "/metrics", &[]).await.status, *expected, "row {row}");
    }
    let token = [("authorization", "Bearer token-of-admin")];
    let both = setup.with_certificate(&strangers.client("x", &[]), "/metrics", &token).await;
    assert_eq!(both.status, 200, "a good token outweighs a strange certificate");
}

#[tokio::test]
async fn app_26_trusted_proxies_name_users_in_headers() {
    let setup = Setup::new().await;
    let front = setup.proxies.client("front", &[]);
    let headers = [
        ("x-remote-user", "carol"),
        ("x-remote-uid", "u1"),
        ("x-remote-group", "readers"),
        ("x-remote-group", "others"),
        ("x-remote-extra-acme.com%2fproject", "p"),
    ];
    assert_eq!(setup.with_certificate(&front, "/metrics", &headers).await.status, 200);
    let user = User {
        name: "carol".into(),
        uid: "u1".into(),
        groups: vec!["readers".into(), "others".into(), "system:authenticated".into()],
        extra: BTreeMap::from([("acme.com/project".into(), vec!["p".into()])]),
    };
    assert_eq!(setup.cluster.asked.lock().unwrap()[0].user, user);
    let other = setup.proxies.client("other", &[]);
    assert_eq!(setup.with_certificate(&other, "/metrics", &headers).await.status, 401);
    let alice = setup.users.client("alice", &[]);
    assert_eq!(setup.with_certificate(&alice, "/metrics", &headers).await.json(), forbidden("alice", "/metrics"));
    assert_eq!(setup.get("/metrics", &headers).await.json(), forbidden("system:anonymous", "/metrics"));
}

#[tokio::test]
async fn app_28_29_obs_10_pages() {
    let setup = Setup::new().await;
    setup.get("/healthz", &[]).await;
    let metrics = setup.admin("/metrics").await;
    assert_eq!(metrics.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.body.contains("\nprocess_start_time_seconds "), "{}", metrics.body);
    let slis = setup.admin("/metrics/slis").await;
    assert!(slis.body.contains("kubernetes_healthcheck{name=\"ping\",type=\"healthz\"} 1\n"), "{}", slis.body);
    let settings = setup.admin("/configz").await.json();
    assert_eq!(settings, json!({"cloudcontrollermanager.config.k8s.io": {"flags": {"v": "0"}}}));
    let policy = setup.admin("/policyz").await.json();
    assert_eq!(
        policy,
        json!({
            "source": "file /policy.yaml",
            "active": {"name": "edge", "hash": "0123456789abcdef", "counts": {"services": 2}},
            "faults": ["/policy.yaml:3:5: unknown field"],
        })
    );
    let client = client().build().unwrap();
    let admin = [("authorization", "Bearer token-of-admin")];
    for path in ["/healthz", "/metrics"] {
        assert_eq!(setup.ask(&client, Method::HEAD, path, &admin).await.status, 200, "{path}");
        assert_eq!(setup.ask(&client, Method::POST, path, &admin).await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn app_28_verbosity_is_set_by_request() {
    let setup = Setup::new().await;
    let url = format!("https://{}/debug/flags/v", setup.address);
    let put = async |body: &str, token: &str| {
        let request = client().build().unwrap().put(&url).bearer_auth(token).body(body.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(put("4\n", "token-of-admin").await, (200, "successfully set verbosity to 4\n".into()));
    assert_eq!(setup.verbosity.load(Ordering::Relaxed), 4);
    assert_eq!(put("many", "token-of-admin").await, (400, "expected a whole number, as in --v\n".into()));
    assert_eq!(put(&"1".repeat(1000), "token-of-admin").await.0, 400);
    assert_eq!(put("9", "token-of-bob").await.0, 403);
    assert_eq!(setup.admin("/debug/flags/v").await.status, 405);
    assert_eq!(setup.verbosity.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn app_17_plain_http_gets_400() {
    let setup = Setup::new().await;
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert_eq!(reply, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
}

#[tokio::test]
async fn app_19_versions_of_http_and_tls() {
    let both = Setup::new().await;
    let strict = Setup::with(&ServingConfig { min_version: TlsVersion::Tls13, http2: Http2::Off, ..config() }).await;
    let version = async |setup: &Setup, builder: ClientBuilder| {
        let request = builder.build().unwrap().get(format!("https://{}/healthz", setup.address));
        request.send().await.map(|response| format!("{:?}", response.version())).ok()
    };
    let tls12 = || client().tls_version_max(reqwest::tls::Version::TLS_1_2);
    assert_eq!(version(&both, client()).await.as_deref(), Some("HTTP/2.0"));
    assert_eq!(version(&both, client().http1_only()).await.as_deref(), Some("HTTP/1.1"));
    assert_eq!(version(&both, tls12()).await.as_deref(), Some("HTTP/2.0"));
    assert_eq!(version(&strict, client()).await.as_deref(), Some("HTTP/1.1"));
    assert!(version(&strict, tls12()).await.is_none());
}

#[tokio::test]
async fn the_server_ends_when_told() {
    let setup = Setup::new().await;
    let client = client().build().unwrap();
    setup.ask(&client, Method::GET, "/healthz", &[]).await;
    // A client that never speaks keeps nobody waiting.
    let _silent = TcpStream::connect(setup.address).await.unwrap();
    setup.stop.cancel();
    timeout(Duration::from_secs(5), setup.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(setup.address).await.is_err());
}
