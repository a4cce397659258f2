use std::time::{Duration, Instant};

use http::Method;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Setup, each, got};
use crate::sandbox::metal::{BgpSeed, CannedReply, Effect, Fault, Outcome};

fn order() -> Option<Value> {
    Some(json!({"type": "public_ipv4", "quantity": 1, "metro": "da", "tags": ["t"]}))
}

#[tokio::test]
async fn canned_answers_arrive_as_they_were_written() {
    let snap = "Oh snap, something went wrong! We've logged the error and will take a look - please reach out to us if you \
                continue having trouble.";
    let json_type = Some("application/json; charset=utf-8");
    for (name, reply, status, content_type, body, from_api) in [
        (
            "several texts",
            CannedReply::errors(422, &["a", "b"]),
            422,
            json_type,
            r#"{"errors":["a","b"]}"#.to_owned(),
            true,
        ),
        ("one text", CannedReply::error(401, "a"), 401, json_type, r#"{"error":"a"}"#.to_owned(), true),
        ("the API's own 500", CannedReply::oh_snap(), 500, json_type, json!({"errors": [snap]}).to_string(), true),
        ("an empty 503", CannedReply::empty(503), 503, None, String::new(), false),
        (
            "an HTML 502",
            CannedReply::html(502),
            502,
            Some("text/html"),
            "<html><head><title>502</title></head><body><h1>502</h1></body></html>\n".to_owned(),
            false,
        ),
    ] {
        let setup = Setup::default().await;
        setup.project.faults().push(Fault::on("GET /projects/{p}/devices", Effect::Reply(reply)).once()).unwrap();
        let got = setup.get(&setup.path("devices")).await;
        assert_eq!((got.status, got.header("content-type"), &got.text), (status, content_type, &body), "{name}");
        assert_eq!(got.header("x-request-id").is_some(), from_api, "{name}");
        assert_eq!(setup.get(&setup.path("devices")).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_429_comes_with_and_without_a_time_to_wait() {
    let setup = Setup::default().await;
    for retry_after in [Some(7), None] {
        let effect = Effect::Reply(CannedReply::too_many_requests(retry_after));
        setup.project.faults().push(Fault::on("*", effect).once()).unwrap();
        let got = setup.get("/user").await;
        assert_eq!((got.status, got.header("retry-after")), (429, retry_after.map(|_| "7")));
    }
    let limited = CannedReply::too_many_requests(None).header("x-ratelimit-reset", "1709251260".to_owned());
    setup.project.faults().push(Fault::on("*", Effect::Reply(limited)).once()).unwrap();
    assert_eq!(setup.get("/user").await.header("x-ratelimit-reset"), Some("1709251260"));
}

#[tokio::test]
async fn a_write_is_cut_or_failed_before_or_after_it_took_effect() {
    let snap = || Effect::Reply(CannedReply::oh_snap());
    let route = "POST /projects/{p}/ips";
    for (name, fault, answered, reservations) in [
        ("cut before", Fault::on(route, Effect::Cut), None, 0),
        ("cut after", Fault::on(route, Effect::Cut).after_commit(), None, 1),
        ("500 before", Fault::on(route, snap()), Some(500), 0),
        ("500 after", Fault::on(route, snap()).after_commit(), Some(500), 1),
        ("half an answer, then cut", Fault::on(route, Effect::CutBody), None, 1),
    ] {
        let setup = Setup::default().await;
        let id = setup.project.faults().push(fault.once()).unwrap();
        let got = setup.send(Method::POST, &setup.path("ips"), order()).await;
        assert_eq!(got.ok().map(|got| got.status), answered, "{name}");
        assert_eq!(setup.project.reservations().len(), reservations, "{name}");
        assert_eq!(setup.project.journal().count(route), 1, "{name}: a cut is not retried behind our back");
        assert_eq!(setup.project.faults().struck(id), 1, "{name}");
    }
}

#[tokio::test]
async fn a_session_that_was_made_in_spite_of_a_500_is_a_duplicate() {
    let setup = Setup::default().await;
    setup.project.set_bgp(BgpSeed::default());
    let path = format!("/devices/{}/bgp/sessions", setup.device("one"));
    let fault = Fault::on("POST /devices/{d}/bgp/sessions", Effect::Reply(CannedReply::oh_snap()));
    setup.project.faults().push(fault.after_commit().once()).unwrap();
    let body = json!({"address_family": "ipv4"});
    assert_eq!(setup.post(&path, body.clone()).await.status, 500);
    let again = setup.post(&path, body).await;
    assert_eq!(again.json(), json!({"errors": ["Address family already has session with ipv4"]}));
}

#[tokio::test]
async fn bodies_are_spoilt() {
    let setup = Setup::default().await;
    setup.device("one");
    let whole = setup.get(&setup.path("devices")).await;
    for (effect, content_type, text) in [
        (Effect::TruncatedJson, "application/json; charset=utf-8", &whole.text[..whole.text.len() / 2]),
        (Effect::WrongContentType, "text/html", &whole.text),
    ] {
        setup.project.faults().push(Fault::on("*", effect.clone()).once()).unwrap();
        let got = setup.get(&setup.path("devices")).await;
        assert_eq!(
            (got.status, got.header("content-type"), got.text.as_str()),
            (200, Some(content_type), text),
            "{effect:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_waits_gives_up() {
    let patience = Duration::from_millis(100);
    for (name, effect, header_arrives) in [
        ("hangs", Effect::Hang, false),
        ("stalls", Effect::StallBody, true),
        ("delays", Effect::Delay(patience * 50), false),
    ] {
        let setup = Setup::default().await;
        setup.project.faults().push(Fault::on("*", effect).once()).unwrap();
        let request = setup.request(Method::GET, "/user", None).timeout(patience).send().await;
        assert_eq!(request.is_ok(), header_arrives, "{name}");
        if let Ok(response) = request {
            assert!(response.text().await.unwrap_err().is_timeout(), "{name}");
        }
        assert_eq!(setup.get("/user").await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_delay_lets_the_request_go_on() {
    let setup = Setup::default().await;
    let delay = Duration::from_millis(50);
    setup.project.faults().push(Fault::on("*", Effect::Delay(delay)).once()).unwrap();
    let began = Instant::now();
    assert_eq!(setup.get("/user").await.status, 200);
    assert!(began.elapsed() >= delay);
}

#[tokio::test]
async fn entries_move_between_pages() {
    let setup = Setup::default().await;
    for number in 0..4 {
        setup.device(&format!("node-{number}"));
    }
    let fault = Fault::on("GET /projects/{p}/devices", Effect::ShiftPage(1)).skip(1).once();
    setup.project.faults().push(fault).unwrap();
    let mut names = Vec::new();
    for page in 1..=2 {
        let list = setup.get(&setup.path(&format!("devices?per_page=2&page={page}"))).await.json();
        assert_eq!(list["meta"]["total"], 4);
        names.extend(each(&list["devices"], "hostname"));
    }
    assert_eq!(names, ["node-0", "node-1", "node-3", "node-0"].map(|name| json!(name)));
}

#[tokio::test]
async fn one_device_can_be_refused_among_many() {
    let setup = Setup::default().await;
    let (one, two) = (setup.device("one"), setup.device("two"));
    let reply = CannedReply::errors(403, &["You are not authorized to view this device"]);
    let fault = Fault::on("GET /devices/{d}", Effect::Reply(reply)).at(&format!("/devices/{one}"));
    let id = setup.project.faults().push(fault).unwrap();
    let statuses = async || {
        [setup.get(&format!("/devices/{one}")).await.status, setup.get(&format!("/devices/{two}")).await.status]
    };
    assert_eq!(statuses().await, [403, 200]);
    setup.project.faults().remove(id);
    assert_eq!(statuses().await, [200, 200]);
}

#[tokio::test]
async fn the_journal_tells_how_each_request_ended() {
    let setup = Setup::default().await;
    let faults = setup.project.faults();
    faults.push(Fault::on("GET /user", Effect::Cut).once()).unwrap();
    assert!(setup.send(Method::GET, "/user", None).await.is_err());
    faults.push(Fault::on("GET /user", Effect::Hang).once()).unwrap();
    let request = setup.request(Method::GET, "/user", None).timeout(Duration::from_millis(50));
    assert!(got(request).await.is_err());
    setup.get("/user").await;
    let outcomes: Vec<Outcome> = setup.project.journal().latest().into_iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Cut, Outcome::Open, Outcome::Answered(200)]);
}
