//! Flows of the shared view of a project against the simulated Metal API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud_provider_equinix_metal::domain::reservation::Location;
use cloud_provider_equinix_metal::domain::{
    DeviceId, IpFamily, ReservationId, ReservationRequest, ReservationState, ReservationType, Secret,
};
use cloud_provider_equinix_metal::metal::{
    Backoff, Client, ClientConfig, Project, ProjectConfig, RateLimit, StartUpError, Unobserved,
};
use cloud_provider_equinix_metal::ports::{Existence, MaxAge, Metal, MetalError};
use cloud_provider_equinix_metal::sandbox::metal::{
    Access, AddressFamily, Approval, ApprovalRequired, BgpSeed, BgpStatus, CannedReply, ClockStart, Decision,
    DeviceSeed, DeviceState, Effect, Fault, GoneDevice, MetalSimulator, ReservationSeed, SchemaDrift, SimulatorConfig,
};
use futures::future::join_all;
use pretty_assertions::assert_eq;

const LIST_DEVICES: &str = "GET /projects/{p}/devices";
const LIST_IPS: &str = "GET /projects/{p}/ips";
const RESERVE: &str = "POST /projects/{p}/ips";
const GET_DEVICE: &str = "GET /devices/{d}";
const GET_PROJECT: &str = "GET /projects/{p}";
const GET_BGP: &str = "GET /projects/{p}/bgp-config";
const ENABLE_BGP: &str = "POST /projects/{p}/bgp-configs";
const OPEN_SESSION: &str = "POST /devices/{d}/bgp/sessions";
const TAGS: [&str; 3] = ["usage=cloud-provider-equinix-metal-auto", "service=web", "cluster=c1"];
/// Long enough for a loaded machine, short enough to be waited for.
const WINDOW: Duration = Duration::from_millis(400);

/// A simulated project and a view of it.
struct Bench {
    simulator: MetalSimulator,
    project: Project,
}

impl Bench {
    async fn start(config: SimulatorConfig) -> Self {
        let simulator = MetalSimulator::start(config).await.expect("a simulator");
        let project = view(&simulator, ProjectConfig::default());
        Self { simulator, project }
    }

    /// With so many devices, none of them asked about yet.
    async fn with_devices(config: SimulatorConfig, count: usize) -> (Self, Vec<DeviceId>) {
        let bench = Self::start(config).await;
        let state = bench.simulator.state();
        let seed = |n| state.seed_device(DeviceSeed::new(&format!("node-{n}"), "da")).expect("a device");
        let ids = (1..=count).map(|n| DeviceId::new(seed(n))).collect();
        (bench, ids)
    }

    /// Doubts about purchases end soon enough to be waited for.
    fn hasty(&mut self) {
        let config =
            ProjectConfig { doubt_window: WINDOW, doubt_poll: Duration::from_millis(20), ..ProjectConfig::default() };
        self.project = view(&self.simulator, config);
    }

    fn fault(&self, fault: Fault) {
        self.simulator.state().faults().push(fault).expect("a route of the API");
    }

    /// Calls since the last look, but for those whose number is not the point.
    fn calls(&self) -> BTreeMap<String, u64> {
        let journal = self.simulator.state().journal();
        let counts = journal.counts();
        journal.reset();
        counts
    }

    fn held(&self) -> usize {
        self.simulator.state().reservations().len()
    }

    fn assert_clean(&self, name: &str) {
        let audit = self.simulator.state().audit();
        assert!(audit.is_clean(), "{name}: {audit:?}");
    }
}

fn view(simulator: &MetalSimulator, config: ProjectConfig) -> Project {
    let failure_hold = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(10) };
    let config = ProjectConfig { failure_hold, ..config };
    let client_config = ClientConfig {
        request_timeout: Duration::from_millis(300),
        deadline: Duration::from_secs(10),
        tries: 3,
        backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4) },
        rate: RateLimit { per_second: 100_000.0, burst: 10_000 },
        longest_pause: Duration::from_millis(50),
        ..ClientConfig::new(simulator.base_url(), Secret::new("sandbox-token"))
    };
    let client = Client::new(client_config, Arc::new(Unobserved)).expect("a client");
    Project::new(client, simulator.state().id(), config)
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

fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(route, count)| (route.to_owned(), count)).into()
}

fn request() -> ReservationRequest {
    ReservationRequest {
        kind: ReservationType::PublicIpv4,
        location: Some(Location::Metro("da".into())),
        tags: TAGS.map(str::to_owned).into(),
        details: "for a test".into(),
    }
}

fn still() -> ClockStart {
    ClockStart::Manual("2024-03-01T00:00:00Z".parse().expect("a time"))
}

#[tokio::test]
async fn inst_07_of_25_devices_in_pages_of_10_all_are_seen() {
    let config = SimulatorConfig { per_page_cap: 10, ..SimulatorConfig::default() };
    let (bench, _) = Bench::with_devices(config, 25).await;
    for hostname in (1..=25).map(|n| format!("node-{n}")) {
        let device = bench.project.device_by_hostname(&hostname, MaxAge::RECENT).await.expect("a listing");
        assert_eq!(device.map(|device| device.hostname.clone()), Some(hostname));
    }
    assert_eq!(bench.calls(), counts([(LIST_DEVICES, 3)]));
}

#[tokio::test]
async fn lb_06_of_60_reservations_in_pages_of_10_all_are_seen() {
    let config = SimulatorConfig { per_page_cap: 10, ..SimulatorConfig::default() };
    let bench = Bench::start(config).await;
    let tag = |n: u32| format!("service={n}");
    for n in 0..60 {
        let seed = ReservationSeed::public("da", &["usage=x", &tag(n)]);
        bench.simulator.state().seed_reservation(seed).expect("a reservation");
    }
    for n in 0..60 {
        let found = bench.project.reservations_tagged(&[&tag(n), "usage=x"], MaxAge::RECENT).await.expect("a listing");
        assert_eq!(found.len(), 1, "{n}");
    }
    assert_eq!(bench.calls(), counts([(LIST_IPS, 6)]));
}

#[tokio::test]
async fn a_listing_is_shared_by_all_who_ask_at_once_and_after() {
    let (bench, ids) = Bench::with_devices(SimulatorConfig::default(), 50).await;
    let asks = ids.iter().map(|id| bench.project.existence(id, MaxAge::RECENT));
    assert!(join_all(asks).await.iter().all(Result::is_ok));
    let asks = (0..2000).map(|n| {
        let project = &bench.project;
        async move { project.reservations_tagged(&[&format!("service={n}")], MaxAge::RECENT).await }
    });
    assert!(join_all(asks).await.iter().all(Result::is_ok));
    let asks = (0..100).map(|_| bench.project.bgp(MaxAge::RECENT));
    assert!(join_all(asks).await.iter().all(Result::is_ok));
    assert_eq!(bench.calls(), counts([(LIST_DEVICES, 1), (LIST_IPS, 1), (GET_BGP, 1)]));
}

#[tokio::test]
async fn inst_03_a_device_in_any_state_exists_and_one_that_is_gone_does_not() {
    let gone_in = [GoneDevice::NotFound, GoneDevice::Forbidden];
    for gone_device in gone_in {
        let config = SimulatorConfig { gone_device, clock: still(), ..SimulatorConfig::default() };
        let (bench, ids) = Bench::with_devices(config, 5).await;
        let state = bench.simulator.state();
        let states =
            [DeviceState::Inactive, DeviceState::Failed, DeviceState::Deprovisioning, DeviceState::Reinstalling];
        for (id, device_state) in ids.iter().zip(states) {
            state.set_device_state(id.as_str(), device_state).expect("a device");
        }
        for id in &ids {
            let found = bench.project.existence(id, MaxAge::RECENT).await.expect("an answer");
            assert!(matches!(found, Existence::Exists(_)), "{id}");
        }
        assert_eq!(bench.calls(), counts([(LIST_DEVICES, 1)]), "{gone_device:?}");

        state.remove_device(ids[4].as_str()).expect("a device");
        assert!(matches!(bench.project.existence(&ids[4], MaxAge::RECENT).await, Ok(Existence::Exists(_))));
        assert_eq!(bench.calls(), counts([]), "as old as allowed");
        let found = bench.project.existence(&ids[4], MaxAge::NOW).await.expect("an answer");
        assert_eq!(found, Existence::Gone, "{gone_device:?}");
        assert_eq!(bench.calls(), counts([(LIST_DEVICES, 1), (GET_DEVICE, 1), (GET_PROJECT, 1)]), "{gone_device:?}");
    }
}

