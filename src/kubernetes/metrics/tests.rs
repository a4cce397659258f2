use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use pretty_assertions::assert_eq;

use super::{Load, Metrics};
use crate::kubernetes::client::{RequestOutcome, RequestRecord};
use crate::kubernetes::controller_name::ControllerName;
use crate::kubernetes::queue::QueueProbe;
use crate::kubernetes::server::Probe;

/// Lines of these metrics, without help and type.
fn lines(text: &str, prefix: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with(prefix)).map(str::to_string).collect()
}

/// Every metric with its type.
fn types(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_string).collect()
}

fn bounds(text: &str, histogram: &str) -> Vec<f64> {
    let beginning = format!("{histogram}_bucket{{");
    let bound = |line: &str| line.split("le=\"").nth(1)?.split('"').next()?.parse().ok();
    text.lines().filter(|line| line.starts_with(&beginning)).filter_map(bound).collect()
}

/// Something happened in every corner.
fn busy() -> Metrics {
    let metrics = Metrics::new();
    let queue = metrics.queue("service");
    queue.added();
    queue.added();
    queue.retried();
    queue.waited(Duration::from_millis(1));
    queue.worked(Duration::from_secs(2));
    metrics.nodes().initialised(Duration::from_secs(10));
    let services = metrics.services();
    services.load_balancer_updated(Duration::from_secs(3));
    services.load_balancer_updated(Duration::from_secs(4));
    services.node_sync_failed();
    services.nodes_synced(Duration::from_secs(5));
    let clients = metrics.clients();
    let record = RequestRecord {
        method: &Method::GET,
        host: "api:6443",
        outcome: RequestOutcome::Answered(StatusCode::OK),
        duration: Duration::from_millis(200),
        request_size: 0,
        response_size: Some(300),
    };
    clients.requested(&record);
    clients.requested(&RequestRecord { outcome: RequestOutcome::Failed, response_size: None, ..record });
    clients.throttled(&Method::GET, "api:6443", Duration::from_secs(3));
    clients.retried(&Method::PATCH, "api:6443", StatusCode::TOO_MANY_REQUESTS);
    let election = metrics.election("cloud-controller-manager");
    election.started_leading();
    election.renewed_slowly();
    metrics.controller_started(ControllerName::Service);
    metrics.controller_started(ControllerName::CloudNode);
    metrics.controller_stopped(ControllerName::CloudNode);
    metrics.api_requests().observe("GET", "/devices/{id}", Some(404), Duration::from_millis(30));
    metrics.api_requests().observe("POST", "/projects/{id}/ips", None, Duration::from_secs(10));
    metrics.policy().in_force("old", "0000");
    metrics.policy().in_force("edge", "0123456789abcdef");
    metrics.policy().loaded(Load::Applied);
    metrics.policy().loaded(Load::Rejected { faults: 3 });
    metrics
}

#[test]
fn obs_01_02_03_04_05_06_07_08_09_names_and_types() {
    assert_eq!(
        types(&busy().exposition()),
        [
            "cloud_provider_equinix_metal_api_request_duration_seconds histogram",
            "cloud_provider_equinix_metal_api_requests_total counter",
            "cloud_provider_equinix_metal_policy_faults gauge",
            "cloud_provider_equinix_metal_policy_info gauge",
            "cloud_provider_equinix_metal_policy_loads_total counter",
            "kubernetes_build_info gauge",
            "leader_election_master_status gauge",
            "leader_election_slowpath_total counter",
            "node_controller_cloud_provider_taint_removal_delay_seconds histogram",
            "node_controller_initial_node_sync_delay_seconds histogram",
            "process_cpu_seconds_total counter",
            "process_max_fds gauge",
            "process_open_fds gauge",
            "process_resident_memory_bytes gauge",
            "process_start_time_seconds gauge",
            "process_virtual_memory_bytes gauge",
            "rest_client_rate_limiter_duration_seconds histogram",
            "rest_client_request_duration_seconds histogram",
            "rest_client_request_retries_total counter",
            "rest_client_request_size_bytes histogram",
            "rest_client_requests_total counter",
            "rest_client_response_size_bytes histogram",
            "running_managed_controllers gauge",
            "service_controller_loadbalancer_sync_total counter",
            "service_controller_nodesync_error_total counter",
            "service_controller_nodesync_latency_seconds histogram",
            "service_controller_update_loadbalancer_host_latency_seconds histogram",
            "workqueue_adds_total counter",
            "workqueue_depth gauge",
            "workqueue_longest_running_processor_seconds gauge",
            "workqueue_queue_duration_seconds histogram",
            "workqueue_retries_total counter",
            "workqueue_unfinished_work_seconds gauge",
            "workqueue_work_duration_seconds histogram",
        ]
    );
}

