//! The settings of the original controller: environment variables and the cloud-config JSON file.
//!
//! For each setting the environment beats the file, and the file beats the default. An environment variable that is set
//! to nothing counts as unset, so it cannot clear what the file says.

mod backend;
mod policy;

mod read;

use std::path::PathBuf;

pub use backend::BackendSetting;
pub use policy::{BGP_PASSWORD_VARIABLE, SYNTHESISED};

pub use read::{Environment, load};

use crate::domain::{LabelSelector, Secret};
use crate::strategy::BgpAnnotations;

/// Everything the original could be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `METAL_API_KEY` / `apiKey`.
    pub api_key: Secret,
    /// `METAL_PROJECT_ID` / `projectId`.
    pub project_id: String,
    /// `METAL_API_URL` / `base-url`.
    pub api_url: String,
    /// `METAL_LOAD_BALANCER` / `loadbalancer`; `None` switches load balancing off.
    pub load_balancer: Option<BackendSetting>,
    /// `METAL_METRO_NAME` / `metro`.
    pub metro: Option<String>,
    /// `METAL_FACILITY_NAME` / `facility`.
    pub facility: Option<String>,
    /// `METAL_LOCAL_ASN` / `localASN`.
    pub local_asn: u32,
    /// `METAL_BGP_PASS` / `bgpPass`.
    pub bgp_pass: Option<BgpPassword>,
    /// The `METAL_ANNOTATION_…` names on Nodes.
    pub annotations: BgpAnnotations,
    /// `METAL_ANNOTATION_EIP_METRO` / `annotationEIPMetro`, on Services.
    pub annotation_eip_metro: String,
    /// `METAL_ANNOTATION_EIP_FACILITY` / `annotationEIPFacility`, on Services.
    pub annotation_eip_facility: String,
    /// `METAL_EIP_TAG` / `eipTag`; `None`: no Elastic IP for the control plane.
    pub eip_tag: Option<String>,
    /// `METAL_LOAD_BALANCER_ID` / `loadBalancerID`; `None`: no load balancer for the control plane.
    pub load_balancer_id: Option<String>,
    /// `METAL_API_SERVER_PORT` / `apiServerPort`; `None`: the API server's own.
    pub api_server_port: Option<u16>,
    /// `METAL_BGP_NODE_SELECTOR` / `bgpNodeSelector`.
    pub bgp_node_selector: LabelSelector,
    /// `METAL_EIP_HEALTH_CHECK_USE_HOST_IP` / `eipHealthCheckUseHostIP`.
    pub eip_health_check_use_host_ip: bool,
}

/// The BGP password and where it was found: the policy names the place, never the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BgpPassword {
    /// In the environment variable `METAL_BGP_PASS`.
    Environment(Secret),
    /// In the file of `--cloud-config`.
    CloudConfig {
        /// The file.
        path: PathBuf,
        /// The password.
        password: Secret,
    },
}

/// A setting that cannot be used. All of them are reported together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// The file cannot be opened.
    #[error("--cloud-config {}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The file is not a JSON object.
    #[error("--cloud-config {}: is not a JSON object: {cause}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and what, without the content.
        cause: String,
    },
    /// A setting that must be there is missing.
    #[error("{environment} is required: set it in the environment, or {key} in the file of --cloud-config")]
    Missing {
        /// Environment variable.
        environment: &'static str,
        /// Key of the file.
        key: &'static str,
    },
    /// A setting has a value that cannot be used. The value is not shown: it may be a misplaced secret.
    #[error("{origin}: {problem}")]
    Invalid {
        /// Environment variable, or key and file.
        origin: String,
        /// What was expected.
        problem: String,
    },
    /// Two settings contradict each other.
    #[error("{problem}")]
    Contradiction {
        /// Which, and what to do.
        problem: String,
    },
}

impl Settings {
    /// What is logged at start, a line a setting; never the key nor the BGP password.
    pub fn summary(&self) -> Vec<String> {
        let or = |value: &Option<String>, otherwise: &str| value.clone().unwrap_or_else(|| otherwise.to_owned());
        let selector = self.bgp_node_selector.to_string();
        let balancer = self.load_balancer.as_ref().map(ToString::to_string);
        let port = self.api_server_port.map(|port| port.to_string());
        vec![
            format!("authToken: '{}'", if self.api_key.is_empty() { "" } else { "<masked>" }),
            format!("projectID: '{}'", self.project_id),
            format!("load balancer config: '{}'", or(&balancer, "disabled")),
            format!("metro: '{}'", or(&self.metro, "")),
            format!("facility: '{}'", or(&self.facility, "")),
            format!("local ASN: '{}'", self.local_asn),
            format!("Elastic IP Tag: '{}'", or(&self.eip_tag, "")),
            format!("API Server Port: '{}'", or(&port, "the API server's own")),
            format!("BGP Node Selector: '{selector}'"),
            format!("Load Balancer ID: '{}'", or(&self.load_balancer_id, "")),
        ]
    }
}
