use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::json;

use super::generic::ControllerOptions;
use super::{CloudOptions, ControllerSelection, LeaderElection, PolicyLocation, RunOptions, Switch};
use crate::cli::tests::{options, refusal};
use crate::kubernetes::client::{ClusterAccess, RequestRate};
use crate::kubernetes::controller_name::ControllerName;
use crate::kubernetes::lease::{ElectionConfig, ElectionTiming};
use crate::kubernetes::server::{
    AuthenticationConfig, AuthorizationConfig, CertificateFiles, CertificateSource, CipherSuites, ClusterLookup,
    Curves, Http2, PathPattern, RequestHeaderConfig, ServingConfig, Sharing, SniCertificate, TlsVersion,
};
use crate::metal::RateLimit;
use crate::telemetry::{self, LogFormat, LogOptions};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn app_02_03_04_05_06_08_09_12_14_17_18_19_24_25_26_defaults() {
    let RunOptions { effective, .. } = options(&[]);
    let expected = RunOptions {
        policy: PolicyLocation::Settings,
        cloud: CloudOptions {
            config: None,
            cluster_name: "kubernetes".into(),
            metal_rate: RateLimit { per_second: 10.0, burst: 50 },
        },
        cluster: ClusterAccess {
            kubeconfig: None,
            master: None,
            rate: RequestRate::PerSecond { qps: 20.0, burst: 30 },
        },
        controllers: ControllerOptions {
            selection: ControllerSelection::parse(&texts(&["*"])).unwrap(),
            start_interval: Duration::ZERO,
            service_workers: ONE,
            node_workers: ONE,
            node_status_workers: ONE,
            node_monitor_period: seconds(5),
            node_status_update_frequency: seconds(300),
            min_resync_period: seconds(43_200),
            route_reconciliation_period: seconds(10),
            configure_cloud_routes: Switch::On,
        },
        leader_election: LeaderElection::On(ElectionConfig {
            name: "cloud-controller-manager".into(),
            namespace: "kube-system".into(),
            timing: ElectionTiming::new(seconds(15), seconds(10), seconds(2)).unwrap(),
        }),
        serving: Some(ServingConfig {
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 10258,
            certificate: CertificateSource::SelfSigned,
            sni: Vec::new(),
            min_version: TlsVersion::Tls12,
            ciphers: CipherSuites::OFFERED,
            curves: Curves::OFFERED,
            http2: Http2::On { max_streams: None },
            sharing: Sharing::default(),
        }),
        authentication: AuthenticationConfig {
            kubeconfig: None,
            lookup: ClusterLookup::Required,
            token_ttl: seconds(10),
            client_ca: None,
            request_header: RequestHeaderConfig {
                client_ca: None,
                allowed_names: Vec::new(),
                username_headers: texts(&["x-remote-user"]),
                uid_headers: Vec::new(),
                group_headers: texts(&["x-remote-group"]),
                extra_prefixes: texts(&["x-remote-extra-"]),
            },
        },
        authorization: AuthorizationConfig {
            kubeconfig: None,
            always_allow: ["/healthz", "/readyz", "/livez"].map(PathPattern::new).into(),
            allowed_ttl: seconds(10),
            denied_ttl: seconds(10),
        },
        logging: LogOptions { verbosity: 0, modules: Vec::new(), format: LogFormat::Text },
        warnings: Vec::new(),
        effective,
    };
    assert_eq!(options(&[]), expected);
    assert_eq!(options(&["run"]), expected);
}