#[tokio::test]
async fn inst_18_an_answer_that_is_no_proof_never_means_gone() {
    let missing = DeviceId::new("00000000-0000-4000-8000-000000000000");
    let reply = |status, text| Effect::Reply(CannedReply::errors(status, &[text]));
    let cases: [(&str, Vec<Fault>); 12] = [
        ("a 500 that says Not Found", vec![Fault::on(GET_DEVICE, reply(500, "Not Found"))]),
        ("a 401", vec![Fault::on(GET_DEVICE, reply(401, "Not found"))]),
        ("a 422", vec![Fault::on(GET_DEVICE, reply(422, "Not found"))]),
        ("HTML", vec![Fault::on(GET_DEVICE, Effect::Reply(CannedReply::html(503)))]),
        ("a cut", vec![Fault::on(GET_DEVICE, Effect::Cut)]),
        ("half an answer", vec![Fault::on(GET_DEVICE, Effect::CutBody)]),
        ("the wrong content type", vec![Fault::on("*", Effect::WrongContentType)]),
        ("silence", vec![Fault::on(GET_DEVICE, Effect::Hang)]),
        ("the list is refused", vec![Fault::on(LIST_DEVICES, reply(403, "no"))]),
        ("the list is not found", vec![Fault::on(LIST_DEVICES, reply(404, "Not found"))]),
        ("everything is not found", vec![Fault::on("*", reply(404, "Not found"))]),
        (
            "rights go between the list and the device",
            vec![Fault::on(GET_DEVICE, reply(403, "no")), Fault::on(GET_PROJECT, reply(403, "no"))],
        ),
    ];
    for (name, faults) in cases {
        let (bench, ids) = Bench::with_devices(SimulatorConfig::default(), 2).await;
        faults.into_iter().for_each(|fault| bench.fault(fault));
        for id in [&missing, &ids[0]] {
            let answer = bench.project.existence(id, MaxAge::NOW).await;
            assert_ne!(answer.as_ref().ok(), Some(&Existence::Gone), "{name}");
            assert!(*id != missing || answer.is_err(), "{name}: {answer:?}");
        }
        bench.simulator.state().faults().clear();
        let settled = async {
            while bench.project.existence(&missing, MaxAge::NOW).await.ok() != Some(Existence::Gone) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled).await.expect(name);
    }
}

#[tokio::test]
async fn a_key_that_loses_its_rights_makes_nothing_disappear() {
    for access in [Access::Forbidden, Access::EmptyLists, Access::Unknown] {
        let (bench, ids) = Bench::with_devices(SimulatorConfig::default(), 3).await;
        bench.simulator.state().seed_reservation(ReservationSeed::public("da", &TAGS)).expect("a reservation");
        let known = bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("a listing");
        bench.project.devices(MaxAge::NOW).await.expect("a listing");
        bench.simulator.state().set_access("sandbox-token", access);
        for id in &ids {
            let answer = bench.project.existence(id, MaxAge::NOW).await;
            assert!(answer.is_err(), "{access:?}: {answer:?}");
        }
        for (what, answer) in [
            ("devices", bench.project.devices(MaxAge::NOW).await.map(|found| found.len())),
            ("reservations", bench.project.reservations(MaxAge::NOW).await.map(|found| found.len())),
            ("tagged", bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.map(|found| found.len())),
            ("by hostname", bench.project.device_by_hostname("node-1", MaxAge::NOW).await.map(|_| 0)),
            ("an unknown id", bench.project.reservation(&ReservationId::new("r")).await.map(|_| 0)),
        ] {
            assert!(answer.is_err(), "{access:?}: {what}: {answer:?}");
        }
        assert!(bench.project.start_up_check().await.is_err(), "{access:?}");
        bench.simulator.state().set_access("sandbox-token", Access::Full);
        let restored = async {
            while bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.ok().as_ref() != Some(&known) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), restored).await.expect("the view recovers");
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_project_are_told_apart() {
    let (bench, _) = Bench::with_devices(SimulatorConfig::default(), 1).await;
    bench.project.start_up_check().await.expect("the key fits");
    bench.simulator.state().set_access("sandbox-token", Access::Forbidden);
    assert!(matches!(bench.project.start_up_check().await, Err(StartUpError::Project { .. })));
    bench.simulator.state().set_access("sandbox-token", Access::Unknown);
    assert!(matches!(bench.project.start_up_check().await, Err(StartUpError::Key(_))));
}

#[tokio::test]
async fn inst_21_of_two_devices_with_one_hostname_the_first_listed_is_used_and_a_warning_says_so() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (bench, ids) = Bench::with_devices(SimulatorConfig::default(), 2).await;
    bench.simulator.state().relabel_device(ids[1].as_str(), "node-1", &[]).expect("a device");
    let listed = bench.project.devices(MaxAge::NOW).await.expect("a listing");
    for _ in 0..3 {
        let found = bench.project.device_by_hostname("node-1", MaxAge::NOW).await.expect("a listing");
        assert_eq!(found.map(|device| device.id.clone()), Some(listed[0].id.clone()));
    }
    let shown = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let warnings: Vec<&str> = shown.lines().filter(|line| line.contains(" WARN ")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("several devices share a hostname"), "{shown}");
    assert!(warnings[0].contains("node-1") && warnings[0].contains(listed[0].id.as_str()), "{shown}");
}

