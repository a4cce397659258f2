//! The manifests that users apply, as the API types that Kubernetes reads them into.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Affinity, ConfigMap, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Secret,
    SecretVolumeSource, Toleration, Volume, VolumeMount,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use pretty_assertions::assert_eq;
use serde::de::DeserializeOwned;

const DEPLOYMENT: &str = include_str!("../deploy/template/deployment.yaml");
const SECRET: &str = include_str!("../deploy/template/secret.yaml");
const POLICY: &str = include_str!("../deploy/template/policy.yaml");
const METALLB: &str = include_str!("../deploy/template/metallb.yaml");

#[test]
fn dep_01_a_daemon_set_of_that_name_in_kube_system() {
    let daemon_set = daemon_set();
    let labels = Some([("app".to_string(), "cloud-provider-equinix-metal".to_string())].into());
    assert_eq!(daemon_set.metadata.name.as_deref(), Some("cloud-provider-equinix-metal"));
    assert_eq!(daemon_set.metadata.namespace.as_deref(), Some("kube-system"));
    assert_eq!(daemon_set.metadata.labels, labels);
    let spec = daemon_set.spec.expect("a spec");
    assert_eq!(spec.selector.match_labels, labels);
    assert_eq!(spec.template.metadata.expect("metadata").labels, labels);
}

#[test]
fn dep_02_it_needs_no_pod_network_and_is_not_evicted() {
    let pod = pod();
    assert_eq!(pod.host_network, Some(true));
    assert_eq!(pod.dns_policy.as_deref(), Some("Default"));
    assert_eq!(pod.priority_class_name.as_deref(), Some("system-cluster-critical"));
    assert_eq!(pod.service_account_name.as_deref(), Some("cloud-provider-equinix-metal"));
}

#[test]
fn dep_03_it_runs_on_control_plane_nodes_by_any_of_their_names() {
    let term = |key: &str, operator: &str, values: Option<Vec<String>>| NodeSelectorTerm {
        match_expressions: Some(vec![NodeSelectorRequirement { key: key.into(), operator: operator.into(), values }]),
        ..NodeSelectorTerm::default()
    };
    let expected = Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![
                    term("kubernetes.io/role", "In", Some(vec!["master".into()])),
                    term("node-role.kubernetes.io/control-plane", "Exists", None),
                    term("node-role.kubernetes.io/master", "Exists", None),
                ],
            }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    };
    assert_eq!(pod().affinity, Some(expected));
}

#[test]
fn dep_04_it_tolerates_what_a_fresh_control_plane_node_carries() {
    let exists = |key: &str, effect: Option<&str>| Toleration {
        key: Some(key.into()),
        operator: Some("Exists".into()),
        effect: effect.map(String::from),
        ..Toleration::default()
    };
    let uninitialized = Toleration {
        key: Some("node.cloudprovider.kubernetes.io/uninitialized".into()),
        value: Some("true".into()),
        effect: Some("NoSchedule".into()),
        ..Toleration::default()
    };
    let expected = vec![
        uninitialized,
        exists("node-role.kubernetes.io/control-plane", Some("NoSchedule")),
        exists("node-role.kubernetes.io/master", Some("NoSchedule")),
        exists("CriticalAddonsOnly", None),
        exists("node.kubernetes.io/not-ready", Some("NoSchedule")),
    ];
    assert_eq!(pod().tolerations, Some(expected));
}