#[test]
fn obs_01_02_03_04_05_06_07_values_and_labels() {
    let text = busy().exposition();
    let rows: [(&str, &[&str]); 19] = [
        ("service_controller_loadbalancer_sync_total", &["service_controller_loadbalancer_sync_total 2"]),
        ("service_controller_nodesync_error_total", &["service_controller_nodesync_error_total 1"]),
        ("service_controller_nodesync_latency_seconds_sum", &["service_controller_nodesync_latency_seconds_sum 5"]),
        (
            "service_controller_update_loadbalancer_host_latency_seconds_sum",
            &["service_controller_update_loadbalancer_host_latency_seconds_sum 7"],
        ),
        (
            "node_controller_cloud_provider_taint_removal_delay_seconds_sum",
            &["node_controller_cloud_provider_taint_removal_delay_seconds_sum 10"],
        ),
        (
            "node_controller_initial_node_sync_delay_seconds_count",
            &["node_controller_initial_node_sync_delay_seconds_count 1"],
        ),
        ("workqueue_adds_total", &["workqueue_adds_total{name=\"service\"} 2"]),
        ("workqueue_retries_total", &["workqueue_retries_total{name=\"service\"} 1"]),
        ("workqueue_depth", &["workqueue_depth{name=\"service\"} 0"]),
        ("workqueue_work_duration_seconds_sum", &["workqueue_work_duration_seconds_sum{name=\"service\"} 2"]),
        (
            "rest_client_requests_total",
            &[
                "rest_client_requests_total{code=\"200\",host=\"api:6443\",method=\"GET\"} 1",
                "rest_client_requests_total{code=\"<error>\",host=\"api:6443\",method=\"GET\"} 1",
            ],
        ),
        (
            "rest_client_request_retries_total",
            &["rest_client_request_retries_total{code=\"429\",host=\"api:6443\",verb=\"PATCH\"} 1"],
        ),
        (
            "rest_client_rate_limiter_duration_seconds_sum",
            &["rest_client_rate_limiter_duration_seconds_sum{host=\"api:6443\",verb=\"GET\"} 3"],
        ),
        (
            "rest_client_response_size_bytes_sum",
            &["rest_client_response_size_bytes_sum{host=\"api:6443\",verb=\"GET\"} 300"],
        ),
        ("leader_election_master_status", &["leader_election_master_status{name=\"cloud-controller-manager\"} 1"]),
        ("leader_election_slowpath_total", &["leader_election_slowpath_total{name=\"cloud-controller-manager\"} 1"]),
        (
            "running_managed_controllers",
            &[
                "running_managed_controllers{manager=\"cloud-controller-manager\",name=\"cloud-node\"} 0",
                "running_managed_controllers{manager=\"cloud-controller-manager\",name=\"service\"} 1",
            ],
        ),
        (
            "cloud_provider_equinix_metal_api_requests_total",
            &[
                "cloud_provider_equinix_metal_api_requests_total{code=\"404\",method=\"GET\",route=\"/devices/{id}\"} 1",
                "cloud_provider_equinix_metal_api_requests_total{code=\"<error>\",method=\"POST\",route=\"/projects/{id}/ips\"} 1",
            ],
        ),
        (
            "cloud_provider_equinix_metal_policy_",
            &[
                "cloud_provider_equinix_metal_policy_faults 3",
                "cloud_provider_equinix_metal_policy_info{hash=\"0123456789abcdef\",name=\"edge\"} 1",
                "cloud_provider_equinix_metal_policy_loads_total{result=\"applied\"} 1",
                "cloud_provider_equinix_metal_policy_loads_total{result=\"rejected\"} 1",
            ],
        ),
    ];
    for (prefix, expected) in rows {
        assert_eq!(lines(&text, prefix), expected, "{prefix}");
    }
}

