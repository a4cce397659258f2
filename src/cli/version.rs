//! Which program this is.

use clap::Args;

use crate::build_info::{BUILD, TITLE};

/// Arguments of `version`.
#[derive(Debug, Clone, Args)]
pub struct VersionArgs {
    /// Show commit and build date as well
    #[arg(long)]
    raw: bool,
}

impl VersionArgs {
    /// What to print.
    pub fn text(&self) -> String {
        if self.raw { raw() } else { short() }
    }
}

/// The version as `--version` prints it.
pub fn short() -> String {
    format!("{TITLE} {}", BUILD.version)
}

/// All that is known of the build, as `--version=raw` prints it.
pub fn raw() -> String {
    BUILD.to_string()
}
