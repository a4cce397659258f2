//! Flags that say who may read what the HTTPS server shows.

use std::time::Duration;

use clap::Args;

use super::syntax::{Switch, duration};
use super::{items, path};
use crate::kubernetes::server::{
    AuthenticationConfig, AuthorizationConfig, ClusterLookup, PathPattern, RequestHeaderConfig,
};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Authentication flags")]
pub(super) struct AuthenticationFlags {
    /// Kubeconfig for token reviews; this program's own in-cluster credentials unless given
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    authentication_kubeconfig: String,

    /// Do not read the client authorities from the ConfigMap kube-system/extension-apiserver-authentication
    #[arg(long, default_value = "false")]
    authentication_skip_lookup: Switch,

    /// Go on where that ConfigMap cannot be read; client certificates are then not known
    #[arg(long, default_value = "false")]
    authentication_tolerate_lookup_failure: Switch,

    /// How long the answer to a token review is remembered
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    authentication_token_webhook_cache_ttl: Duration,

    /// Authorities whose client certificates are taken, PEM; the common name is the user's
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    client_ca_file: String,

    /// Authorities of proxies that may name the user in headers, PEM
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    requestheader_client_ca_file: String,

    /// Common names of such proxies; any unless given
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    requestheader_allowed_names: Vec<String>,

    /// Headers with the user's name
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "x-remote-user")]
    requestheader_username_headers: Vec<String>,

    /// Headers with the user's UID
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    requestheader_uid_headers: Vec<String>,

    /// Headers with the user's groups
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "x-remote-group")]
    requestheader_group_headers: Vec<String>,

    /// Prefixes of headers with anything else of the user
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "x-remote-extra-")]
    requestheader_extra_headers_prefix: Vec<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Authorization flags")]
pub(super) struct AuthorizationFlags {
    /// Kubeconfig for subject access reviews; this program's own in-cluster credentials unless given
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    authorization_kubeconfig: String,

    /// Paths that everybody may read; a trailing * stands for any rest
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "/healthz,/readyz,/livez")]
    authorization_always_allow_paths: Vec<String>,

    /// How long the answer "allowed" is remembered
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    authorization_webhook_cache_authorized_ttl: Duration,

    /// How long the answer "not allowed" is remembered
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    authorization_webhook_cache_unauthorized_ttl: Duration,
}

impl AuthenticationFlags {
    pub(super) fn options(self) -> AuthenticationConfig {
        AuthenticationConfig {
            kubeconfig: path(self.authentication_kubeconfig),
            lookup: if self.authentication_skip_lookup.is_on() {
                ClusterLookup::Skipped
            } else if self.authentication_tolerate_lookup_failure.is_on() {
                ClusterLookup::Tolerated
            } else {
                ClusterLookup::Required
            },
            token_ttl: self.authentication_token_webhook_cache_ttl,
            client_ca: path(self.client_ca_file),
            request_header: RequestHeaderConfig {
                client_ca: path(self.requestheader_client_ca_file),
                allowed_names: items(self.requestheader_allowed_names),
                username_headers: items(self.requestheader_username_headers),
                uid_headers: items(self.requestheader_uid_headers),
                group_headers: items(self.requestheader_group_headers),
                extra_prefixes: items(self.requestheader_extra_headers_prefix),
            },
        }
    }
}

impl AuthorizationFlags {
    pub(super) fn options(self) -> AuthorizationConfig {
        let allowed = items(self.authorization_always_allow_paths);
        AuthorizationConfig {
            kubeconfig: path(self.authorization_kubeconfig),
            always_allow: allowed.iter().map(|path| PathPattern::new(path)).collect(),
            allowed_ttl: self.authorization_webhook_cache_authorized_ttl,
            denied_ttl: self.authorization_webhook_cache_unauthorized_ttl,
        }
    }
}