/// Flags as a Go cloud controller manager of Kubernetes 1.36 lists them with their defaults.
#[test]
fn app_04_05_06_07_09_10_11_12_14_16_17_19_24_25_26_every_flag_is_there() {
    let rows = [
        ("allocate-node-cidrs", "false"),
        ("allow-untagged-cloud", "false"),
        ("authentication-kubeconfig", ""),
        ("authentication-skip-lookup", "false"),
        ("authentication-token-webhook-cache-ttl", "10s"),
        ("authentication-tolerate-lookup-failure", "false"),
        ("authorization-always-allow-paths", "/healthz,/readyz,/livez"),
        ("authorization-kubeconfig", ""),
        ("authorization-webhook-cache-authorized-ttl", "10s"),
        ("authorization-webhook-cache-unauthorized-ttl", "10s"),
        ("bind-address", "0.0.0.0"),
        ("cert-dir", ""),
        ("cidr-allocator-type", "RangeAllocator"),
        ("client-ca-file", ""),
        ("cloud-config", ""),
        ("cloud-provider", "equinixmetal"),
        ("cluster-cidr", ""),
        ("cluster-name", "kubernetes"),
        ("concurrent-node-status-updates", "0"),
        ("concurrent-node-syncs", "1"),
        ("concurrent-service-syncs", "1"),
        ("configure-cloud-routes", "true"),
        ("contention-profiling", "false"),
        ("controller-start-interval", "0s"),
        ("controllers", "*"),
        ("disable-http2-serving", "false"),
        ("enable-leader-migration", "false"),
        ("external-cloud-volume-plugin", ""),
        ("feature-gates", ""),
        ("http2-max-streams-per-connection", "0"),
        ("kube-api-burst", "30"),
        ("kube-api-content-type", "application/vnd.kubernetes.protobuf"),
        ("kube-api-qps", "20"),
        ("kubeconfig", ""),
        ("leader-elect", "true"),
        ("leader-elect-lease-duration", "15s"),
        ("leader-elect-renew-deadline", "10s"),
        ("leader-elect-resource-lock", "leases"),
        ("leader-elect-resource-name", "cloud-controller-manager"),
        ("leader-elect-resource-namespace", "kube-system"),
        ("leader-elect-retry-period", "2s"),
        ("leader-migration-config", ""),
        ("log-flush-frequency", "5s"),
        ("log-json-info-buffer-size", "0"),
        ("log-json-split-stream", "false"),
        ("log-text-info-buffer-size", "0"),
        ("log-text-split-stream", "false"),
        ("logging-format", "text"),
        ("master", ""),
        ("metal-api-burst", "50"),
        ("metal-api-qps", "10"),
        ("min-resync-period", "12h0m0s"),
        ("node-monitor-period", "5s"),
        ("node-status-update-frequency", "5m0s"),
        ("node-sync-period", "0s"),
        ("permit-address-sharing", "false"),
        ("permit-port-sharing", "false"),
        ("policy-configmap", ""),
        ("policy-file", ""),
        ("profiling", "true"),
        ("requestheader-allowed-names", ""),
        ("requestheader-client-ca-file", ""),
        ("requestheader-extra-headers-prefix", "x-remote-extra-"),
        ("requestheader-group-headers", "x-remote-group"),
        ("requestheader-uid-headers", ""),
        ("requestheader-username-headers", "x-remote-user"),
        ("route-reconciliation-period", "10s"),
        ("secure-port", "10258"),
        ("tls-cert-file", ""),
        ("tls-cipher-suites", ""),
        ("tls-curve-preferences", ""),
        ("tls-min-version", ""),
        ("tls-private-key-file", ""),
        ("tls-sni-cert-key", ""),
        ("use-service-account-credentials", "false"),
        ("v", "0"),
        ("vmodule", ""),
        ("webhook-bind-address", "0.0.0.0"),
        ("webhook-cert-dir", ""),
        ("webhook-disable-http2-serving", "false"),
        ("webhook-secure-port", "10260"),
        ("webhook-tls-cert-file", ""),
        ("webhook-tls-cipher-suites", ""),
        ("webhook-tls-curve-preferences", ""),
        ("webhook-tls-min-version", ""),
        ("webhook-tls-private-key-file", ""),
        ("webhook-tls-sni-cert-key", ""),
        ("webhooks", ""),
    ];
    let mut effective = options(&[]).effective;
    effective.sort();
    assert_eq!(effective, rows.map(|(flag, value)| (flag.to_string(), value.to_string())));
}

#[test]
fn app_02_the_provider_is_this_one() {
    assert_eq!(refusal(&["--cloud-provider="]), ("error: --cloud-provider: cannot be empty".into(), 1));
    assert_eq!(
        refusal(&["--cloud-provider=aws", "--secure-port=-1"]),
        (
            "error: --cloud-provider: there is no provider \"aws\" here, only \"equinixmetal\"\n\
             error: --secure-port: expected 0 to 65535, found -1"
                .into(),
            255
        )
    );
    let cloud = options(&["--cloud-config=/etc/cloud-sa/cloud-sa.json", "--cluster-name=prod"]).cloud;
    assert_eq!((cloud.config, cloud.cluster_name), (Some("/etc/cloud-sa/cloud-sa.json".into()), "prod".into()));
}

