use pretty_assertions::assert_eq;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::domain::TaintEffect;

fn cluster(server: &MockServer) -> KubeCluster {
    let config = kube::Config::new(server.uri().parse().expect("a URL"));
    let client = Client::try_from(config).expect("a client");
    KubeCluster::new(client, Arc::new(OwnWrites::default()))
}

async fn answering(routes: &[(&str, &str, u16, Value)]) -> MockServer {
    let server = MockServer::start().await;
    for (verb, at, code, body) in routes {
        Mock::given(method(*verb))
            .and(path(*at))
            .respond_with(ResponseTemplate::new(*code).set_body_json(body))
            .mount(&server)
            .await;
    }
    server
}

/// Method, path with query, content type and body of each request.
async fn requests(server: &MockServer) -> Vec<(String, String, Value)> {
    let requests = server.received_requests().await.expect("requests are recorded");
    requests
        .iter()
        .map(|request| {
            let query = request.url.query().filter(|q| !q.is_empty());
            let target = query.map_or(request.url.path().to_owned(), |q| format!("{}?{q}", request.url.path()));
            let kind = request.headers.get("content-type").map_or("", |value| value.to_str().expect("ASCII"));
            let body = request.body_json().unwrap_or(Value::Null);
            (format!("{} {target}", request.method), kind.to_owned(), body)
        })
        .collect()
}

fn changes(pairs: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.map(ToOwned::to_owned))).collect()
}

fn service_patch(ip: Change<std::net::IpAddr>) -> ServicePatch {
    ServicePatch {
        service: ServiceKey::new("shop", "web"),
        uid: "u1".into(),
        load_balancer_ip: ip,
        annotations: changes(&[("new", Some("x")), ("old", None)]),
    }
}

const SERVICE: &str = "/api/v1/namespaces/shop/services/web";
const MERGE: &str = "application/merge-patch+json";

#[tokio::test]
async fn a_service_is_patched_in_the_named_fields_only_and_only_while_its_uid_is_the_same() {
    let stored = json!({ "metadata": { "namespace": "shop", "name": "web", "uid": "u1" } });
    let cases = [
        ("kept", Change::Keep, json!({ "metadata": { "uid": "u1", "annotations": { "new": "x", "old": null } } })),
        (
            "set",
            Change::Set("192.0.2.7".parse().expect("an address")),
            json!({ "metadata": { "uid": "u1", "annotations": { "new": "x", "old": null } },
                    "spec": { "loadBalancerIP": "192.0.2.7" } }),
        ),
        (
            "cleared",
            Change::Clear,
            json!({ "metadata": { "uid": "u1", "annotations": { "new": "x", "old": null } },
                    "spec": { "loadBalancerIP": null } }),
        ),
    ];
    for (name, ip, expected) in cases {
        let server = answering(&[("PATCH", SERVICE, 200, stored.clone())]).await;
        let cluster = cluster(&server);
        let patch = service_patch(ip);
        let returned = cluster.patch_service(&patch).await.expect("patched");
        assert_eq!(returned.uid, "u1", "{name}");
        assert_eq!(
            requests(&server).await,
            [(format!("PATCH {SERVICE}?&fieldManager=cloud-provider-equinix-metal"), MERGE.to_owned(), expected)],
            "{name}"
        );
        assert_eq!(cluster.own_writes.take(&patch.service), [patch], "{name}");
    }
}

#[tokio::test]
async fn a_service_made_anew_under_the_same_name_is_a_conflict() {
    let refusal = json!({ "kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422, "message": "m",
        "details": { "causes": [{ "field": "metadata.uid", "reason": "FieldValueInvalid", "message": "m" }] } });
    let server = answering(&[("PATCH", SERVICE, 422, refusal)]).await;
    let error = cluster(&server).patch_service(&service_patch(Change::Keep)).await;
    assert!(matches!(error, Err(ClusterError::Conflict { .. })), "{error:?}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_none_and_an_error_is_an_error() {
    let gone = json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "m" });
    let server = answering(&[("GET", SERVICE, 404, gone)]).await;
    let found = cluster(&server).service(&ServiceKey::new("shop", "web")).await;
    assert!(matches!(found, Ok(None)), "{found:?}");
    let down = json!({ "kind": "Status", "status": "Failure", "reason": "X", "code": 500, "message": "m" });
    let server = answering(&[("GET", SERVICE, 500, down)]).await;
    let found = cluster(&server).service(&ServiceKey::new("shop", "web")).await;
    assert!(matches!(found, Err(ClusterError::Failed { .. })), "{found:?}");
}

