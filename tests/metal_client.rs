//! Single HTTP shapes: what is sent to Metal, and what becomes of each kind of answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloud_provider_equinix_metal::domain::reservation::Location;
use cloud_provider_equinix_metal::domain::{
    BgpSession, DeviceId, IpFamily, ReservationId, ReservationRequest, ReservationType, Secret, SessionId,
};
use cloud_provider_equinix_metal::metal::{
    Backoff, Client, ClientConfig, HttpDump, Method, Outcome, Project, ProjectConfig, RateLimit, RequestObserver,
    RequestReport, StartUpError, Unobserved,
};
use cloud_provider_equinix_metal::ports::{Existence, MaxAge, Metal, MetalError, RetryClass};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{any, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const KEY: &str = "k3y-0123456789";
const MD5: &str = "Passw0rdPassw0rd";
const TRIES: u32 = 3;

/// Quick retries, so that a test of them takes no time.
fn config(url: &str) -> ClientConfig {
    ClientConfig {
        tries: TRIES,
        request_timeout: Duration::from_secs(5),
        deadline: Duration::from_secs(10),
        backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4) },
        rate: RateLimit { per_second: 10_000.0, burst: 1000 },
        longest_pause: Duration::from_millis(50),
        ..ClientConfig::new(url, Secret::new(format!("{KEY}\n")))
    }
}

fn project_with(config: ClientConfig) -> Project {
    let client = Client::new(config, Arc::new(Unobserved)).expect("a client");
    Project::new(client, "p1", ProjectConfig::default())
}

async fn server() -> (MockServer, Project) {
    let server = MockServer::start().await;
    let project = project_with(config(&server.uri()));
    (server, project)
}

async fn answers(server: &MockServer, verb: &str, at: &str, answer: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn raw(status: u16, body: &str, content_type: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, content_type)
}

async fn calls(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.expect("requests are recorded");
    requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
}

fn request() -> ReservationRequest {
    ReservationRequest {
        kind: ReservationType::PublicIpv4,
        location: Some(Location::Metro("da".into())),
        tags: vec!["usage=x".into(), "service=y".into()],
        details: "for a test".into(),
    }
}

#[tokio::test]
async fn cfg_22_the_base_url_is_used_with_its_path() {
    for suffix in ["/metal/v1", "/metal/v1/", "", "/"] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ok(json!({"devices": [{"id": "d1"}]}))).mount(&server).await;
        let project = project_with(config(&format!("{}{suffix}", server.uri())));
        project.devices(MaxAge::NOW).await.expect("a listing");
        let expected = format!("GET {}/projects/p1/devices", suffix.trim_end_matches('/'));
        assert_eq!(calls(&server).await, [expected], "{suffix:?}");
    }
}

#[tokio::test]
async fn cfg_32_requests_carry_the_key_and_say_who_asks() {
    let (server, project) = server().await;
    answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
    project.devices(MaxAge::NOW).await.expect("a listing");
    let requests = server.received_requests().await.expect("requests are recorded");
    let header = |name| requests[0].headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(header("x-auth-token").as_deref(), Some(KEY));
    assert_eq!(header("accept").as_deref(), Some("application/json"));
    assert_eq!(header("authorization"), None);
    let agent = header("user-agent").expect("a user agent");
    let (product, rest) = agent.split_once(' ').expect("a product and a comment");
    assert_eq!(product, concat!("cloud-provider-equinix-metal/", env!("CPEM_VERSION")));
    assert!(rest.starts_with('(') && rest.ends_with(')'), "{agent}");
}