#[test]
fn metal_is_called_at_the_pace_of_the_flags() {
    let rows: [(&[&str], RateLimit); 3] = [
        (&["--metal-api-qps=2.5", "--metal-api-burst=7"], RateLimit { per_second: 2.5, burst: 7 }),
        (&["--metal-api-qps=3"], RateLimit { per_second: 3.0, burst: 50 }),
        (&["--metal-api-qps=0", "--metal-api-burst=0"], RateLimit::UNLIMITED),
    ];
    for (arguments, expected) in rows {
        assert_eq!(options(arguments).cloud.metal_rate, expected, "{arguments:?}");
    }
    for (argument, message) in [
        ("--metal-api-qps=-1", "error: --metal-api-qps: expected a number of 0 or more"),
        ("--metal-api-qps=inf", "error: --metal-api-qps: expected a number of 0 or more"),
        ("--metal-api-burst=0", "error: --metal-api-burst: expected a number above zero, found 0"),
    ] {
        assert_eq!(refusal(&[argument]), (message.into(), 1), "{argument}");
    }
}

#[test]
fn the_policy_is_in_one_place() {
    let config_map = |namespace: &str, name: &str, key: &str| PolicyLocation::ConfigMap {
        namespace: namespace.into(),
        name: name.into(),
        key: key.into(),
    };
    let rows: [(&[&str], PolicyLocation); 4] = [
        (&[], PolicyLocation::Settings),
        (&["--policy-file=/p.yaml"], PolicyLocation::File("/p.yaml".into())),
        (&["--policy-configmap=a/b"], config_map("a", "b", "policy.yaml")),
        (&["--policy-configmap", "a/b:c.yaml"], config_map("a", "b", "c.yaml")),
    ];
    for (arguments, expected) in rows {
        assert_eq!(options(arguments).policy, expected, "{arguments:?}");
    }
    for text in ["a", "a/", "/b", "a/b:", "a/b/c", ":"] {
        let (message, code) = refusal(&["--policy-configmap", text]);
        let expected =
            format!("error: --policy-configmap: expected NAMESPACE/NAME or NAMESPACE/NAME:KEY, found {text:?}");
        assert_eq!((message, code), (expected, 1));
    }
    assert_eq!(
        refusal(&["--policy-configmap=a/b", "--policy-file=c"]).0,
        "error: --policy-configmap: cannot be given together with --policy-file: one policy decides"
    );
}

#[test]
fn app_03_04_the_cluster_is_reached_as_told() {
    let access = |kubeconfig: Option<&str>, master: Option<&str>, rate| ClusterAccess {
        kubeconfig: kubeconfig.map(PathBuf::from),
        master: master.map(|url| url.parse().unwrap()),
        rate,
    };
    let usual = RequestRate::PerSecond { qps: 20.0, burst: 30 };
    let rows: [(&[&str], ClusterAccess); 6] = [
        (&["--kubeconfig=k"], access(Some("k"), None, usual)),
        (&["--master=https://[::1]:6443"], access(None, Some("https://[::1]:6443"), usual)),
        (&["--master=10.0.0.1:8080"], access(None, Some("http://10.0.0.1:8080"), usual)),
        (
            &["--kube-api-qps=2.5", "--kube-api-burst=4"],
            access(None, None, RequestRate::PerSecond { qps: 2.5, burst: 4 }),
        ),
        (
            &["--kube-api-qps=0", "--kube-api-burst=0"],
            access(None, None, RequestRate::PerSecond { qps: 5.0, burst: 10 }),
        ),
        (
            &["--kube-api-qps=-1", "--kube-api-content-type=application/json"],
            access(None, None, RequestRate::Unlimited),
        ),
    ];
    for (arguments, expected) in rows {
        assert_eq!(options(arguments).cluster, expected, "{arguments:?}");
    }
    for (flag, fault) in [
        ("--master=ftp://x", "--master: expected a URL such as https://10.0.0.1:6443"),
        ("--master=https://", "--master: expected a URL such as https://10.0.0.1:6443"),
        ("--kube-api-qps=NaN", "--kube-api-qps: expected a finite number"),
        ("--kube-api-burst=-1", "--kube-api-burst: cannot be negative"),
    ] {
        assert_eq!(refusal(&[flag]), (format!("error: {fault}"), 1));
    }
}