#[tokio::test]
async fn a_reservation_that_waits_for_approval_is_seen_in_each_of_its_states() {
    for (decision, expected) in
        [(Decision::Approve, ReservationState::Created), (Decision::Deny, ReservationState::Denied)]
    {
        let approval = Approval { required: ApprovalRequired::Always, decision: Decision::Hold, after: Duration::ZERO };
        let bench = Bench::start(SimulatorConfig { approval, ..SimulatorConfig::default() }).await;
        // Somebody asked for it by hand, ready to wait.
        let url = format!("{}/projects/{}/ips", bench.simulator.base_url(), bench.project.id());
        let body = serde_json::json!({"type": "public_ipv4", "quantity": 1, "metro": "da", "tags": TAGS});
        let asked = reqwest::Client::new().post(url).header("x-auth-token", "sandbox-token").json(&body).send().await;
        assert_eq!(asked.expect("an answer").status().as_u16(), 201);
        let read = async || bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("a listing").remove(0);
        let pending = read().await;
        assert_eq!((&pending.state, pending.usable_address()), (&ReservationState::Pending, None));
        bench.simulator.state().decide(pending.id.as_str(), decision);
        let decided = read().await;
        assert_eq!((&decided.id, &decided.state), (&pending.id, &expected));
        assert_eq!(decided.usable_address().is_some(), expected == ReservationState::Created);
    }
}

#[tokio::test]
async fn inst_19_a_schema_that_drifts_is_read_all_the_same() {
    for schema_drift in [SchemaDrift::UnknownFields, SchemaDrift::MissingFields] {
        let (bench, ids) = Bench::with_devices(SimulatorConfig { schema_drift, ..SimulatorConfig::default() }, 3).await;
        let state = bench.simulator.state();
        state.set_bgp(BgpSeed::default());
        state.open_session(ids[0].as_str(), AddressFamily::Ipv4).expect("a session");
        let reservation = bench.project.reserve(&request()).await.expect("a reservation");
        assert!(reservation.usable_address().is_some(), "{schema_drift:?}: {reservation:?}");
        assert_eq!(bench.project.devices(MaxAge::NOW).await.expect("devices").len(), 3, "{schema_drift:?}");
        let tagged = bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("reservations");
        assert_eq!(tagged[0].id, reservation.id, "{schema_drift:?}");
        let bgp = bench.project.bgp(MaxAge::NOW).await.expect("BGP");
        let session = &bgp.sessions[&(ids[0].clone(), IpFamily::V4)];
        assert_eq!(bench.project.neighbors(session).await.expect("neighbours").len(), 1, "{schema_drift:?}");
    }
}

