use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use pretty_assertions::assert_eq;
use tokio::time::{Instant, sleep, timeout};

use super::{
    ElectionConfig, ElectionObserver, ElectionTiming, LeaderElector, Leadership, LeaseApi, LeaseError, LostLeadership,
};
use crate::kubernetes::events::{EventSink, NewEvent, Severity};
use crate::kubernetes::server::HealthCheck;

/// An API server with one lease.
#[derive(Default)]
struct Leases(Mutex<State>);

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    requests: Vec<(Instant, &'static str)>,
    weather: Weather,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Weather {
    #[default]
    Fair,
    /// Requests get no answer.
    Silent,
    /// Requests are refused.
    Broken,
    /// The next update is stored but its answer is lost.
    LosesOneAnswer,
}

impl Leases {
    fn spec(&self) -> LeaseSpec {
        self.0.lock().unwrap().lease.clone().unwrap().spec.unwrap()
    }

    fn holder(&self) -> Option<String> {
        self.spec().holder_identity
    }

    /// Somebody else writes.
    fn put(&self, holder: &str, seconds: i32, transitions: i32) {
        let mut state = self.0.lock().unwrap();
        let mut lease = state.lease.clone().unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_string()),
            lease_duration_seconds: Some(seconds),
            lease_transitions: Some(transitions),
            // An hour behind, as a process with a bad clock would write it.
            renew_time: Some(MicroTime(Timestamp::now() - SignedDuration::from_hours(1))),
            ..LeaseSpec::default()
        });
        state.store(lease);
    }

    fn weather(&self, weather: Weather) {
        self.0.lock().unwrap().weather = weather;
    }

    fn requests(&self) -> Vec<(Instant, &'static str)> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }

    async fn admit(&self, verb: &'static str) -> Result<(), LeaseError> {
        let weather = {
            let mut state = self.0.lock().unwrap();
            state.requests.push((Instant::now(), verb));
            state.weather
        };
        match weather {
            Weather::Fair | Weather::LosesOneAnswer => Ok(()),
            Weather::Silent => std::future::pending().await,
            Weather::Broken => Err(LeaseError::TimedOut(Duration::ZERO)),
        }
    }
}

impl State {
    fn store(&mut self, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }
}

#[async_trait]
impl LeaseApi for Leases {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        self.admit("get").await?;
        Ok(self.0.lock().unwrap().lease.clone())
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        self.admit("create").await?;
        let mut state = self.0.lock().unwrap();
        match state.lease {
            Some(_) => Err(LeaseError::Conflict),
            None => Ok(state.store(lease.clone())),
        }
    }

    async fn update(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        self.admit("update").await?;
        let stored = {
            let mut state = self.0.lock().unwrap();
            let current = state.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
            if lease.metadata.resource_version != current {
                return Err(LeaseError::Conflict);
            }
            let stored = state.store(lease.clone());
            if state.weather != Weather::LosesOneAnswer {
                return Ok(stored);
            }
            state.weather = Weather::Fair;
            stored
        };
        drop(stored);
        std::future::pending().await
    }
}

#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn read(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl ElectionObserver for Journal {
    fn started_leading(&self) {
        self.write("status 1");
    }

    fn stopped_leading(&self) {
        self.write("status 0");
    }

    fn renewed_slowly(&self) {
        self.write("slow path");
    }
}