#[test]
fn app_05_06_08_09_controllers_run_as_told() {
    let given = options(&[
        "--controllers=*,-route",
        "--concurrent-service-syncs=3",
        "--concurrent-node-syncs=4",
        "--node-monitor-period=1s",
        "--node-status-update-frequency=1m30s",
        "--route-reconciliation-period=0",
        "--controller-start-interval=1s",
        "--configure-cloud-routes=false",
        "--min-resync-period=1h",
    ]);
    let expected = ControllerOptions {
        selection: ControllerSelection::parse(&texts(&["*", "-route"])).unwrap(),
        start_interval: seconds(1),
        service_workers: NonZeroUsize::new(3).unwrap(),
        node_workers: NonZeroUsize::new(4).unwrap(),
        node_status_workers: NonZeroUsize::new(4).unwrap(),
        node_monitor_period: seconds(1),
        node_status_update_frequency: seconds(90),
        min_resync_period: seconds(3_600),
        route_reconciliation_period: Duration::ZERO,
        configure_cloud_routes: Switch::Off,
    };
    assert_eq!(given.controllers, expected);
    assert!(!given.controllers.selection.enables(ControllerName::Route));
    let separate = options(&["--concurrent-node-syncs=4", "--concurrent-node-status-updates=2"]);
    assert_eq!(separate.controllers.node_status_workers.get(), 2);
    for (flag, fault) in [
        ("--concurrent-service-syncs=0", "--concurrent-service-syncs: expected a number above zero, found 0"),
        ("--concurrent-node-syncs=-1", "--concurrent-node-syncs: expected a number above zero, found -1"),
        (
            "--concurrent-node-status-updates=-1",
            "--concurrent-node-status-updates: expected a number above zero, found -1",
        ),
        ("--node-monitor-period=0", "--node-monitor-period: expected a duration above zero"),
        ("--node-status-update-frequency=0s", "--node-status-update-frequency: expected a duration above zero"),
    ] {
        assert_eq!(refusal(&[flag]), (format!("error: {fault}"), 1));
    }
}

#[test]
fn le_01_02_13_15_app_12_election_flags() {
    assert_eq!(
        options(&["--leader-elect=false", "--leader-elect-lease-duration=1s"]).leader_election,
        LeaderElection::Off
    );
    let given = options(&[
        "--leader-elect-lease-duration=60s",
        "--leader-elect-renew-deadline=40s",
        "--leader-elect-retry-period=5s",
        "--leader-elect-resource-name=n",
        "--leader-elect-resource-namespace=ns",
    ]);
    let expected = ElectionConfig {
        name: "n".into(),
        namespace: "ns".into(),
        timing: ElectionTiming::new(seconds(60), seconds(40), seconds(5)).unwrap(),
    };
    assert_eq!(given.leader_election, LeaderElection::On(expected));
    let rows: [(&[&str], &str); 7] = [
        (
            &["--leader-elect-resource-lock=endpoints"],
            "--leader-elect-resource-lock: expected \"leases\", found \"endpoints\"",
        ),
        (&["--leader-elect-resource-name="], "--leader-elect-resource-name: cannot be empty"),
        (
            &["--leader-elect-lease-duration=10s"],
            "--leader-elect-lease-duration: 10s is too short: it must be more than the renew deadline, 10s",
        ),
        (
            &["--leader-elect-lease-duration=10900ms", "--leader-elect-renew-deadline=10500ms"],
            "--leader-elect-lease-duration: 10.9s is too short: it must be more than the renew deadline, 10.5s",
        ),
        (
            &["--leader-elect-renew-deadline=2400ms"],
            "--leader-elect-renew-deadline: 2.4s is too short: it must be more than 1.2 times the retry period, 2s",
        ),
        (
            &["--leader-elect-lease-duration=0", "--leader-elect-renew-deadline=0"],
            "--leader-elect-lease-duration: 0ns is too short: a lease lasts a second at least",
        ),
        (&["--leader-elect-retry-period=0"], "--leader-elect-retry-period: expected a duration above zero"),
    ];
    for (arguments, fault) in rows {
        assert_eq!(refusal(arguments), (format!("error: {fault}"), 1), "{arguments:?}");
    }
}