#[test]
fn obs_02_03_04_07_buckets() {
    let text = busy().exposition();
    let powers = |first: f64, factor: f64, count: i32| {
        let mut bounds: Vec<_> = (0..count).map(|power| first * factor.powi(power)).collect();
        bounds.push(f64::INFINITY);
        bounds
    };
    let rows = [
        ("service_controller_nodesync_latency_seconds", powers(1.0, 2.0, 15)),
        ("service_controller_update_loadbalancer_host_latency_seconds", powers(1.0, 2.0, 15)),
        ("workqueue_queue_duration_seconds", powers(1e-8, 10.0, 10)),
        ("workqueue_work_duration_seconds", powers(1e-8, 10.0, 10)),
        ("node_controller_cloud_provider_taint_removal_delay_seconds", powers(1.0, 4.0, 6)),
        ("node_controller_initial_node_sync_delay_seconds", powers(1.0, 4.0, 6)),
    ];
    for (histogram, expected) in rows {
        let found = bounds(&text, histogram);
        assert_eq!(found.len(), expected.len(), "{histogram}: {found:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found == expected || (found / expected - 1.0).abs() < 1e-9, "{histogram}: {found} {expected}");
        }
    }
}

#[test]
fn obs_03_a_queue_is_asked_when_somebody_reads() {
    struct Busy;
    impl QueueProbe for Busy {
        fn depth(&self) -> usize {
            7
        }
        fn unfinished_work(&self) -> Duration {
            Duration::from_millis(2500)
        }
        fn longest_running(&self) -> Duration {
            Duration::from_secs(2)
        }
    }
    let metrics = Metrics::new();
    let probe: Arc<dyn QueueProbe> = Arc::new(Busy);
    metrics.queue("Nodes").attach(Arc::downgrade(&probe));
    let text = metrics.exposition();
    assert_eq!(lines(&text, "workqueue_depth"), ["workqueue_depth{name=\"Nodes\"} 7"]);
    assert_eq!(
        lines(&text, "workqueue_unfinished_work_seconds"),
        ["workqueue_unfinished_work_seconds{name=\"Nodes\"} 2.5"]
    );
    assert_eq!(
        lines(&text, "workqueue_longest_running_processor_seconds"),
        ["workqueue_longest_running_processor_seconds{name=\"Nodes\"} 2"]
    );
    drop(probe);
    assert_eq!(lines(&metrics.exposition(), "workqueue_depth"), ["workqueue_depth{name=\"Nodes\"} 0"]);
}

#[test]
fn obs_05_a_candidate_has_status_0() {
    let metrics = Metrics::new();
    assert_eq!(lines(&metrics.exposition(), "leader_election"), Vec::<String>::new());
    let election = metrics.election("l");
    let status = |metrics: &Metrics| lines(&metrics.exposition(), "leader_election");
    assert_eq!(status(&metrics), ["leader_election_master_status{name=\"l\"} 0"]);
    election.started_leading();
    assert_eq!(status(&metrics), ["leader_election_master_status{name=\"l\"} 1"]);
    election.stopped_leading();
    assert_eq!(status(&metrics), ["leader_election_master_status{name=\"l\"} 0"]);
}

#[test]
fn obs_09_the_build_is_shown() {
    let text = Metrics::new().exposition();
    let line = lines(&text, "kubernetes_build_info").remove(0);
    let version = env!("CPEM_VERSION");
    for label in [
        format!("git_version=\"{version}\""),
        format!("git_commit=\"{}\"", env!("CPEM_COMMIT")),
        format!("rustc_version=\"{}\"", env!("CPEM_RUSTC")),
        "platform=\"linux/".to_string(),
        "go_version=\"\"".to_string(),
        "major=\"".to_string(),
    ] {
        assert!(line.contains(&label), "{label}: {line}");
    }
    assert!(line.ends_with("} 1"), "{line}");
}

#[test]
fn obs_10_slis_have_a_page_of_their_own() {
    let metrics = Metrics::new();
    let health = metrics.health();
    health.checked(Probe::Healthz, "leaderElection", &Ok(()));
    health.checked(Probe::Healthz, "leaderElection", &Err("late".into()));
    let slis = metrics.slis();
    assert_eq!(
        lines(&slis, "kubernetes_"),
        [
            "kubernetes_healthcheck{name=\"leaderElection\",type=\"healthz\"} 0",
            "kubernetes_healthchecks_total{name=\"leaderElection\",status=\"error\",type=\"healthz\"} 1",
            "kubernetes_healthchecks_total{name=\"leaderElection\",status=\"success\",type=\"healthz\"} 1",
        ]
    );
    assert!(!metrics.exposition().contains("kubernetes_healthcheck"));
}
