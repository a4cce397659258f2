//! Where the policy comes from at the start.

use std::path::{Path, PathBuf};

use crate::cli::flags::PolicyLocation;
use crate::policy::{Defaults, Faults, Policy, compile_document, load};
use crate::settings::Settings;

/// There is no policy to start with.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("--policy-file {}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The text has faults.
    #[error("{0}")]
    Faults(Faults),
    /// Policies from ConfigMaps are not built yet.
    #[error("--policy-configmap is not supported yet: mount the ConfigMap and name the file with --policy-file")]
    ConfigMap,
}

/// Reads the policy, or makes the one that does what the settings did.
pub(super) fn first(location: &PolicyLocation, settings: &Settings) -> Result<Policy, PolicyError> {
    let defaults = Defaults { metro: settings.metro.clone(), facility: settings.facility.clone() };
    match location {
        PolicyLocation::Settings => {
            compile_document(&settings.policy(), "settings", &defaults).map_err(PolicyError::Faults)
        }
        PolicyLocation::File(path) => file(path, &defaults),
        PolicyLocation::ConfigMap { .. } => Err(PolicyError::ConfigMap),
    }
}

fn file(path: &Path, defaults: &Defaults) -> Result<Policy, PolicyError> {
    let bytes = std::fs::read(path).map_err(|source| PolicyError::Unreadable { path: path.to_owned(), source })?;
    load(&bytes, &path.display().to_string(), defaults).map_err(PolicyError::Faults)
}