#[test]
fn app_17_18_19_the_server_is_set_up_as_told() {
    assert_eq!(options(&["--secure-port=0", "--bind-address=::1"]).serving, None);
    let given = options(&[
        "--bind-address=::1",
        "--secure-port=443",
        "--tls-cert-file=c",
        "--tls-private-key-file=k",
        "--cert-dir=d",
        "--tls-min-version=VersionTLS13",
        "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_128_CBC_SHA",
        "--tls-curve-preferences=29,4588",
        "--tls-sni-cert-key=c1,k1",
        "--tls-sni-cert-key=c2,k2:*.example.com,example.com",
        "--disable-http2-serving",
        "--permit-port-sharing",
        "--permit-address-sharing",
    ]);
    let files = |certificate: &str, key: &str| CertificateFiles { certificate: certificate.into(), key: key.into() };
    let expected = ServingConfig {
        bind: "::1".parse().unwrap(),
        port: 443,
        certificate: CertificateSource::Files(files("c", "k")),
        sni: vec![
            SniCertificate { files: files("c1", "k1"), names: Vec::new() },
            SniCertificate { files: files("c2", "k2"), names: texts(&["*.example.com", "example.com"]) },
        ],
        min_version: TlsVersion::Tls13,
        ciphers: CipherSuites::named(&texts(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])).unwrap(),
        curves: Curves::numbered(&[29]).unwrap(),
        http2: Http2::Off,
        sharing: Sharing { port: true, address: true },
    };
    assert_eq!(given.serving, Some(expected));
    let other = options(&["--cert-dir=d", "--http2-max-streams-per-connection=7"]).serving.unwrap();
    assert_eq!(other.certificate, CertificateSource::Directory("d".into()));
    assert_eq!(other.http2, Http2::On { max_streams: NonZeroU32::new(7) });
    for (flag, fault) in [
        ("--bind-address=localhost", "--bind-address: expected an IP address, found \"localhost\""),
        ("--secure-port=65536", "--secure-port: expected 0 to 65535, found 65536"),
        ("--tls-cert-file=c", "--tls-private-key-file: is needed too when --tls-cert-file is given"),
        ("--tls-private-key-file=k", "--tls-cert-file: is needed too when --tls-private-key-file is given"),
        ("--tls-min-version=TLS13", "--tls-min-version: expected VersionTLS12 or VersionTLS13, found \"TLS13\""),
        ("--tls-cipher-suites=X", "--tls-cipher-suites: there is no cipher suite \"X\""),
        (
            "--tls-curve-preferences=25",
            "--tls-curve-preferences: none of the curves is offered here; offered are 23 (P-256), 24 (P-384) and 29 (X25519)",
        ),
        ("--tls-sni-cert-key=c", "--tls-sni-cert-key: expected CERT,KEY or CERT,KEY:NAME,NAME, found \"c\""),
    ] {
        assert_eq!(refusal(&[flag]), (format!("error: {fault}"), 1));
    }
    let (message, _) = refusal(&["--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA"]);
    assert!(message.contains("none of the cipher suites is offered here; offered are TLS_ECDHE_"), "{message}");
}

#[test]
fn app_24_25_26_27_access_is_given_as_told() {
    let given = options(&[
        "--authentication-kubeconfig=a",
        "--authentication-tolerate-lookup-failure",
        "--authentication-token-webhook-cache-ttl=0",
        "--client-ca-file=ca",
        "--requestheader-client-ca-file=p",
        "--requestheader-allowed-names=x,y",
        "--requestheader-username-headers=u",
        "--requestheader-uid-headers=i",
        "--requestheader-group-headers=g",
        "--requestheader-extra-headers-prefix=e-",
        "--authorization-kubeconfig=z",
        "--authorization-always-allow-paths=/healthz,metrics*",
        "--authorization-webhook-cache-authorized-ttl=1s",
        "--authorization-webhook-cache-unauthorized-ttl=2s",
    ]);
    assert_eq!(
        given.authentication,
        AuthenticationConfig {
            kubeconfig: Some("a".into()),
            lookup: ClusterLookup::Tolerated,
            token_ttl: Duration::ZERO,
            client_ca: Some("ca".into()),
            request_header: RequestHeaderConfig {
                client_ca: Some("p".into()),
                allowed_names: texts(&["x", "y"]),
                username_headers: texts(&["u"]),
                uid_headers: texts(&["i"]),
                group_headers: texts(&["g"]),
                extra_prefixes: texts(&["e-"]),
            },
        }
    );
    assert_eq!(
        given.authorization,
        AuthorizationConfig {
            kubeconfig: Some("z".into()),
            always_allow: vec![PathPattern::Exact("/healthz".into()), PathPattern::Prefix("/metrics".into())],
            allowed_ttl: seconds(1),
            denied_ttl: seconds(2),
        }
    );
    let skipped = options(&["--authentication-skip-lookup=true", "--authentication-tolerate-lookup-failure"]);
    assert_eq!(skipped.authentication.lookup, ClusterLookup::Skipped);
}