impl EventSink for Journal {
    fn record(&self, event: NewEvent) {
        assert_eq!(event.severity, Severity::Normal);
        let about = event.about;
        let kind = format!("{}/{}", about.api_version.unwrap(), about.kind.unwrap());
        let object = format!("{}/{}", about.namespace.unwrap(), about.name.unwrap());
        self.write(format!("{} on {kind} {object}: {}", event.reason, event.message));
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn config() -> ElectionConfig {
    ElectionConfig {
        name: "cloud-controller-manager".into(),
        namespace: "kube-system".into(),
        timing: ElectionTiming::new(seconds(15), seconds(10), seconds(2)).unwrap(),
    }
}

struct World {
    leases: Arc<Leases>,
    journal: Arc<Journal>,
}

impl World {
    fn new() -> Self {
        Self { leases: Arc::default(), journal: Arc::default() }
    }

    fn candidate(&self, identity: &str) -> LeaderElector {
        let (leases, journal) = (self.leases.clone(), self.journal.clone());
        LeaderElector::new(config(), identity.to_string(), leases, journal.clone(), journal)
    }

    /// Somebody who leads, and how long that took.
    async fn leader(&self, identity: &str) -> (Leadership, Duration) {
        let started = Instant::now();
        let leadership = self.candidate(identity).acquire().await;
        (leadership, started.elapsed())
    }

    /// How long leadership lasts from now on.
    async fn until_lost(&self, leadership: &mut Leadership) -> Duration {
        let started = Instant::now();
        assert_eq!(leadership.lost().await, LostLeadership);
        started.elapsed()
    }
}

fn is_between(duration: Duration, from: f64, to: f64) -> bool {
    (from..=to).contains(&duration.as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn le_01_03_04_a_fresh_lease() {
    let world = World::new();
    let (_leadership, took) = world.leader("me").await;
    assert_eq!(took, Duration::ZERO);
    let stored = world.leases.0.lock().unwrap().lease.clone().unwrap();
    assert_eq!(stored.metadata.name.as_deref(), Some("cloud-controller-manager"));
    assert_eq!(stored.metadata.namespace.as_deref(), Some("kube-system"));
    let spec = world.leases.spec();
    assert!(spec.acquire_time.is_some());
    assert_eq!(spec.acquire_time, spec.renew_time);
    let expected = LeaseSpec {
        holder_identity: Some("me".into()),
        lease_duration_seconds: Some(15),
        lease_transitions: Some(0),
        acquire_time: spec.acquire_time.clone(),
        renew_time: spec.renew_time.clone(),
        ..LeaseSpec::default()
    };
    assert_eq!(spec, expected);
}

#[test]
fn le_03_two_processes_of_one_host_differ() {
    let (one, other) = (super::identity(), super::identity());
    assert_ne!(one, other);
    let (host, id) = one.rsplit_once('_').unwrap();
    assert_eq!(host, hostname::get().unwrap().to_string_lossy());
    assert!(id.parse::<uuid::Uuid>().is_ok());
}

#[test]
fn le_02_durations_must_fit_together() {
    let ms = Duration::from_millis;
    let rows = [
        (ms(15_000), ms(10_000), ms(2_000), true),
        (ms(1_000), ms(999), ms(800), true),
        (ms(10_000), ms(10_000), ms(2_000), false),
        (ms(10_999), ms(10_500), ms(2_000), false),
        (ms(15_000), ms(2_400), ms(2_000), false),
        (ms(15_000), ms(2_401), ms(2_000), true),
        (ms(15_000), ms(10_000), ms(0), false),
        (ms(999), ms(500), ms(100), false),
    ];
    for (lease, deadline, retry, fits) in rows {
        let timing = ElectionTiming::new(lease, deadline, retry);
        assert_eq!(timing.is_ok(), fits, "{lease:?} {deadline:?} {retry:?}: {timing:?}");
    }
    let timing = ElectionTiming::new(ms(15_000), ms(10_000), ms(2_000)).unwrap();
    assert_eq!(timing.request_timeout(), ms(5_000));
    assert_eq!(super::request_timeout(ms(1_500)), ms(1_000));
}

#[tokio::test(start_paused = true)]
async fn le_04_08_renewal_is_an_update_that_keeps_the_rest() {
    let world = World::new();
    let (_leadership, _) = world.leader("me").await;
    let first = world.leases.spec();
    world.leases.requests();
    sleep(Duration::from_millis(10_100)).await;
    let verbs: Vec<_> = world.leases.requests().into_iter().map(|(_, verb)| verb).collect();
    assert_eq!(verbs, ["update"; 5]);
    let last = world.leases.spec();
    assert!(last.renew_time.as_ref().map(|t| t.0) > first.renew_time.as_ref().map(|t| t.0));
    assert_eq!(last, LeaseSpec { renew_time: last.renew_time.clone(), ..first });
}

#[tokio::test(start_paused = true)]
async fn le_05_candidates_poll_with_jitter() {
    let world = World::new();
    world.leases.put("other", 3600, 0);
    let elector = world.candidate("me");
    assert!(timeout(seconds(300), elector.acquire()).await.is_err());
    let times: Vec<_> = world.leases.requests().into_iter().map(|(at, _)| at).collect();
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| is_between(*pause, 2.0, 4.41)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause > seconds(3)) && pauses.iter().any(|pause| *pause < seconds(3)));
}

#[tokio::test(start_paused = true)]
async fn le_06_a_held_lease_is_taken_when_it_stood_still_for_its_duration() {
    let world = World::new();
    // The record is an hour old by its own words, which must not matter.
    world.leases.put("other", 15, 3);
    let (_leadership, took) = world.leader("me").await;
    assert!(is_between(took, 15.0, 19.5), "{took:?}");
    assert_eq!(world.leases.spec().lease_transitions, Some(4));
    assert_eq!(world.leases.spec().acquire_time, world.leases.spec().renew_time);
}

#[tokio::test(start_paused = true)]
async fn le_06_the_holders_own_duration_counts() {
    let world = World::new();
    world.leases.put("other", 60, 0);
    let (_leadership, took) = world.leader("me").await;
    assert!(is_between(took, 60.0, 64.5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn le_06_a_lease_that_changes_is_left_alone() {
    let world = World::new();
    world.leases.put("other", 15, 0);
    let leases = world.leases.clone();
    let renewing = tokio::spawn(async move {
        for transitions in 1..20 {
            sleep(seconds(10)).await;
            leases.put("other", 15, transitions);
        }
    });
    let (_leadership, took) = world.leader("me").await;
    assert!(renewing.is_finished());
    assert!(is_between(took, 205.0, 214.0), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn le_07_a_released_lease_is_taken_at_once() {
    let world = World::new();
    world.leases.put("", 15, 7);
    let (_leadership, took) = world.leader("me").await;
    assert_eq!(took, Duration::ZERO);
    assert_eq!(world.leases.spec().lease_transitions, Some(8));
}

#[tokio::test(start_paused = true)]
async fn le_08_a_failed_update_is_mended_by_reading_again() {
    let world = World::new();
    let (mut leadership, _) = world.leader("me").await;
    world.journal.read();
    // Somebody edits the Lease without taking it.
    world.leases.put("me", 15, 0);
    world.leases.requests();
    sleep(Duration::from_millis(2_100)).await;
    let verbs: Vec<_> = world.leases.requests().into_iter().map(|(_, verb)| verb).collect();
    assert_eq!(verbs, ["update", "get", "update"]);
    assert_eq!(world.journal.read(), ["slow path"]);
    assert!(timeout(seconds(60), leadership.lost()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn le_08_09_without_answers_leadership_ends_at_the_deadline() {
    let rows: [(Weather, &[u64]); 2] =
        [(Weather::Silent, &[2, 7]), (Weather::Broken, &[2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12])];
    for (weather, expected) in rows {
        let world = World::new();
        let (mut leadership, _) = world.leader("me").await;
        let started = Instant::now();
        world.leases.weather(weather);
        world.leases.requests();
        let lasted = world.until_lost(&mut leadership).await;
        assert!(is_between(lasted, 12.0, 12.1), "{weather:?}: {lasted:?}");
        let tried: Vec<_> = world.leases.requests().into_iter().map(|(at, _)| (at - started).as_secs()).collect();
        assert_eq!(tried, expected, "{weather:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn le_08_a_short_outage_is_survived() {
    let world = World::new();
    let (mut leadership, _) = world.leader("me").await;
    for _ in 0..3 {
        world.leases.weather(Weather::Broken);
        sleep(seconds(8)).await;
        world.leases.weather(Weather::Fair);
        sleep(seconds(5)).await;
    }
    assert!(timeout(seconds(60), leadership.lost()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn le_09_a_stolen_lease_ends_leadership_at_the_deadline() {
    let world = World::new();
    let (mut leadership, _) = world.leader("me").await;
    world.leases.put("thief", 15, 1);
    let lasted = world.until_lost(&mut leadership).await;
    assert!(is_between(lasted, 10.0, 12.1), "{lasted:?}");
    assert_eq!(world.leases.holder().as_deref(), Some("thief"));
}

#[tokio::test(start_paused = true)]
async fn le_06_09_after_an_outage_for_all_no_two_lead_at_once() {
    let world = World::new();
    let (mut first, _) = world.leader("first").await;
    let second = world.candidate("second");
    let standby = tokio::spawn(async move {
        let leadership = second.acquire().await;
        (Instant::now(), leadership)
    });
    sleep(seconds(30)).await;
    world.leases.weather(Weather::Silent);
    first.lost().await;
    let lost_at = Instant::now();
    world.leases.weather(Weather::Fair);
    let (led_at, _leadership) = standby.await.unwrap();
    assert!(led_at > lost_at);
    assert_eq!(world.leases.holder().as_deref(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn le_11_release_lets_a_successor_start_at_once() {
    let world = World::new();
    let (leadership, _) = world.leader("me").await;
    sleep(seconds(5)).await;
    leadership.release().await;
    let spec = world.leases.spec();
    assert_eq!(
        (spec.holder_identity.as_deref(), spec.lease_duration_seconds, spec.lease_transitions),
        (Some(""), Some(1), Some(0))
    );
    assert!(spec.renew_time.is_some() && spec.acquire_time.is_some());
    let (_leadership, took) = world.leader("successor").await;
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn le_11_release_takes_into_account_a_renewal_whose_answer_was_lost() {
    let world = World::new();
    let (leadership, _) = world.leader("me").await;
    world.leases.weather(Weather::LosesOneAnswer);
    sleep(seconds(3)).await;
    leadership.release().await;
    assert_eq!(world.leases.holder().as_deref(), Some(""));
}

#[tokio::test(start_paused = true)]
async fn le_11_release_leaves_a_stolen_lease_alone() {
    let world = World::new();
    let (leadership, _) = world.leader("me").await;
    world.leases.put("thief", 15, 1);
    leadership.release().await;
    assert_eq!(world.leases.holder().as_deref(), Some("thief"));
}

#[tokio::test(start_paused = true)]
async fn le_12_obs_05_beginning_and_end_are_told() {
    let world = World::new();
    let (leadership, _) = world.leader("me").await;
    let on = "LeaderElection on coordination.k8s.io/v1/Lease kube-system/cloud-controller-manager";
    assert_eq!(world.journal.read(), ["status 1".to_string(), format!("{on}: me became leader")]);
    leadership.release().await;
    assert_eq!(world.journal.read(), ["status 0".to_string(), format!("{on}: me stopped leading")]);
    let (mut leadership, _) = world.leader("me").await;
    world.journal.read();
    world.leases.weather(Weather::Silent);
    leadership.lost().await;
    assert_eq!(world.journal.read(), ["status 0".to_string(), format!("{on}: me stopped leading")]);
}

#[tokio::test(start_paused = true)]
async fn le_14_health_fails_when_a_leader_has_not_renewed_for_long() {
    let world = World::new();
    world.leases.put("other", 3600, 0);
    let standby = world.candidate("standby");
    let health = standby.health();
    assert!(timeout(seconds(120), standby.acquire()).await.is_err());
    assert_eq!((health.name(), health.check()), ("leaderElection", Ok(())));

    let health = super::LeaseHealth::new(&config());
    health.renewed();
    sleep(seconds(35)).await;
    assert_eq!(health.check(), Ok(()));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(health.check(), Err("the lease cloud-controller-manager was last renewed 35.001s ago".into()));
    health.renewed();
    assert_eq!(health.check(), Ok(()));
    sleep(seconds(60)).await;
    health.stopped();
    assert_eq!(health.check(), Ok(()));
}
