use k8s_openapi::api::core::v1::ObjectReference;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn client(server: &MockServer) -> Client {
    let config = kube::Config::new(server.uri().parse().expect("a URL"));
    Client::try_from(config).expect("a client")
}

fn event(namespace: Option<&str>, message: &str) -> NewEvent {
    NewEvent {
        about: ObjectReference {
            kind: Some("Thing".into()),
            namespace: namespace.map(Into::into),
            name: Some("web".into()),
            uid: Some("u1".into()),
            ..ObjectReference::default()
        },
        severity: Severity::Warning,
        reason: "Odd",
        message: message.into(),
    }
}

/// Records, has everything written, and tells what the API server was asked.
async fn asked(server: &MockServer, recorded: Vec<NewEvent>) -> Vec<(String, Value)> {
    let (recorder, writer) = events(client(server), "cloud-controller-manager");
    for event in recorded {
        recorder.for_component("service-controller").record(event);
    }
    drop(recorder);
    writer.run(CancellationToken::new()).await;
    let requests = server.received_requests().await.expect("requests are recorded");
    requests
        .iter()
        .map(|request| {
            let body: Value = request.body_json().expect("JSON");
            (format!("{} {}", request.method, request.url.path()), body)
        })
        .collect()
}

/// A server that answers POST and PATCH with these codes.
async fn server(post: u16, patch: u16) -> MockServer {
    let server = MockServer::start().await;
    for (verb, code) in [("POST", post), ("PATCH", patch)] {
        let body = if code < 300 {
            json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "web.1" }, "involvedObject": {} })
        } else {
            json!({ "kind": "Status", "status": "Failure", "message": "no", "reason": "No", "code": code })
        };
        Mock::given(method(verb)).respond_with(ResponseTemplate::new(code).set_body_json(body)).mount(&server).await;
    }
    server
}

#[tokio::test]
async fn obs_13_a_repeat_is_a_patch_of_the_first_event() {
    let server = server(201, 200).await;
    let asked = asked(&server, vec![event(Some("shop"), "m"), event(Some("shop"), "m")]).await;
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].0, "POST /api/v1/namespaces/shop/events");
    let name = asked[0].1["metadata"]["name"].as_str().expect("a name");
    assert_eq!(asked[1].0, format!("PATCH /api/v1/namespaces/shop/events/{name}"));
    assert_eq!((&asked[1].1["count"], &asked[1].1["message"]), (&json!(2), &json!("m")));
    assert_eq!(asked[0].1["source"], json!({ "component": "service-controller" }));
}

#[tokio::test]
async fn life_16_events_of_objects_without_namespace_go_to_default() {
    let server = server(201, 200).await;
    let asked = asked(&server, vec![event(None, "m")]).await;
    assert_eq!(asked[0].0, "POST /api/v1/namespaces/default/events");
}

#[tokio::test]
async fn an_event_that_expired_is_made_anew_with_its_count() {
    let server = server(201, 404).await;
    let asked = asked(&server, vec![event(Some("shop"), "m"), event(Some("shop"), "m")]).await;
    let verbs: Vec<&str> = asked.iter().map(|(what, _)| &what[..4]).collect();
    assert_eq!(verbs, ["POST", "PATC", "POST"]);
    assert_eq!(asked[2].1["count"], json!(2));
}

#[tokio::test]
async fn rbac_09_a_refusal_stops_nothing() {
    let server = server(403, 403).await;
    let asked = asked(&server, vec![event(Some("shop"), "m"), event(Some("shop"), "n")]).await;
    assert_eq!(asked.len(), 2, "each was tried once");
}

#[tokio::test]
async fn what_waits_is_written_after_the_end_was_asked_for() {
    let server = server(201, 200).await;
    let (recorder, writer) = events(client(&server), "service-controller");
    recorder.record(event(Some("shop"), "last words"));
    let cancel = CancellationToken::new();
    cancel.cancel();
    writer.run(cancel).await;
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let mut message = "é".repeat(1000);
    truncate(&mut message);
    assert_eq!((message.len(), message.ends_with("é...")), (1023, true));
}
