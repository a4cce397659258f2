//! Flags of the cloud provider and of the policy.

use std::path::PathBuf;

use clap::Args;

use super::{OptionFault, collect, path};
use crate::metal::RateLimit;

/// The only provider this program is.
const PROVIDER: &str = "equinixmetal";

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policy flags")]
pub(super) struct PolicyFlags {
    /// The policy, a YAML file; followed when it changes. Without a policy the settings of the environment and of
    /// --cloud-config are translated into one
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    policy_file: String,

    /// The policy, a key of a ConfigMap; followed when it changes. KEY is policy.yaml unless given
    #[arg(long, value_name = "NAMESPACE/NAME[:KEY]", default_value = "", hide_default_value = true)]
    policy_configmap: String,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cloud provider flags")]
pub(super) struct CloudFlags {
    /// The provider for cloud services; this program is equinixmetal and nothing else
    #[arg(long, value_name = "NAME", default_value = PROVIDER)]
    cloud_provider: String,

    /// The cloud provider's settings, a JSON file; the environment beats it key by key
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    cloud_config: String,

    /// The name of the cluster, which load balancers and tags carry
    #[arg(long, value_name = "NAME", default_value = "kubernetes")]
    cluster_name: String,

    /// Calls to the Metal API a second, on average; 0 means no limit
    #[arg(long, value_name = "QPS", default_value = "10")]
    metal_api_qps: f64,

    /// Calls to the Metal API at once, after a quiet time
    #[arg(long, value_name = "N", default_value = "50")]
    metal_api_burst: u32,
}

/// Where the policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyLocation {
    /// Nowhere: it is made of the settings.
    Settings,
    /// A file.
    File(PathBuf),
    /// A key of a ConfigMap.
    ConfigMap {
        /// The ConfigMap's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key in its data.
        key: String,
    },
}

/// What is told of the cloud on the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudOptions {
    /// The cloud-config file.
    pub config: Option<PathBuf>,
    /// The cluster's name.
    pub cluster_name: String,
    /// The pace of calls to Metal.
    pub metal_rate: RateLimit,
}

impl CloudFlags {
    pub(super) fn options(self) -> Result<CloudOptions, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let rate = collect(&mut faults, self.rate().map_err(|fault| vec![fault]));
        match self.cloud_provider.as_str() {
            PROVIDER => {}
            "" => faults.push(OptionFault::new("cloud-provider", "cannot be empty")),
            other => faults.push(OptionFault::fatal(
                "cloud-provider",
                format!("there is no provider {other:?} here, only {PROVIDER:?}"),
            )),
        }
        match rate {
            Some(metal_rate) if faults.is_empty() => {
                Ok(CloudOptions { config: path(self.cloud_config), cluster_name: self.cluster_name, metal_rate })
            }
            _ => Err(faults),
        }
    }

    fn rate(&self) -> Result<RateLimit, OptionFault> {
        if !self.metal_api_qps.is_finite() || self.metal_api_qps < 0.0 {
            return Err(OptionFault::new("metal-api-qps", "expected a number of 0 or more"));
        }
        match (self.metal_api_qps, self.metal_api_burst) {
            (0.0, _) => Ok(RateLimit::UNLIMITED),
            (_, 0) => Err(OptionFault::new("metal-api-burst", "expected a number above zero, found 0")),
            (per_second, burst) => Ok(RateLimit { per_second, burst }),
        }
    }
}

impl PolicyFlags {
    pub(super) fn location(self) -> Result<PolicyLocation, Vec<OptionFault>> {
        match (path(self.policy_file), self.policy_configmap.as_str()) {
            (None, "") => Ok(PolicyLocation::Settings),
            (Some(file), "") => Ok(PolicyLocation::File(file)),
            (None, text) => config_map(text).ok_or_else(|| {
                let expected = format!("expected NAMESPACE/NAME or NAMESPACE/NAME:KEY, found {text:?}");
                vec![OptionFault::new("policy-configmap", expected)]
            }),
            (Some(_), _) => Err(vec![OptionFault::new(
                "policy-configmap",
                "cannot be given together with --policy-file: one policy decides",
            )]),
        }
    }
}

fn config_map(text: &str) -> Option<PolicyLocation> {
    let (namespace, rest) = text.split_once('/')?;
    let (name, key) = rest.split_once(':').unwrap_or((rest, "policy.yaml"));
    if [namespace, name, key].iter().any(|part| part.is_empty() || part.contains('/')) {
        return None;
    }
    Some(PolicyLocation::ConfigMap { namespace: namespace.to_string(), name: name.to_string(), key: key.to_string() })
}
