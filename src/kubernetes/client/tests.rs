use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::client::Body;
use pretty_assertions::assert_eq;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};
use wiremock::matchers::{header as has_header, method, path as has_path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::rate::TokenBucket;
use super::request::{Paced, Retries};
use super::{
    ClientError, ClientFactory, ClusterAccess, NoRequestObserver, RequestObserver, RequestOutcome, RequestRate,
    RequestRecord, until_well,
};

#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn read(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl RequestObserver for Journal {
    fn requested(&self, record: &RequestRecord<'_>) {
        let outcome = match record.outcome {
            RequestOutcome::Answered(code) => code.as_u16().to_string(),
            RequestOutcome::Failed => "failed".to_string(),
        };
        let (sent, received) = (record.request_size, record.response_size.unwrap_or(0));
        self.write(format!("{} {} {outcome} {:?} {sent}/{received}", record.method, record.host, record.duration));
    }

    fn throttled(&self, method: &Method, _: &str, wait: Duration) {
        if !wait.is_zero() {
            self.write(format!("{method} waited {wait:?}"));
        }
    }

    fn retried(&self, method: &Method, _: &str, code: StatusCode) {
        self.write(format!("{method} again after {code}"));
    }
}

/// A client over a server that gives these answers, the last one again and again; 0 stands for silence.
async fn answers(
    script: &[(u16, Option<&'static str>)],
    rate: RequestRate,
    retries: Retries,
    requests: usize,
) -> (Vec<Result<u16, String>>, Vec<String>, Duration) {
    let script = Arc::new(Mutex::new(script.to_vec()));
    let inner = tower::service_fn(move |_: Request<Body>| {
        let script = script.clone();
        async move {
            let (code, retry_after) = {
                let mut script = script.lock().unwrap();
                if script.len() > 1 { script.remove(0) } else { script[0] }
            };
            if code == 0 {
                pending::<()>().await;
            }
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(7));
            if let Some(value) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            }
            Ok::<_, BoxError>(response)
        }
    });
    let journal = Arc::new(Journal::default());
    let client = Paced {
        inner,
        user_agent: HeaderValue::from_static("test"),
        bucket: TokenBucket::new(rate).map(Arc::new),
        timeout: Duration::from_secs(5),
        retries,
        host: "api:6443".into(),
        observer: journal.clone(),
    };
    let started = Instant::now();
    let mut results = Vec::new();
    for _ in 0..requests {
        let request = Request::post("/api").body(Body::from(b"12345".to_vec())).unwrap();
        let result = client.clone().oneshot(request).await;
        results.push(result.map(|r| r.status().as_u16()).map_err(|e| e.to_string()));
    }
    (results, journal.read(), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn app_04_requests_are_paced() {
    let rate = RequestRate::PerSecond { qps: 10.0, burst: 1 };
    let (results, journal, took) = answers(&[(200, None)], rate, Retries::Never, 3).await;
    assert_eq!(results, [Ok(200), Ok(200), Ok(200)]);
    assert_eq!(took.as_millis(), 200);
    assert_eq!(journal.iter().filter(|line| line.contains("waited")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn obs_07_every_attempt_is_counted() {
    let script = [(429, Some("2")), (503, Some("1")), (201, None)];
    let (results, journal, took) = answers(&script, RequestRate::Unlimited, Retries::WhenAsked, 1).await;
    assert_eq!(results, [Ok(201)]);
    assert_eq!(took.as_secs(), 3);
    assert_eq!(
        journal,
        [
            "POST api:6443 429 0ns 5/7",
            "POST again after 429 Too Many Requests",
            "POST api:6443 503 0ns 5/7",
            "POST again after 503 Service Unavailable",
            "POST api:6443 201 0ns 5/7",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_repeated_and_what_is_not() {
    type Row = (&'static [(u16, Option<&'static str>)], Retries, Result<u16, &'static str>, u64);
    let rows: [Row; 7] = [
        (&[(429, Some("1")), (200, None)], Retries::Never, Ok(429), 0),
        (&[(429, None), (200, None)], Retries::WhenAsked, Ok(429), 0),
        (&[(500, Some("1")), (200, None)], Retries::WhenAsked, Ok(200), 1),
        (&[(404, Some("1")), (200, None)], Retries::WhenAsked, Ok(404), 0),
        (&[(503, Some("9999")), (200, None)], Retries::WhenAsked, Ok(200), 60),
        (&[(503, Some("1"))], Retries::WhenAsked, Ok(503), 10),
        (&[(0, None)], Retries::WhenAsked, Err("no answer from api:6443 within 5s"), 5),
    ];
    for (script, retries, expected, seconds) in rows {
        let (results, _, took) = answers(script, RequestRate::Unlimited, retries, 1).await;
        let expected = expected.map_err(str::to_string);
        assert_eq!((results, took.as_secs()), (vec![expected], seconds), "{script:?}");
    }
}

fn at(server: &MockServer) -> ClusterAccess {
    ClusterAccess { kubeconfig: None, master: Some(server.uri().parse().unwrap()), rate: RequestRate::Unlimited }
}

#[tokio::test]
async fn app_34_a_client_says_who_it_is() {
    let server = MockServer::start().await;
    let version = env!("CPEM_VERSION").split('-').next().unwrap();
    let commit = env!("CPEM_COMMIT");
    let commit = commit.get(..7).unwrap_or(commit);
    let agent = |name| format!("cloud-provider-equinix-metal/{version} (linux/amd64) kubernetes/{commit}/{name}");
    for name in ["node-controller", "leader-election"] {
        let node = serde_json::json!({"metadata": {"name": name}});
        Mock::given(method("GET"))
            .and(has_path("/api/v1/nodes/n"))
            .and(has_header("user-agent", agent(name).as_str()))
            .respond_with(ResponseTemplate::new(200).set_body_json(node))
            .mount(&server)
            .await;
    }
    let factory = ClientFactory::new(&at(&server), Arc::new(NoRequestObserver)).await.unwrap();
    let clients = [
        ("node-controller", factory.client("node-controller")),
        ("leader-election", factory.separate_client("leader-election", Duration::from_secs(5)).unwrap()),
    ];
    for (name, client) in clients {
        let node = Api::<Node>::all(client).get("n").await.unwrap();
        assert_eq!(node.metadata.name.as_deref(), Some(name));
    }
    assert_eq!(factory.host(), server.address().to_string());
}

#[tokio::test]
async fn app_03_master_beats_the_kubeconfig() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(has_path("/api/v1/nodes/n"))
        .and(has_header("authorization", "Bearer sesame"))
        .respond_with(ResponseTemplate::new(200).set_body_json(serde_json::json!({"metadata": {"name": "n"}})))
        .mount(&server)
        .await;
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
    let access = ClusterAccess { kubeconfig: Some(kubeconfig), ..at(&server) };
    let factory = ClientFactory::new(&access, Arc::new(NoRequestObserver)).await.unwrap();
    Api::<Node>::all(factory.client("node-controller")).get("n").await.unwrap();
}

const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: sesame}}]
"#;

async fn refused(kubeconfig: &Path) -> String {
    let access =
        ClusterAccess { kubeconfig: Some(kubeconfig.to_path_buf()), master: None, rate: RequestRate::Unlimited };
    match ClientFactory::new(&access, Arc::new(NoRequestObserver)).await {
        Err(error @ ClientError::Kubeconfig { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn app_03_a_bad_kubeconfig_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (file, content) in [("empty", ""), ("html", "<html>"), ("incomplete", "{apiVersion: v1, kind: Config}")] {
        let path = directory.path().join(file);
        std::fs::write(&path, content).unwrap();
        assert_eq!(refused(&path).await, format!("cannot use the kubeconfig {}", path.display()));
    }
    let missing = directory.path().join("missing");
    assert_eq!(refused(&missing).await, format!("cannot use the kubeconfig {}", missing.display()));
}

#[tokio::test]
async fn app_03_outside_a_cluster_the_flags_are_named() {
    let access = ClusterAccess { kubeconfig: None, master: None, rate: RequestRate::Unlimited };
    let error = ClientFactory::new(&access, Arc::new(NoRequestObserver)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is not a Pod with a service account, and neither --kubeconfig nor --master says where the cluster is"
    );
}

#[tokio::test]
async fn rbac_08_a_server_that_comes_up_late_is_waited_for() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(has_path("/healthz"))
        .respond_with(ResponseTemplate::new(500).set_body_string("[-]etcd failed"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let well = ResponseTemplate::new(200).set_body_string("ok");
    Mock::given(method("GET")).and(has_path("/healthz")).respond_with(well).mount(&server).await;
    let factory = ClientFactory::new(&at(&server), Arc::new(NoRequestObserver)).await.unwrap();
    until_well(&factory.client("cloud-controller-manager")).await.unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_down_is_waited_for_ten_seconds() {
    let access = ClusterAccess {
        kubeconfig: None,
        master: Some("http://127.0.0.1:1".parse().unwrap()),
        rate: RequestRate::Unlimited,
    };
    let factory = ClientFactory::new(&access, Arc::new(NoRequestObserver)).await.unwrap();
    let started = Instant::now();
    let error = until_well(&factory.client("cloud-controller-manager")).await.unwrap_err();
    assert_eq!(error.to_string(), "the API server did not say within 10 s that it is well");
    assert_eq!(started.elapsed().as_secs(), 10);
}