#[tokio::test]
async fn lb_05_a_vrf_block_does_not_get_in_the_way() {
    let bench = Bench::start(SimulatorConfig::default()).await;
    let state = bench.simulator.state();
    let block = "10.1.2.0/24".parse().expect("a block");
    state.seed_reservation(ReservationSeed::vrf("da", block)).expect("a VRF block");
    let ours = state.seed_reservation(ReservationSeed::public("da", &TAGS)).expect("a reservation");
    let found = bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("a listing");
    assert_eq!(found.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), [ours]);
    assert_eq!(bench.project.reservations(MaxAge::RECENT).await.expect("a listing").len(), 1);
    let inside = "10.1.2.3".parse().expect("an address");
    assert_eq!(bench.project.reservation_of(inside, MaxAge::RECENT).await.expect("a listing"), None);
}

#[tokio::test]
async fn lists_that_lag_do_not_hide_what_this_process_wrote() {
    let lag = Duration::from_secs(30);
    let config = SimulatorConfig {
        visibility_lag: lag,
        session_visibility_lag: lag,
        clock: still(),
        ..SimulatorConfig::default()
    };
    let (bench, ids) = Bench::with_devices(config, 2).await;
    let state = bench.simulator.state();
    state.set_bgp(BgpSeed::default());
    state.advance(lag * 2);
    let tagged = || bench.project.reservations_tagged(&TAGS, MaxAge::NOW);
    assert_eq!(tagged().await.expect("a listing"), []);

    let reservation = bench.project.reserve(&request()).await.expect("a reservation");
    assert_eq!(tagged().await.expect("a listing"), std::slice::from_ref(&reservation));
    let address = reservation.usable_address().expect("an address");
    let holder = bench.project.reservation_of(address, MaxAge::NOW).await.expect("a listing");
    assert_eq!(holder.map(|holder| holder.id.clone()), Some(reservation.id.clone()));
    state.advance(lag * 2);
    assert_eq!(tagged().await.expect("a listing")[0].id, reservation.id);

    bench.project.release(&reservation.id).await.expect("released");
    bench.calls();
    assert_eq!(tagged().await.expect("a listing"), []);
    assert_eq!(bench.project.reservation(&reservation.id).await.expect("an answer"), None);
    assert_eq!(bench.calls(), counts([(LIST_IPS, 1)]));

    bench.project.create_bgp_session(&ids[0], IpFamily::V4).await.expect("a session");
    let sessions = bench.project.bgp(MaxAge::NOW).await.expect("a listing").sessions.clone();
    assert_eq!(sessions.keys().cloned().collect::<Vec<_>>(), [(ids[0].clone(), IpFamily::V4)]);
    bench.assert_clean("at the end");
}

