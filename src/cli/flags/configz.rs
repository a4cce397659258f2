//! The settings in force, in the form of every cloud controller manager's `/configz`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::RunOptions;

const GROUP: &str = "cloudcontrollermanager.config.k8s.io";

impl RunOptions {
    /// The settings in force, as `/configz` shows them: the framework's fields, and every flag under `Flags`. Holds no
    /// secret, since no flag does.
    pub fn configz(&self) -> Value {
        let flags: BTreeMap<&str, &str> =
            self.effective.iter().map(|(flag, value)| (flag.as_str(), value.as_str())).collect();
        let text = |flag: &str| flags.get(flag).copied().unwrap_or_default();
        let number = |flag: &str| text(flag).parse::<f64>().map_or(Value::Null, whole_if_possible);
        let truth = |flag: &str| text(flag).parse::<super::Switch>().is_ok_and(super::Switch::is_on);
        let list = |flag: &str| text(flag).split(',').filter(|item| !item.is_empty()).collect::<Vec<_>>();
        json!({ GROUP: {
            "kind": "CloudControllerManagerConfiguration",
            "apiVersion": format!("{GROUP}/v1alpha1"),
            "Generic": {
                "Port": number("secure-port"),
                "Address": text("bind-address"),
                "MinResyncPeriod": text("min-resync-period"),
                "ClientConnection": {
                    "kubeconfig": text("kubeconfig"),
                    "acceptContentTypes": "",
                    "contentType": text("kube-api-content-type"),
                    "qps": number("kube-api-qps"),
                    "burst": number("kube-api-burst"),
                },
                "ControllerStartInterval": text("controller-start-interval"),
                "LeaderElection": {
                    "leaderElect": truth("leader-elect"),
                    "leaseDuration": text("leader-elect-lease-duration"),
                    "renewDeadline": text("leader-elect-renew-deadline"),
                    "retryPeriod": text("leader-elect-retry-period"),
                    "resourceLock": text("leader-elect-resource-lock"),
                    "resourceName": text("leader-elect-resource-name"),
                    "resourceNamespace": text("leader-elect-resource-namespace"),
                },
                "Controllers": list("controllers"),
                "Debugging": {
                    "enableProfiling": truth("profiling"),
                    "enableContentionProfiling": truth("contention-profiling"),
                },
                "LeaderMigrationEnabled": truth("enable-leader-migration"),
            },
            "KubeCloudShared": {
                "ExternalCloudVolumePlugin": text("external-cloud-volume-plugin"),
                "UseServiceAccountCredentials": truth("use-service-account-credentials"),
                "AllowUntaggedCloud": truth("allow-untagged-cloud"),
                "RouteReconciliationPeriod": text("route-reconciliation-period"),
                "NodeMonitorPeriod": text("node-monitor-period"),
                "ClusterName": text("cluster-name"),
                "ClusterCIDR": text("cluster-cidr"),
                "AllocateNodeCIDRs": truth("allocate-node-cidrs"),
                "CIDRAllocatorType": text("cidr-allocator-type"),
                "ConfigureCloudRoutes": truth("configure-cloud-routes"),
                "NodeSyncPeriod": text("node-sync-period"),
                "CloudProvider": { "Name": text("cloud-provider"), "CloudConfigFile": text("cloud-config") },
            },
            "NodeController": {
                "ConcurrentNodeSyncs": number("concurrent-node-syncs"),
                "ConcurrentNodeStatusUpdates": number("concurrent-node-status-updates"),
            },
            "ServiceController": { "ConcurrentServiceSyncs": number("concurrent-service-syncs") },
            "NodeStatusUpdateFrequency": text("node-status-update-frequency"),
            "Webhook": { "Webhooks": list("webhooks") },
            "Flags": flags,
        }})
    }
}

/// Numbers of JSON show a fraction where there is one only.
fn whole_if_possible(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) }
}