#[test]
fn dep_05_07_command_resources_and_the_placeholder_of_the_image() {
    let [container] = pod().containers.try_into().expect("one container");
    assert_eq!(container.image.as_deref(), Some("RELEASE_IMG"));
    assert_eq!(container.image_pull_policy.as_deref(), Some("Always"));
    let command = [
        "./cloud-provider-equinix-metal",
        "--cloud-provider=equinixmetal",
        "--leader-elect=true",
        "--authentication-skip-lookup=true",
        "--cloud-config=/etc/cloud-sa/cloud-sa.json",
    ];
    assert_eq!(container.command, Some(command.map(String::from).to_vec()));
    let requests = container.resources.expect("resources").requests.expect("requests");
    let requests: Vec<(&str, &str)> = requests.iter().map(|(name, quantity)| (&**name, &*quantity.0)).collect();
    assert_eq!(requests, [("cpu", "100m"), ("memory", "50Mi")]);
    assert_eq!(DEPLOYMENT.matches("image: RELEASE_IMG").count(), 1);
}

#[test]
fn dep_06_the_secret_is_mounted_where_the_command_reads_it() {
    let secret: Secret = only(SECRET, "Secret");
    assert_eq!(secret.metadata.name.as_deref(), Some("metal-cloud-config"));
    assert_eq!(secret.metadata.namespace.as_deref(), Some("kube-system"));
    let text = &secret.string_data.expect("string data")["cloud-sa.json"];
    let settings: serde_json::Value = serde_json::from_str(text).expect("the template is JSON");
    assert_eq!(settings, serde_json::json!({ "apiKey": "YOUR_API_KEY", "projectID": "YOUR_PROJECT_ID" }));

    let pod = pod();
    let volume = Volume {
        name: "cloud-sa-volume".into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some("metal-cloud-config".into()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let mount = VolumeMount {
        name: "cloud-sa-volume".into(),
        mount_path: "/etc/cloud-sa".into(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    assert_eq!(pod.volumes, Some(vec![volume]));
    assert_eq!(pod.containers[0].volume_mounts, Some(vec![mount]));
}

#[test]
fn dep_08_no_rule_is_a_wildcard_and_no_secret_can_be_read() {
    let metallb: Role = only(METALLB, "Role");
    let rules = [cluster_rules(), role_rules(), metallb.rules.unwrap_or_default()].concat();
    for rule in rules {
        let words: Vec<String> =
            [rule.api_groups.unwrap_or_default(), rule.resources.unwrap_or_default(), rule.verbs].concat();
        for word in words {
            assert!(!word.contains('*') && word != "secrets", "{word}");
        }
    }
}

#[test]
fn the_policy_to_start_from_is_in_the_config_map_that_the_daemon_set_names() {
    let config_map: ConfigMap = only(POLICY, "ConfigMap");
    let name = format!(
        "{}/{}",
        config_map.metadata.namespace.expect("a namespace"),
        config_map.metadata.name.expect("a name")
    );
    assert!(DEPLOYMENT.contains(&format!("# - --policy-configmap={name}\n")), "{name}");
    let data = config_map.data.expect("data");
    assert_eq!(data.keys().collect::<Vec<_>>(), ["policy.yaml"]);
}

fn daemon_set() -> DaemonSet {
    only(DEPLOYMENT, "DaemonSet")
}

fn pod() -> PodSpec {
    daemon_set().spec.and_then(|spec| spec.template.spec).expect("a pod template")
}

fn cluster_rules() -> Vec<PolicyRule> {
    only::<ClusterRole>(DEPLOYMENT, "ClusterRole").rules.expect("rules")
}

fn role_rules() -> Vec<PolicyRule> {
    only::<Role>(DEPLOYMENT, "Role").rules.expect("rules")
}

/// The one object of a kind in a manifest, with no field that its type does not know.
fn only<T: DeserializeOwned + serde::Serialize>(manifest: &str, kind: &str) -> T {
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(manifest).expect("the manifest is YAML");
    let found: Vec<serde_json::Value> = objects.into_iter().filter(|object| object["kind"] == kind).collect();
    let [object] = found.try_into().expect("one object of the kind");
    let typed: T = serde_json::from_value(object.clone()).expect("the object has the shape of its kind");
    assert_eq!(serde_json::to_value(&typed).expect("it serialises"), object, "a field is unknown");
    typed
}