#[test]
fn app_14_the_log_is_written_as_told() {
    let given = options(&["--v=4", "--logging-format=json", "--log-flush-frequency=1s", "--log-text-split-stream"]);
    assert_eq!(given.logging, LogOptions { verbosity: 4, modules: Vec::new(), format: LogFormat::Json });
    for (flag, fault) in [
        ("--logging-format=xml", "--logging-format: expected text or json, found \"xml\""),
        ("--vmodule=a", "--vmodule: expected PATTERN=LEVEL, found \"a\""),
        ("--vmodule==1", "--vmodule: expected PATTERN=LEVEL, found \"=1\""),
    ] {
        assert_eq!(refusal(&[flag]), (format!("error: {fault}"), 1));
    }
}

#[test]
fn app_07_10_11_16_le_16_what_has_no_effect_is_said() {
    let rows: [(&[&str], &[&str]); 4] = [
        (&[], &[]),
        (
            &["--node-sync-period=10s", "--allow-untagged-cloud"],
            &[
                "--node-sync-period is deprecated and has no effect",
                "--allow-untagged-cloud is deprecated and has no effect",
            ],
        ),
        (
            &["--cluster-cidr=10.0.0.0/8", "--allocate-node-cidrs=false", "--webhook-secure-port=1"],
            &["accepted for compatibility, without effect: --allocate-node-cidrs --cluster-cidr --webhook-secure-port"],
        ),
        (
            &["run", "--use-service-account-credentials", "--profiling=false"],
            &["accepted for compatibility, without effect: --use-service-account-credentials --profiling"],
        ),
    ];
    for (arguments, expected) in rows {
        assert_eq!(options(arguments).warnings, expected, "{arguments:?}");
    }
    assert_eq!(
        refusal(&["--enable-leader-migration"]),
        (
            "error: --enable-leader-migration: leader migration is not supported: let one controller manager end \
             before the other starts"
                .into(),
            1
        )
    );
}

#[test]
fn no_flag_takes_credentials() {
    assert_eq!(
        refusal(&["--master=https://user:hunter2@10.0.0.1:6443"]),
        ("error: --master: a URL here holds no credentials: they belong in the kubeconfig".into(), 1)
    );
}

#[test]
fn app_29_configz_shows_what_is_in_force() {
    let given =
        options(&["--kube-api-qps=2.5", "--leader-elect=F", "--controllers=*,-route", "--secure-port=1", "-v=2"]);
    let shown = given.configz();
    let config = &shown["cloudcontrollermanager.config.k8s.io"];
    let rows = [
        ("/kind", json!("CloudControllerManagerConfiguration")),
        ("/apiVersion", json!("cloudcontrollermanager.config.k8s.io/v1alpha1")),
        ("/Generic/Port", json!(1)),
        ("/Generic/ClientConnection/qps", json!(2.5)),
        ("/Generic/ClientConnection/burst", json!(30)),
        ("/Generic/LeaderElection/leaderElect", json!(false)),
        ("/Generic/LeaderElection/leaseDuration", json!("15s")),
        ("/Generic/Controllers", json!(["*", "-route"])),
        ("/KubeCloudShared/CloudProvider", json!({"Name": "equinixmetal", "CloudConfigFile": ""})),
        ("/KubeCloudShared/NodeMonitorPeriod", json!("5s")),
        ("/NodeController", json!({"ConcurrentNodeSyncs": 1, "ConcurrentNodeStatusUpdates": 0})),
        ("/ServiceController", json!({"ConcurrentServiceSyncs": 1})),
        ("/NodeStatusUpdateFrequency", json!("5m0s")),
        ("/Flags/v", json!("2")),
    ];
    for (pointer, expected) in rows {
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    }
    let flags: Vec<_> = config["Flags"].as_object().unwrap().keys().cloned().collect();
    let mut all: Vec<_> = given.effective.into_iter().map(|(flag, _)| flag).collect();
    all.sort();
    assert_eq!(flags, all);
}

#[test]
fn app_14_every_flag_is_logged_from_verbosity_1_on() {
    let logged = |arguments: &[&str]| {
        let given = options(arguments);
        telemetry::tests::logged(&given.logging, |_| given.announce())
    };
    assert_eq!(logged(&["--v=0"]), "");
    assert!(logged(&["--node-sync-period=1s"]).contains("WARN"));
    let log = logged(&["--v=1", "--cluster-name=edge"]);
    assert_eq!(log.lines().count(), options(&[]).effective.len());
    assert!(log.contains("FLAG: --cluster-name=\"edge\"") && log.contains("FLAG: --secure-port=\"10258\""), "{log}");
}