#[tokio::test]
async fn a_node_is_patched_in_the_named_fields_only() {
    let server = answering(&[("PATCH", "/api/v1/nodes/n1", 200, json!({ "metadata": { "name": "n1" } }))]).await;
    let patch = NodePatch {
        provider_id: Some("equinixmetal://d1".into()),
        labels: changes(&[("a", Some("1")), ("b", None)]),
        ..NodePatch::new("n1")
    };
    cluster(&server).patch_node(&patch).await.expect("patched");
    assert_eq!(
        requests(&server).await,
        [(
            "PATCH /api/v1/nodes/n1?&fieldManager=cloud-provider-equinix-metal".to_owned(),
            MERGE.to_owned(),
            json!({ "metadata": { "labels": { "a": "1", "b": null } }, "spec": { "providerID": "equinixmetal://d1" } }),
        )]
    );
}

fn stored_node() -> Value {
    json!({
        "metadata": { "name": "n1", "resourceVersion": "7" },
        "spec": { "taints": [
            { "key": "odd", "effect": "FromTheFuture" },
            { "key": "a", "effect": "NoExecute", "timeAdded": "2026-01-02T03:04:05Z" },
            { "key": "b", "effect": "NoSchedule" },
        ] },
    })
}

fn taint(key: &str, effect: TaintEffect) -> Taint {
    Taint { key: key.into(), value: String::new(), effect }
}

#[tokio::test]
async fn taints_are_written_whole_with_the_version_and_none_is_lost() {
    let node = "/api/v1/nodes/n1";
    let server = answering(&[("GET", node, 200, stored_node()), ("PATCH", node, 200, stored_node())]).await;
    let patch = NodePatch {
        resource_version: Some("7".into()),
        taints: Some(vec![taint("a", TaintEffect::NoExecute), taint("c", TaintEffect::NoSchedule)]),
        ..NodePatch::new("n1")
    };
    cluster(&server).patch_node(&patch).await.expect("patched");
    assert_eq!(
        requests(&server).await[1].2,
        json!({ "metadata": { "resourceVersion": "7" }, "spec": { "taints": [
            { "key": "odd", "effect": "FromTheFuture" },
            { "key": "a", "effect": "NoExecute", "timeAdded": "2026-01-02T03:04:05Z" },
            { "key": "c", "effect": "NoSchedule" },
        ] } })
    );
}

#[tokio::test]
async fn taints_decided_on_another_version_are_a_conflict_and_without_one_refused() {
    for (version, conflict) in [(Some("6"), true), (None, false)] {
        let server = answering(&[("GET", "/api/v1/nodes/n1", 200, stored_node())]).await;
        let patch =
            NodePatch { resource_version: version.map(Into::into), taints: Some(vec![]), ..NodePatch::new("n1") };
        let error = cluster(&server).patch_node(&patch).await.expect_err("refused");
        assert_eq!(matches!(error, ClusterError::Conflict { .. }), conflict, "{error}");
    }
}

fn secret_key() -> PasswordSource {
    PasswordSource::SecretKey { namespace: "kube-system".into(), name: "bgp".into(), key: "pass".into() }
}

async fn password_from(data: Value) -> Result<Secret, String> {
    let at = "/api/v1/namespaces/kube-system/secrets/bgp";
    let server = answering(&[("GET", at, 200, json!({ "metadata": { "name": "bgp" }, "data": data }))]).await;
    cluster(&server).password(&secret_key()).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_password_is_read_from_a_secret_without_its_last_newline() {
    let where_ = "key pass of Secret kube-system/bgp";
    let cases = [
        ("as it is", json!({ "pass": "czNjcmV0" }), Ok(Secret::new("s3cret"))),
        ("with a newline", json!({ "pass": "czNjcmV0Cg==" }), Ok(Secret::new("s3cret"))),
        ("empty", json!({ "pass": "Cg==" }), Err(format!("{where_}: is empty"))),
        ("not text", json!({ "pass": "/w==" }), Err(format!("{where_}: is not UTF-8"))),
        ("no such key", json!({ "other": "eA==" }), Err(format!("{where_} not found"))),
    ];
    for (name, data, expected) in cases {
        assert_eq!(password_from(data).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_password_is_read_from_a_file_or_the_environment() {
    let server = MockServer::start().await;
    let cluster = cluster(&server);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\r\n").expect("written");
    let read = cluster.password(&PasswordSource::File(file)).await.expect("read");
    assert_eq!(read, Secret::new("s3cret"));

    let missing = PasswordSource::File(folder.path().join("absent"));
    let error = cluster.password(&missing).await.expect_err("absent");
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error}");
    let error = cluster.password(&PasswordSource::Env("NO_SUCH_VARIABLE".into())).await.expect_err("unset");
    assert_eq!(error.to_string(), "environment variable NO_SUCH_VARIABLE not found");
    cluster.password(&PasswordSource::Env("PATH".into())).await.expect("set everywhere");
}
