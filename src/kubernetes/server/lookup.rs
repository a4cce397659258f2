//! Whose certificates count, as flags and the cluster say.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde_json::from_str;
use tracing::warn;

use super::authentication::{Trust, TrustedProxies};
use super::certificate_user::{Authorities, AuthoritiesError};
use super::config::{AuthenticationConfig, ClusterLookup};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// It cannot be found out whose certificates count.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// A file cannot be read.
    #[error("{flag}: cannot read {}", path.display())]
    Unreadable {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificates.
    #[error("{flag}: {} cannot be used", path.display())]
    Unusable {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: AuthoritiesError,
    },
    /// The cluster cannot be asked.
    #[error(
        "cannot read the ConfigMap {NAMESPACE}/{NAME}; give the service account the Role \
         extension-apiserver-authentication-reader in {NAMESPACE}, or set --authentication-skip-lookup"
    )]
    NotRead(#[source] Box<kube::Error>),
    /// What the cluster says cannot be used.
    #[error("the ConfigMap {NAMESPACE}/{NAME} cannot be used: {key}: {message}")]
    Malformed {
        /// The key in its data.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
}

/// Finds out whose certificates count: by the files that flags name, else by asking the cluster if that is wanted.
///
/// # Errors
/// When a file cannot be used, or the cluster was to be asked and did not say.
pub(super) async fn trust(config: &AuthenticationConfig, client: Option<&Client>) -> Result<Trust, LookupError> {
    let headers = &config.request_header;
    let mut trust = Trust {
        users: config.client_ca.as_deref().map(|path| from_file("--client-ca-file", path)).transpose()?,
        proxies: match headers.client_ca.as_deref() {
            Some(path) => Some(TrustedProxies {
                authorities: from_file("--requestheader-client-ca-file", path)?,
                allowed_names: headers.allowed_names.clone(),
                username_headers: headers.username_headers.clone(),
                uid_headers: headers.uid_headers.clone(),
                group_headers: headers.group_headers.clone(),
                extra_prefixes: headers.extra_prefixes.clone(),
            }),
            None => None,
        },
    };
    let (Some(client), true) = (client, is_asked(config, &trust)) else {
        return Ok(trust);
    };
    match from_cluster(client).await {
        Ok(found) => {
            trust.users = trust.users.or(found.users);
            trust.proxies = trust.proxies.or(found.proxies);
            Ok(trust)
        }
        Err(error) if config.lookup == ClusterLookup::Tolerated => {
            warn!(%error, "Goes on without the cluster's client authorities");
            Ok(trust)
        }
        Err(error) => Err(error),
    }
}

fn is_asked(config: &AuthenticationConfig, trust: &Trust) -> bool {
    config.lookup != ClusterLookup::Skipped && (trust.users.is_none() || trust.proxies.is_none())
}

async fn from_cluster(client: &Client) -> Result<Trust, LookupError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    match maps.get_opt(NAME).await {
        Ok(map) => in_config_map(&map.unwrap_or_default()),
        Err(error) => Err(LookupError::NotRead(Box::new(error))),
    }
}

fn in_config_map(map: &ConfigMap) -> Result<Trust, LookupError> {
    let text = |key: &str| map.data.as_ref()?.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let authorities = |key: &'static str| {
        let found = text(key).map(|pem| Authorities::from_pem(pem.as_bytes())).transpose();
        found.map_err(|error| LookupError::Malformed { key, message: error.to_string() })
    };
    let list = |key: &'static str| {
        let found: Result<Vec<String>, _> = from_str(text(key).unwrap_or("[]"));
        found.map_err(|error| LookupError::Malformed { key, message: error.to_string() })
    };
    Ok(Trust {
        users: authorities("client-ca-file")?,
        proxies: match authorities("requestheader-client-ca-file")? {
            Some(authorities) => Some(TrustedProxies {
                authorities,
                allowed_names: list("requestheader-allowed-names")?,
                username_headers: list("requestheader-username-headers")?,
                uid_headers: list("requestheader-uid-headers")?,
                group_headers: list("requestheader-group-headers")?,
                extra_prefixes: list("requestheader-extra-headers-prefix")?,
            }),
            None => None,
        },
    })
}

fn from_file(flag: &'static str, path: &Path) -> Result<Authorities, LookupError> {
    let path = path.to_path_buf();
    match std::fs::read(&path) {
        Ok(pem) => Authorities::from_pem(&pem).map_err(|source| LookupError::Unusable { flag, path, source }),
        Err(source) => Err(LookupError::Unreadable { flag, path, source }),
    }
}
