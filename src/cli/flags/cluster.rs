//! Flags that say how the cluster is reached.

use clap::Args;
use http::Uri;

use super::{OptionFault, path};
use crate::kubernetes::client::{ClusterAccess, RequestRate};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster access flags")]
pub(super) struct ClusterFlags {
    /// Kubeconfig file with the server's address and credentials; in-cluster configuration is used where neither this
    /// nor --master is given
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    kubeconfig: String,

    /// The address of the Kubernetes API server; overrides the one in the kubeconfig
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    master: String,

    /// Requests a second, on average, of each client of the API server; below zero there is no limit
    #[arg(long, value_name = "QPS", default_value = "20")]
    kube_api_qps: f32,

    /// Requests at once, after a quiet time, of each client of the API server
    #[arg(long, value_name = "N", default_value = "30")]
    kube_api_burst: i32,

    /// Accepted for compatibility: requests are sent as JSON
    #[arg(long, value_name = "TYPE", default_value = "application/vnd.kubernetes.protobuf")]
    kube_api_content_type: String,
}

impl ClusterFlags {
    pub(super) fn options(self) -> Result<ClusterAccess, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let master = master(&self.master).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let rate = self.rate().unwrap_or_else(|fault| {
            faults.push(fault);
            RequestRate::Unlimited
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(ClusterAccess { kubeconfig: path(self.kubeconfig), master, rate })
    }

    /// Zero means the client library's own default, as in Go.
    fn rate(&self) -> Result<RequestRate, OptionFault> {
        if !self.kube_api_qps.is_finite() {
            return Err(OptionFault::new("kube-api-qps", "expected a finite number"));
        }
        if self.kube_api_qps < 0.0 {
            return Ok(RequestRate::Unlimited);
        }
        let burst =
            u32::try_from(self.kube_api_burst).map_err(|_| OptionFault::new("kube-api-burst", "cannot be negative"))?;
        Ok(RequestRate::PerSecond {
            qps: if self.kube_api_qps == 0.0 { 5.0 } else { self.kube_api_qps },
            burst: if burst == 0 { 10 } else { burst },
        })
    }
}

/// A bare `host:port` is taken to be plain HTTP, as in Go.
fn master(text: &str) -> Result<Option<Uri>, OptionFault> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = if text.contains("://") { text.to_string() } else { format!("http://{text}") };
    let fault = |message: &str| Err(OptionFault::new("master", message));
    let Ok(uri) = url.parse::<Uri>() else {
        return fault("expected a URL such as https://10.0.0.1:6443");
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return fault("a URL here holds no credentials: they belong in the kubeconfig");
    }
    match (uri.host(), uri.scheme_str()) {
        (Some(host), Some("http" | "https")) if !host.is_empty() => Ok(Some(uri)),
        _ => fault("expected a URL such as https://10.0.0.1:6443"),
    }
}