#[tokio::test]
async fn each_kind_of_answer_has_its_error_and_its_number_of_tries() {
    let snap = "Oh snap, something went wrong!";
    let page = |body: &str| raw(200, body, "application/json; charset=utf-8");
    let cases = [
        (
            "a bad key, in the single form",
            ResponseTemplate::new(401).set_body_json(json!({"error": "Invalid authentication token"})),
            "Metal refused the API key (401); check METAL_API_KEY or apiKey",
            1,
        ),
        (
            "a bad key, blank",
            ResponseTemplate::new(401),
            "Metal refused the API key (401); check METAL_API_KEY or apiKey",
            1,
        ),
        (
            "no rights",
            ResponseTemplate::new(403).set_body_json(json!({"errors": ["Access denied", "Go away"]})),
            "Metal forbids this to the API key (403): Access denied, Go away",
            1,
        ),
        ("unknown", ResponseTemplate::new(404).set_body_json(json!({"errors": ["Not found"]})), "not found (404)", 1),
        (
            "refused, with the key in the text",
            ResponseTemplate::new(422).set_body_json(json!({"errors": [format!("{KEY} is odd")]})),
            "Metal refused the request (422): [redacted] is odd",
            1,
        ),
        (
            "the API's fault",
            ResponseTemplate::new(500).set_body_json(json!({"errors": [snap]})),
            "Metal failed (500): Oh snap, something went wrong!",
            TRIES,
        ),
        ("a gateway's HTML", raw(502, "<html>Bad Gateway</html>", "text/html"), "Metal failed (502)", TRIES),
        ("an empty 503", ResponseTemplate::new(503), "Metal failed (503)", TRIES),
        ("a 504 of plain text", raw(504, "timed out", "text/plain"), "Metal failed (504)", TRIES),
        (
            "slow down, without saying for how long",
            ResponseTemplate::new(429).set_body_json(json!({"errors": ["Too many requests"]})),
            "Metal asks to slow down (429), trying again in 1 s",
            TRIES,
        ),
        (
            "another place",
            ResponseTemplate::new(302).insert_header("location", "https://example.com/"),
            "Metal's answer could not be read: unexpected status 302; is this the address of the Metal API?",
            1,
        ),
        (
            "HTML with a good status",
            raw(200, "<html></html>", "text/html"),
            "Metal's answer could not be read: its content type is text/html",
            1,
        ),
        (
            "half a JSON",
            page(r#"{"devices": [{"id": "d1"}, {"id""#),
            "Metal's answer could not be read: EOF while parsing an object at line 1 column 32",
            1,
        ),
        ("nothing", page(""), "Metal's answer could not be read: EOF while parsing a value at line 1 column 0", 1),
        ("an empty object", page("{}"), "Metal's answer could not be read: it has no list \"devices\"", 1),
        ("no list", page(r#"{"devices": null}"#), "Metal's answer could not be read: it has no list \"devices\"", 1),
        ("a bare list", page("[[]]"), "Metal's answer could not be read: it is no JSON object", 1),
        (
            "an entry without an id",
            page(r#"{"devices": [{"hostname": "x"}]}"#),
            "Metal's answer could not be read: an entry has no id",
            1,
        ),
        (
            "a list that is never whole",
            page(r#"{"devices": [{"id": "d1"}], "meta": {"total": 2, "last_page": 1}}"#),
            "Metal's answer could not be read: the list is not whole: it holds 1 entries of 2, 3 times",
            3,
        ),
    ];
    for (name, answer, expected, tries) in cases {
        let (server, project) = server().await;
        answers(&server, "GET", "/projects/p1/devices", answer).await;
        let error = project.devices(MaxAge::NOW).await.expect_err(name);
        assert_eq!(error.to_string(), format!("GET /projects/p1/devices: {expected}"), "{name}");
        assert_eq!(calls(&server).await.len(), usize::try_from(tries).expect("few"), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_key_away() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ok(json!({"devices": []}))).mount(&elsewhere).await;
    let (server, project) = server().await;
    let redirect = ResponseTemplate::new(307).insert_header("location", elsewhere.uri().as_str());
    answers(&server, "GET", "/projects/p1/devices", redirect).await;
    project.devices(MaxAge::NOW).await.expect_err("a redirect");
    assert_eq!(calls(&elsewhere).await, [""; 0]);
}

#[tokio::test]
async fn a_fault_that_passes_is_not_seen() {
    for fault in [500, 502, 503, 504, 429] {
        let (server, project) = server().await;
        let failing = Mock::given(method("GET")).respond_with(ResponseTemplate::new(fault));
        failing.up_to_n_times(2).with_priority(1).mount(&server).await;
        answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
        assert_eq!(project.devices(MaxAge::NOW).await.map(|devices| devices.len()).ok(), Some(1), "{fault}");
        assert_eq!(calls(&server).await.len(), 3, "{fault}");
    }
}

/// Serves 25 entries on three pages; the second repeats one of the first, as after an insertion at the front.
async fn three_pages(list: &str, key: &str) -> (MockServer, Project) {
    let (server, project) = server().await;
    for (page, ids) in [("1", 0..10), ("2", 9..19), ("3", 19..25)] {
        let entries: Vec<Value> = ids.map(|id| json!({"id": format!("x{id}")})).collect();
        Mock::given(path(format!("/projects/p1/{list}")))
            .and(query_param("page", page))
            .and(query_param("per_page", "1000"))
            .respond_with(ok(json!({key: entries, "meta": {"total": 25, "last_page": 3, "current_page": page}})))
            .mount(&server)
            .await;
    }
    (server, project)
}

#[tokio::test]
async fn inst_07_devices_are_read_to_the_last_page() {
    let (server, project) = three_pages("devices", "devices").await;
    assert_eq!(project.devices(MaxAge::NOW).await.expect("a listing").len(), 25);
    assert_eq!(calls(&server).await.len(), 3);
}

#[tokio::test]
async fn lb_06_reservations_are_read_to_the_last_page() {
    let (server, project) = three_pages("ips", "ip_addresses").await;
    assert_eq!(project.reservations(MaxAge::NOW).await.expect("a listing").len(), 25);
    assert_eq!(calls(&server).await.len(), 3);
}

#[tokio::test]
async fn a_list_says_in_different_ways_whether_there_is_more() {
    let one = json!([{"id": "d1"}]);
    let cases = [
        ("no meta", json!({"devices": one}), 1),
        ("null", json!({"devices": one, "meta": null}), 1),
        ("an empty object", json!({"devices": one, "meta": {}}), 1),
        ("nothing next", json!({"devices": one, "meta": {"next": null, "total": 1}}), 1),
        ("unknown fields", json!({"devices": one, "meta": {"next": {}, "cursor": [1]}}), 1),
        ("the last of one", json!({"devices": one, "meta": {"last_page": 1, "next": {"href": "/x?page=2"}}}), 1),
        ("only a next", json!({"devices": one, "meta": {"next": {"href": "/x?page=2"}}}), 2),
        ("two pages", json!({"devices": one, "meta": {"last_page": 2}}), 2),
    ];
    for (name, body, pages) in cases {
        let (server, project) = server().await;
        Mock::given(query_param("page", "1")).respond_with(ok(body)).mount(&server).await;
        let second = ok(json!({"devices": [{"id": "d2"}]}));
        Mock::given(query_param("page", "2")).respond_with(second).mount(&server).await;
        let found = project.devices(MaxAge::NOW).await.expect(name).len();
        assert_eq!((found, calls(&server).await.len()), (pages, pages), "{name}");
    }
}

#[tokio::test]
async fn a_list_that_changed_between_pages_is_read_again() {
    let page = |ids: &[&str], total: u32| {
        let entries: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        ok(json!({"devices": entries, "meta": {"total": total, "last_page": 2}}))
    };
    let cases = [
        ("one was deleted and one missed", page(&["a", "b"], 4), page(&["d"], 3)),
        ("one was missed under the same total", page(&["a", "b"], 4), page(&["b", "c"], 4)),
        ("the second page came empty", page(&["a", "b"], 4), page(&[], 4)),
    ];
    for (name, first, second) in cases {
        let (server, project) = server().await;
        for (number, shifted, whole) in [("1", first, page(&["a", "b"], 4)), ("2", second, page(&["c", "d"], 4))] {
            let mock = || Mock::given(query_param("page", number));
            mock().respond_with(shifted).up_to_n_times(1).with_priority(1).mount(&server).await;
            mock().respond_with(whole).mount(&server).await;
        }
        let found = project.devices(MaxAge::NOW).await.expect(name);
        let ids: Vec<&str> = found.iter().map(|device| device.id.as_str()).collect();
        assert_eq!((ids, calls(&server).await.len()), (vec!["a", "b", "c", "d"], 4), "{name}");
    }
}

#[tokio::test]
async fn an_endless_list_is_an_error() {
    let (server, project) = server().await;
    let endless = ok(json!({"devices": [{"id": "d1"}], "meta": {"last_page": 4_000_000_000_u32}}));
    answers(&server, "GET", "/projects/p1/devices", endless).await;
    let error = project.devices(MaxAge::NOW).await.expect_err("no end");
    assert!(error.to_string().ends_with("it announces more than 1000 pages"), "{error}");
}

#[tokio::test]
async fn a_429_holds_back_every_call_and_not_for_longer_than_the_cap() {
    let (server, project) = server().await;
    let slow = ResponseTemplate::new(429).insert_header("retry-after", "3600");
    Mock::given(any()).respond_with(slow).up_to_n_times(1).with_priority(1).mount(&server).await;
    answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
    answers(&server, "GET", "/projects/p1/ips", ok(json!({"ip_addresses": [{"id": "r1"}]}))).await;
    let start = Instant::now();
    project.devices(MaxAge::NOW).await.expect("after the pause");
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(calls(&server).await.len(), 2);

    let config = ClientConfig { deadline: Duration::from_millis(500), ..config(&server.uri()) };
    let project = project_with(ClientConfig { longest_pause: Duration::from_secs(60), ..config });
    server.reset().await;
    let reset = std::time::SystemTime::now() + Duration::from_secs(40);
    let reset = reset.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let slow = ResponseTemplate::new(429).insert_header("x-ratelimit-reset", reset.to_string().as_str());
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let first = project.devices(MaxAge::NOW).await.expect_err("a pause past the deadline");
    let second = project.reservations(MaxAge::NOW).await.expect_err("the same pause");
    for error in [first, second] {
        let RetryClass::After(wait) = error.retry() else { panic!("{error}") };
        assert!(Duration::from_secs(35) < wait && wait <= Duration::from_secs(41), "{wait:?}");
    }
    assert_eq!(calls(&server).await.len(), 1, "the other call was not sent at all");
}

#[tokio::test]
async fn a_503_that_names_a_wait_past_the_deadline_is_not_tried_again() {
    let (server, project) = server().await;
    let down = ResponseTemplate::new(503).insert_header("retry-after", "3600");
    Mock::given(any()).respond_with(down).mount(&server).await;
    project.devices(MaxAge::NOW).await.expect_err("down");
    assert_eq!(calls(&server).await.len(), 1);
}

#[tokio::test]
async fn what_is_sent_for_an_address() {
    let location_cases = [
        (Some(Location::Metro("da".into())), json!({"metro": "da"})),
        (Some(Location::Facility("da11".into())), json!({"facility": "da11"})),
        (None, json!({})),
    ];
    for (location, expected) in location_cases {
        let (server, project) = server().await;
        let created = ResponseTemplate::new(201).set_body_json(json!({"id": "r1", "state": "created"}));
        answers(&server, "POST", "/projects/p1/ips", created).await;
        let request = ReservationRequest { location, ..request() };
        let reservation = project.reserve(&request).await.expect("a reservation");
        assert_eq!(reservation.tags, request.tags, "the tags asked for count even where the answer lacks them");
        let mut body = json!({"type": "public_ipv4", "quantity": 1, "details": "for a test",
            "tags": ["usage=x", "service=y"], "fail_on_approval_required": true});
        body.as_object_mut().expect("an object").extend(expected.as_object().expect("an object").clone());
        let sent = &server.received_requests().await.expect("requests are recorded")[0];
        assert_eq!(sent.body_json::<Value>().expect("JSON"), body);
    }
}

#[tokio::test]
async fn an_address_is_asked_for_once_whatever_the_answer() {
    let cases = [
        ("an API fault", ResponseTemplate::new(500), true),
        ("a gateway", ResponseTemplate::new(502), true),
        ("half an answer", raw(201, r#"{"id": "r1", "ta"#, "application/json"), true),
        ("HTML", raw(201, "<html>", "text/html"), true),
        ("no id", raw(201, "{}", "application/json"), true),
        ("too many requests", ResponseTemplate::new(429), false),
        ("no rights", ResponseTemplate::new(403), false),
        (
            "a refusal",
            ResponseTemplate::new(422).set_body_json(json!({"errors": ["ny5 is not a valid facility"]})),
            false,
        ),
        ("not found", ResponseTemplate::new(404), false),
    ];
    for (name, answer, ambiguous) in cases {
        let (server, project) = server().await;
        answers(&server, "POST", "/projects/p1/ips", answer).await;
        answers(&server, "GET", "/projects/p1/ips", ok(json!({"ip_addresses": [{"id": "other"}]}))).await;
        let error = project.reserve(&request()).await.expect_err(name);
        assert_eq!(error.is_ambiguous(), ambiguous, "{name}: {error}");
        let again = project.reserve(&request()).await.expect_err(name);
        assert_eq!(matches!(again, MetalError::Unsettled { .. }), ambiguous, "{name}: {again}");
        let posts = calls(&server).await.iter().filter(|call| call.starts_with("POST")).count();
        assert_eq!(posts, if ambiguous { 1 } else { 2 }, "{name}");
    }
}

#[tokio::test]
async fn releasing_what_is_gone_succeeds() {
    for (status, succeeds, tries) in [(204, true, 1), (404, true, 1), (403, false, 1), (500, false, 3)] {
        let (server, project) = server().await;
        answers(&server, "DELETE", "/ips/r1", ResponseTemplate::new(status)).await;
        assert_eq!(project.release(&ReservationId::new("r1")).await.is_ok(), succeeds, "{status}");
        assert_eq!(calls(&server).await.len(), tries, "{status}");
    }
}

#[tokio::test]
async fn an_id_cannot_reach_another_path() {
    let (server, project) = server().await;
    answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
    for id in ["..", ".", "", "../projects/p1", "d1/ips", "d1?x=y"] {
        let error = project.existence(&DeviceId::new(id), MaxAge::RECENT).await.expect_err(id);
        assert!(matches!(error, MetalError::Malformed { .. } | MetalError::NotFound { .. }), "{id:?}: {error}");
    }
    let mut paths = calls(&server).await;
    paths.sort();
    paths.dedup();
    let expected = [
        "GET /devices/..%2Fprojects%2Fp1",
        "GET /devices/d1%2Fips",
        "GET /devices/d1%3Fx=y",
        "GET /projects/p1",
        "GET /projects/p1/devices",
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn bgp_05_the_password_is_left_out_where_there_is_none() {
    for (password, expected) in [
        (None, json!({"deployment_type": "local", "asn": 65000, "use_case": "kubernetes-load-balancer"})),
        (Some(""), json!({"deployment_type": "local", "asn": 65000, "use_case": "kubernetes-load-balancer"})),
        (
            Some(MD5),
            json!({"deployment_type": "local", "asn": 65000, "md5": MD5, "use_case": "kubernetes-load-balancer"}),
        ),
    ] {
        let (server, project) = server().await;
        answers(&server, "GET", "/projects/p1/bgp-config", ok(json!({}))).await;
        answers(&server, "POST", "/projects/p1/bgp-configs", ResponseTemplate::new(204)).await;
        project.enable_bgp(65000, password.map(Secret::new).as_ref()).await.expect("enabled");
        let requests = server.received_requests().await.expect("requests are recorded");
        let posts: Vec<Value> = requests
            .iter()
            .filter(|request| request.method.as_str() == "POST")
            .map(|request| request.body_json().expect("JSON"))
            .collect();
        assert_eq!(posts, [expected]);
    }
}

#[tokio::test]
async fn a_password_does_not_come_back_in_an_error() {
    let (server, project) = server().await;
    answers(&server, "GET", "/projects/p1/bgp-config", ok(json!({}))).await;
    let refusal = json!({"errors": [format!("md5 {MD5} is too plain"), "x".repeat(10_000)]});
    let refusal = ResponseTemplate::new(422).set_body_json(refusal);
    answers(&server, "POST", "/projects/p1/bgp-configs", refusal).await;
    let error = project.enable_bgp(65000, Some(&Secret::new(MD5))).await.expect_err("refused").to_string();
    assert!(error.contains("md5 [redacted] is too plain"), "{error}");
    assert!(error.len() < 500 && !format!("{error:?}").contains(MD5), "{error}");
}

#[tokio::test]
async fn bgp_10_neighbours_with_as_numbers_of_32_bits_are_read() {
    let (server, project) = server().await;
    let answer = json!({"bgp_neighbors": [{"address_family": 4, "customer_as": 4_200_000_001_u32, "customer_ip": "10.0.0.1",
        "peer_as": 4_294_967_294_u32, "peer_ips": ["169.254.255.1"], "multihop": true, "new": {}}]});
    answers(&server, "GET", "/devices/d1/bgp/neighbors", ok(answer)).await;
    let session = BgpSession { id: SessionId::new("s1"), device: DeviceId::new("d1"), family: IpFamily::V4 };
    let neighbors = project.neighbors(&session).await.expect("neighbours");
    assert_eq!((neighbors[0].customer_as, neighbors[0].peer_as), (4_200_000_001, 4_294_967_294));
}

#[tokio::test]
async fn neighbours_are_asked_for_once_a_session_and_again_while_there_are_none() {
    let (server, project) = server().await;
    let none = ok(json!({"bgp_neighbors": []}));
    Mock::given(any()).respond_with(none).up_to_n_times(1).with_priority(1).mount(&server).await;
    let answer = json!({"bgp_neighbors": [{"address_family": 4, "customer_as": 65000, "customer_ip": "10.0.0.1",
        "peer_as": 65530, "peer_ips": ["169.254.255.1"]}]});
    answers(&server, "GET", "/devices/d1/bgp/neighbors", ok(answer)).await;
    let session = |id| BgpSession { id: SessionId::new(id), device: DeviceId::new("d1"), family: IpFamily::V4 };
    let mut counts = Vec::new();
    for id in ["s1", "s1", "s1", "s2", "s2", "s1"] {
        let neighbors = project.neighbors(&session(id)).await.expect("neighbours");
        counts.push((neighbors.len(), calls(&server).await.len()));
    }
    assert_eq!(counts, [(0, 1), (1, 2), (1, 2), (1, 3), (1, 3), (1, 3)]);
    let concurrent = (0..50).map(|_| {
        let session = session("s3");
        let project = &project;
        async move { project.neighbors(&session).await }
    });
    assert!(futures::future::join_all(concurrent).await.iter().all(Result::is_ok));
    assert_eq!(calls(&server).await.len(), 4);
}

#[tokio::test]
async fn sessions_come_with_the_configuration_or_else_by_themselves() {
    let session = json!({"id": "s1", "address_family": "ipv4", "device": {"href": "/metal/v1/devices/d1"}});
    let config = |sessions: Value| json!({"id": "b", "status": "enabled", "asn": 65000, "sessions": sessions});
    let both = vec!["GET /projects/p1/bgp-config", "GET /projects/p1/bgp/sessions"];
    let alone = vec!["GET /projects/p1/bgp-config"];
    let cases = [
        ("in full", config(json!([session])), 1, alone.clone()),
        ("none", config(json!([])), 0, alone.clone()),
        ("references", config(json!([{"href": "/metal/v1/bgp/sessions/s1"}])), 1, both.clone()),
        ("not at all", json!({"id": "b", "status": "enabled"}), 1, both.clone()),
        ("null", config(Value::Null), 1, both),
        ("BGP was never enabled", json!({}), 0, alone.clone()),
        (
            "a family nobody knows",
            config(
                json!([session, {"id": "s2", "address_family": "ipv9", "device": {"href": "/metal/v1/devices/d1"}}]),
            ),
            1,
            alone,
        ),
    ];
    for (name, config, expected, expected_calls) in cases {
        let (server, project) = server().await;
        answers(&server, "GET", "/projects/p1/bgp-config", ok(config)).await;
        answers(&server, "GET", "/projects/p1/bgp/sessions", ok(json!({"bgp_sessions": [session]}))).await;
        let bgp = project.bgp(MaxAge::NOW).await.expect(name);
        assert_eq!(
            (bgp.sessions.len(), calls(&server).await),
            (expected, expected_calls.iter().map(|c| (*c).to_owned()).collect()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_project_are_told_apart_at_the_start() {
    let cases = [
        (ok(json!({"id": "p1"})), None),
        (
            ResponseTemplate::new(401),
            Some("Metal refuses the API key: check METAL_API_KEY (or apiKey in the cloud configuration)"),
        ),
        (
            ResponseTemplate::new(403),
            Some(
                "the API key does not reach the project p1: check METAL_PROJECT_ID (projectID in the cloud \
                 configuration), and that the key in METAL_API_KEY belongs to that project or to a member of it",
            ),
        ),
        (
            ResponseTemplate::new(404),
            Some(
                "the API key does not reach the project p1: check METAL_PROJECT_ID (projectID in the cloud \
                 configuration), and that the key in METAL_API_KEY belongs to that project or to a member of it",
            ),
        ),
        (ResponseTemplate::new(503), Some("could not ask Metal for the project p1")),
        (raw(200, "<html>", "text/html"), Some("could not ask Metal for the project p1")),
        (ok(json!({"id": "another"})), Some("could not ask Metal for the project p1")),
    ];
    for (answer, expected) in cases {
        let (server, project) = server().await;
        answers(&server, "GET", "/projects/p1", answer).await;
        let error = project.start_up_check().await.err();
        assert_eq!(error.as_ref().map(StartUpError::to_string).as_deref(), expected);
    }
}

/// Answers each connection with these bytes, then holds it open or closes it.
async fn wire(bytes: &'static str, then_close: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_err() || stream.write_all(bytes.as_bytes()).await.is_err() {
                continue;
            }
            if !then_close {
                held.push(stream);
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn cfg_34_35_without_a_whole_answer_there_is_an_ordinary_error_in_time() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"devices\": [";
    let cases = [
        ("refused", refused, "no connection: "),
        (
            "no TLS there",
            wire("HTTP/1.1 400 Bad Request\r\n\r\n", true).await.replace("http", "https"),
            "no connection: ",
        ),
        ("closed without a word", wire("", true).await, "the request failed: "),
        ("not HTTP", wire("SSH-2.0-OpenSSH_9.6\r\n", true).await, "the request failed: "),
        ("never answered", wire("", false).await, "no whole answer after 0.2 s"),
        ("stalled after the head", wire(head, false).await, "no whole answer after 0.2 s"),
        ("cut in the body", wire(head, true).await, "the answer broke off: "),
    ];
    for (name, url, expected) in cases {
        let config = ClientConfig {
            request_timeout: Duration::from_millis(200),
            deadline: Duration::from_secs(2),
            tries: 2,
            ..config(&url)
        };
        let project = project_with(config);
        let start = Instant::now();
        let error = project.devices(MaxAge::NOW).await.expect_err(name);
        assert!(start.elapsed() < Duration::from_secs(5), "{name}");
        let MetalError::Unreachable { cause, .. } = &error else { panic!("{name}: {error:?}") };
        assert!(cause.starts_with(expected), "{name}: {cause}");
        assert_eq!(error.retry(), RetryClass::Backoff, "{name}");
        assert!(project.existence(&DeviceId::new("d1"), MaxAge::NOW).await.is_err(), "{name}");
        assert!(project.contact().failing.is_some(), "{name}");
    }
}

#[tokio::test]
async fn cfg_34_a_call_ends_at_its_deadline_and_when_it_is_dropped() {
    let url = wire("", false).await;
    let config = ClientConfig { deadline: Duration::from_millis(300), tries: 100, ..config(&url) };
    let project = project_with(config);
    let start = Instant::now();
    project.devices(MaxAge::NOW).await.expect_err("no answer");
    assert!(start.elapsed() < Duration::from_secs(3));

    let server = MockServer::start().await;
    let slow = ok(json!({"devices": [{"id": "d1"}]})).set_delay(Duration::from_secs(60));
    Mock::given(any()).respond_with(slow).up_to_n_times(1).with_priority(1).mount(&server).await;
    answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
    let project = project_with(self::config(&server.uri()));
    let dropped = tokio::time::timeout(Duration::from_millis(100), project.devices(MaxAge::NOW)).await;
    assert!(dropped.is_err());
    assert_eq!(project.devices(MaxAge::NOW).await.map(|devices| devices.len()).ok(), Some(1));
}

#[derive(Default)]
struct Counter(Mutex<Vec<(Method, &'static str, Outcome)>>);

impl RequestObserver for Counter {
    fn observe(&self, report: &RequestReport) {
        self.0.lock().expect("no panic").push((report.method, report.route, report.outcome));
    }
}

#[tokio::test]
async fn every_request_is_reported_with_its_route() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).with_priority(1).mount(&server).await;
    answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
    answers(&server, "DELETE", "/ips/r1", ResponseTemplate::new(404)).await;
    let counter = Arc::new(Counter::default());
    let client = Client::new(config(&server.uri()), counter.clone()).expect("a client");
    let project = Project::new(client, "p1", ProjectConfig::default());
    project.devices(MaxAge::NOW).await.expect("a listing");
    project.release(&ReservationId::new("r1")).await.expect("released");
    let client = Client::new(config(&wire("", true).await), counter.clone()).expect("a client");
    let project = Project::new(client, "p1", ProjectConfig::default());
    project.reservations(MaxAge::NOW).await.expect_err("nobody there");
    let expected = [
        (Method::Get, "/projects/{id}/devices", Outcome::Status(503)),
        (Method::Get, "/projects/{id}/devices", Outcome::Status(200)),
        (Method::Delete, "/ips/{id}", Outcome::Status(404)),
        (Method::Get, "/projects/{id}/ips", Outcome::NoAnswer),
        (Method::Get, "/projects/{id}/ips", Outcome::NoAnswer),
        (Method::Get, "/projects/{id}/ips", Outcome::NoAnswer),
    ];
    assert_eq!(*counter.0.lock().expect("no panic"), expected);
}

/// A log to look into.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn cfg_33_the_dump_shows_everything_but_the_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = MockServer::start().await;
    let never = json!({"id": "b", "status": "disabled", "md5": MD5, "asn": 65000, "sessions": []});
    answers(&server, "GET", "/projects/p1/bgp-config", ok(never)).await;
    let refusal = json!({"errors": [format!("{MD5} and {KEY} do not please")]});
    let refusal = ResponseTemplate::new(422).set_body_json(refusal);
    answers(&server, "POST", "/projects/p1/bgp-configs", refusal).await;
    let project = project_with(ClientConfig { dump: HttpDump::On, ..config(&server.uri()) });
    project.enable_bgp(65000, Some(&Secret::new(MD5))).await.expect_err("refused");
    assert!(format!("{project:?}").len() > 10);
    let shown = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    for part in ["/projects/p1/bgp-configs", "kubernetes-load-balancer", "disabled", "do not please", "[redacted]"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    for secret in [MD5, KEY] {
        assert!(!shown.contains(secret) && !format!("{project:?}").contains(secret), "{secret} is in\n{shown}");
    }
}

#[tokio::test]
async fn inst_03_a_device_beyond_the_listing_exists_where_its_own_address_says_so() {
    let (server, project) = server().await;
    answers(&server, "GET", "/projects/p1/devices", ok(json!({"devices": [{"id": "d1"}]}))).await;
    answers(&server, "GET", "/devices/d2", ok(json!({"id": "d2", "state": "something_new"}))).await;
    for _ in 0..5 {
        let found = project.existence(&DeviceId::new("d2"), MaxAge::RECENT).await.expect("an answer");
        assert!(matches!(found, Existence::Exists(device) if device.id.as_str() == "d2"));
    }
    assert_eq!(calls(&server).await, ["GET /projects/p1/devices", "GET /devices/d2"]);
}

#[tokio::test]
async fn inst_03_gone_takes_a_listing_the_device_and_the_project() {
    let others = || ok(json!({"devices": [{"id": "other"}]}));
    let none = || ok(json!({"devices": []}));
    let names = |devices: Value| ok(json!({"id": "p1", "devices": devices}));
    let ours = || json!([{"href": "/metal/v1/devices/d1"}]);
    let theirs = || json!([{"href": "/metal/v1/devices/other"}]);
    let status = ResponseTemplate::new;
    let cases = [
        ("404", others(), status(404), names(theirs()), true),
        ("403", others(), status(403), names(theirs()), true),
        ("404, in a project that does not name its devices", others(), status(404), ok(json!({"id": "p1"})), true),
        ("404, the last of all", none(), status(404), names(json!([])), true),
        ("403, the last of all: perhaps the key", none(), status(403), names(json!([])), false),
        ("404, but the project names it", others(), status(404), names(ours()), false),
        ("403, but the project names it", others(), status(403), names(ours()), false),
        ("404, and an empty list that the project belies", none(), status(404), names(theirs()), false),
        ("404, but the project is refused", others(), status(404), status(403), false),
        ("404, but the project is not found", others(), status(404), status(404), false),
        ("404, but the project does not answer", others(), status(404), status(503), false),
        ("404, but another project answers", others(), status(404), ok(json!({"id": "p2"})), false),
        (
            "404 as HTML, as from a wrong address",
            others(),
            raw(404, "<html>", "text/html"),
            raw(200, "<html>", "text/html"),
            false,
        ),
        ("another device answers", others(), ok(json!({"id": "other"})), names(theirs()), false),
        ("nothing answers", others(), ok(json!({})), names(theirs()), false),
    ];
    for (name, list, device, project_answer, gone) in cases {
        let (server, project) = server().await;
        answers(&server, "GET", "/projects/p1/devices", list).await;
        answers(&server, "GET", "/devices/d1", device).await;
        answers(&server, "GET", "/projects/p1", project_answer).await;
        let answer = project.existence(&DeviceId::new("d1"), MaxAge::RECENT).await;
        assert_eq!(answer.as_ref().ok(), gone.then_some(&Existence::Gone), "{name}: {answer:?}");
    }
}