/// Ways to lose the answer to a purchase.
fn losses() -> [(&'static str, Effect); 7] {
    [
        ("a cut", Effect::Cut),
        ("silence", Effect::Hang),
        ("half an answer", Effect::CutBody),
        ("an answer that stalls", Effect::StallBody),
        ("half a JSON", Effect::TruncatedJson),
        ("the wrong content type", Effect::WrongContentType),
        ("the API's own 500", Effect::Reply(CannedReply::oh_snap())),
    ]
}

#[tokio::test]
async fn a_purchase_whose_answer_was_lost_is_found_and_not_made_again() {
    for (name, effect) in losses() {
        let bench = Bench::start(SimulatorConfig::default()).await;
        assert_eq!(bench.project.reservations_tagged(&TAGS, MaxAge::RECENT).await.expect(name), [], "{name}");
        bench.fault(Fault::on(RESERVE, effect).after_commit().once());
        let error = bench.project.reserve(&request()).await.expect_err(name);
        assert!(error.is_ambiguous(), "{name}: {error}");
        let found = bench.project.reservations_tagged(&TAGS, MaxAge::RECENT).await.expect(name);
        assert_eq!((found.len(), bench.held()), (1, 1), "{name}");
        assert_eq!(bench.calls()[RESERVE], 1, "{name}");
        bench.assert_clean(name);
    }
}

#[tokio::test]
async fn a_purchase_whose_answer_was_lost_is_adopted_by_the_next_purchase() {
    for (name, effect) in losses() {
        let bench = Bench::start(SimulatorConfig::default()).await;
        bench.fault(Fault::on(RESERVE, effect).after_commit().once());
        bench.project.reserve(&request()).await.expect_err(name);
        // Another reader's listing may be the one that finds it.
        bench.project.reservations(MaxAge::RECENT).await.expect(name);
        let adopted = bench.project.reserve(&request()).await.expect(name);
        assert_eq!(adopted.id.as_str(), bench.simulator.state().reservations()[0].id, "{name}");
        assert_eq!((bench.calls()[RESERVE], bench.held()), (1, 1), "{name}");
        bench.assert_clean(name);
    }
}

#[tokio::test]
async fn while_lists_lag_a_lost_purchase_is_neither_denied_nor_repeated() {
    let config =
        SimulatorConfig { visibility_lag: Duration::from_secs(20), clock: still(), ..SimulatorConfig::default() };
    let (bench, _) = Bench::with_devices(config, 1).await;
    bench.simulator.state().advance(Duration::from_secs(60));
    bench.fault(Fault::on(RESERVE, Effect::Cut).after_commit().once());
    bench.project.reserve(&request()).await.expect_err("a cut");
    for _ in 0..3 {
        let read = bench.project.reservations_tagged(&TAGS, MaxAge::RECENT).await;
        assert!(matches!(read, Err(MetalError::Unsettled { .. })), "{read:?}");
        let write = bench.project.reserve(&request()).await;
        assert!(matches!(write, Err(MetalError::Unsettled { .. })), "{write:?}");
    }
    let other = bench.project.reservations_tagged(&["service=db"], MaxAge::RECENT).await;
    assert_eq!(other.expect("another Service is not concerned"), []);
    let calls = bench.calls();
    assert_eq!((calls[RESERVE], calls[LIST_IPS]), (1, 1), "{calls:?}");
    bench.simulator.state().advance(Duration::from_secs(60));
    let found = bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("the list has caught up");
    assert_eq!((found.len(), bench.held()), (1, 1));
    bench.assert_clean("at the end");
}

#[tokio::test]
async fn a_purchase_that_did_not_happen_is_made_again_once_lists_can_be_trusted() {
    let (mut bench, _) = Bench::with_devices(SimulatorConfig::default(), 1).await;
    bench.hasty();
    bench.fault(Fault::on(RESERVE, Effect::Cut).once());
    bench.project.reserve(&request()).await.expect_err("a cut");
    let early = bench.project.reserve(&request()).await;
    assert!(matches!(early, Err(MetalError::Unsettled { .. })), "{early:?}");
    let lost = std::time::Instant::now();
    let bought = async {
        loop {
            match bench.project.reserve(&request()).await {
                Ok(reservation) => return reservation,
                Err(MetalError::Unsettled { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let bought = tokio::time::timeout(Duration::from_secs(10), bought).await.expect("in the end");
    assert!(lost.elapsed() >= WINDOW / 2, "not before lists can be trusted");
    let found = bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("a listing");
    assert_eq!(found.iter().map(|found| &found.id).collect::<Vec<_>>(), [&bought.id]);
    assert_eq!((bench.calls()[RESERVE], bench.held()), (2, 1));
    bench.assert_clean("at the end");
}

#[tokio::test]
async fn a_purchase_that_was_cancelled_is_in_doubt() {
    let bench = Bench::start(SimulatorConfig::default()).await;
    bench.fault(Fault::on(RESERVE, Effect::Hang).after_commit().once());
    let cancelled = tokio::time::timeout(Duration::from_millis(100), bench.project.reserve(&request())).await;
    assert!(cancelled.is_err());
    let adopted = bench.project.reserve(&request()).await.expect("found");
    assert_eq!(adopted.id.as_str(), bench.simulator.state().reservations()[0].id);
    assert_eq!((bench.calls()[RESERVE], bench.held()), (1, 1));
}

#[tokio::test]
async fn of_two_purchases_at_once_with_the_same_tags_one_is_made() {
    let bench = Bench::start(SimulatorConfig::default()).await;
    bench.fault(Fault::on(RESERVE, Effect::Delay(Duration::from_millis(100))));
    let request = request();
    let results = join_all((0..10).map(|_| bench.project.reserve(&request))).await;
    let made = results.iter().filter(|result| result.is_ok()).count();
    let held_back = results.iter().filter(|result| matches!(result, Err(MetalError::Unsettled { .. }))).count();
    assert_eq!((made, held_back, bench.held()), (1, 9, 1));
}

#[tokio::test]
async fn a_purchase_that_would_have_to_wait_for_approval_is_refused_and_leaves_no_doubt() {
    let approval = Approval { required: ApprovalRequired::Always, decision: Decision::Hold, after: Duration::ZERO };
    let bench = Bench::start(SimulatorConfig { approval, ..SimulatorConfig::default() }).await;
    let refused = bench.project.reserve(&request()).await.expect_err("needs approval");
    assert!(matches!(refused, MetalError::Rejected { status: 422, .. }), "{refused}");
    assert_eq!(bench.held(), 0);
    assert_eq!(bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("no doubt is left"), []);
}

#[tokio::test]
async fn a_release_whose_answer_was_lost_is_repeated_and_succeeds() {
    for (name, effect) in losses() {
        let bench = Bench::start(SimulatorConfig::default()).await;
        let reservation = bench.project.reserve(&request()).await.expect("a reservation");
        assert_eq!(reservation.state, ReservationState::Created);
        // An answer without a body loses nothing by half or by its content type.
        let harmless =
            matches!(effect, Effect::TruncatedJson | Effect::WrongContentType | Effect::CutBody | Effect::StallBody);
        bench.fault(Fault::on("DELETE /ips/{id}", effect).after_commit().once());
        bench.project.release(&reservation.id).await.expect(name);
        let deletes = bench.calls()["DELETE /ips/{id}"];
        assert!(deletes == 2 || (harmless && deletes == 1), "{name}: {deletes}");
        assert_eq!(bench.held(), 0, "{name}");
        assert_eq!(bench.project.reservations_tagged(&TAGS, MaxAge::RECENT).await.expect("a listing"), [], "{name}");
    }
}

#[tokio::test]
async fn a_reservation_that_others_release_is_gone_from_the_next_listing() {
    let (mut bench, _) = Bench::with_devices(SimulatorConfig::default(), 1).await;
    bench.project = view(&bench.simulator, ProjectConfig { settle: Duration::ZERO, ..ProjectConfig::default() });
    let reservation = bench.project.reserve(&request()).await.expect("a reservation");
    bench.simulator.state().release(reservation.id.as_str()).expect("a reservation");
    assert_eq!(bench.project.reservations_tagged(&TAGS, MaxAge::NOW).await.expect("a listing"), []);
    assert_eq!(bench.project.reservation(&reservation.id).await.expect("an answer"), None);
}

#[tokio::test]
async fn entries_that_move_between_pages_are_not_lost() {
    let config = SimulatorConfig { per_page_cap: 5, ..SimulatorConfig::default() };
    let (bench, ids) = Bench::with_devices(config, 12).await;
    bench.fault(Fault::on(LIST_DEVICES, Effect::ShiftPage(1)).skip(1).once());
    assert_eq!(bench.project.devices(MaxAge::NOW).await.expect("a listing").len(), ids.len());
    assert_eq!(bench.calls(), counts([(LIST_DEVICES, 6)]));
}

#[tokio::test]
async fn bgp_04_bgp_is_enabled_only_where_it_is_known_to_be_off() {
    let reply = |status| Effect::Reply(CannedReply::errors(status, &["x"]));
    for (name, effect) in [
        ("401", reply(401)),
        ("403", reply(403)),
        ("500", reply(500)),
        ("429", reply(429)),
        ("silence", Effect::Hang),
        ("a cut", Effect::Cut),
        ("HTML", Effect::WrongContentType),
        ("half a JSON", Effect::TruncatedJson),
    ] {
        let bench = Bench::start(SimulatorConfig::default()).await;
        bench.fault(Fault::on(GET_BGP, effect));
        bench.project.enable_bgp(65000, None).await.expect_err(name);
        assert_eq!(bench.calls().get(ENABLE_BGP), None, "{name}");
    }
    let bench = Bench::start(SimulatorConfig::default()).await;
    bench.simulator.state().set_bgp(BgpSeed { status: BgpStatus::Disabled, ..BgpSeed::default() });
    let disabled = bench.project.enable_bgp(65000, None).await;
    assert_eq!(bench.calls()[ENABLE_BGP], 1, "disabled: {disabled:?}");
    let enabled = |status| Some(BgpSeed { status, ..BgpSeed::default() });
    for (name, seed, not_found, posts) in [
        ("never enabled", None, false, 1),
        ("not found", None, true, 1),
        ("enabled", enabled(BgpStatus::Enabled), false, 0),
        ("requested", enabled(BgpStatus::Requested), false, 0),
    ] {
        let bench = Bench::start(SimulatorConfig::default()).await;
        if let Some(seed) = seed {
            bench.simulator.state().set_bgp(seed);
        }
        if not_found {
            bench.fault(Fault::on(GET_BGP, reply(404)).once());
        }
        for _ in 0..3 {
            bench.project.enable_bgp(65000, Some(&Secret::new("Passw0rdPassw0rd"))).await.expect(name);
        }
        let calls = bench.calls();
        assert_eq!(calls.get(ENABLE_BGP).copied().unwrap_or_default(), posts, "{name}: {calls:?}");
        let config = bench.project.bgp(MaxAge::RECENT).await.expect(name).config.clone();
        assert!(config.is_some_and(|config| config.is_enabled()), "{name}");
    }
}

#[tokio::test]
async fn enabling_bgp_twice_or_with_a_lost_answer_succeeds() {
    let lost = Fault::on(ENABLE_BGP, Effect::Cut).after_commit().once();
    let bench = Bench::start(SimulatorConfig::default()).await;
    bench.fault(lost);
    bench.project.enable_bgp(65000, None).await.expect("the second try is told that it is enabled");
    assert_eq!(bench.calls(), counts([(GET_BGP, 2), (ENABLE_BGP, 2)]));

    let bench = Bench::start(SimulatorConfig::default()).await;
    bench.project.bgp(MaxAge::RECENT).await.expect("not enabled yet");
    bench.simulator.state().set_bgp(BgpSeed::default());
    bench.project.enable_bgp(65000, None).await.expect("somebody else was faster");
    assert_eq!(bench.calls(), counts([(GET_BGP, 2), (ENABLE_BGP, 1)]));
}

#[tokio::test]
async fn a_session_that_is_there_counts_as_made() {
    let (bench, ids) = Bench::with_devices(SimulatorConfig::default(), 2).await;
    let state = bench.simulator.state();
    let refused = bench.project.create_bgp_session(&ids[0], IpFamily::V4).await.expect_err("BGP is off");
    assert!(refused.to_string().contains("BGP is not enabled"), "{refused}");
    state.set_bgp(BgpSeed::default());
    assert_eq!(bench.project.bgp(MaxAge::RECENT).await.expect("a listing").sessions.len(), 0);
    // Somebody else opens one behind our back, and one answer is lost.
    let opened = state.open_session(ids[0].as_str(), AddressFamily::Ipv4).expect("a session");
    bench.project.create_bgp_session(&ids[0], IpFamily::V4).await.expect("already there");
    bench.fault(Fault::on(OPEN_SESSION, Effect::Reply(CannedReply::oh_snap())).after_commit().once());
    bench.project.create_bgp_session(&ids[1], IpFamily::V4).await.expect("made by the first try");
    bench.calls();
    let sessions = bench.project.bgp(MaxAge::RECENT).await.expect("a listing").sessions.clone();
    assert_eq!(sessions[&(ids[0].clone(), IpFamily::V4)].id.as_str(), opened);
    assert_eq!((sessions.len(), state.sessions().len()), (2, 2));
    assert_eq!(bench.calls(), counts([]), "both are known without another listing");
}

#[tokio::test]
async fn an_outage_is_an_ordinary_error_and_ends_by_itself() {
    let (bench, ids) = Bench::with_devices(SimulatorConfig::default(), 2).await;
    bench.fault(Fault::on("*", Effect::Cut));
    assert!(bench.project.devices(MaxAge::NOW).await.is_err());
    assert!(bench.project.existence(&ids[0], MaxAge::NOW).await.is_err());
    assert!(bench.project.reservations(MaxAge::NOW).await.is_err());
    assert!(bench.project.bgp(MaxAge::NOW).await.is_err());
    assert!(bench.project.contact().failing.is_some());
    bench.simulator.state().faults().clear();
    let over = async {
        while !matches!(bench.project.existence(&ids[0], MaxAge::NOW).await, Ok(Existence::Exists(_))) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("the outage is over");
    assert_eq!(bench.project.contact().failing, None);
}
