//! Which build of the program this is.

use std::env::consts;
use std::fmt;

/// The program's name: in User-Agents, as the field manager, in the help.
pub const NAME: &str = "cloud-provider-equinix-metal";

/// What the program calls itself when it is asked for its version.
pub const TITLE: &str = "Cloud Provider Equinix Metal";

/// This build.
pub const BUILD: Build = Build {
    version: env!("CPEM_VERSION"),
    commit: env!("CPEM_COMMIT"),
    date: env!("CPEM_BUILD_DATE"),
    rustc: env!("CPEM_RUSTC"),
};

/// What is known of a build; `unknown` for what was not stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The version, with its `v`.
    pub version: &'static str,
    /// The git commit.
    pub commit: &'static str,
    /// When it was built, RFC 3339.
    pub date: &'static str,
    /// The compiler's version.
    pub rustc: &'static str,
}

impl Build {
    /// Major and minor version, as far as the version names them.
    pub fn major_minor(&self) -> (&'static str, &'static str) {
        let mut parts = self.version.trim_start_matches('v').split('.');
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    /// Operating system and architecture, in Go's words.
    pub fn platform(&self) -> String {
        format!("{}/{}", consts::OS, architecture())
    }

    /// The first seven digits of the commit.
    pub fn short_commit(&self) -> &'static str {
        self.commit.get(..7).unwrap_or(self.commit)
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{TITLE} {} (commit {}, built {}, rustc {}, {})",
            self.version,
            self.commit,
            self.date,
            self.rustc,
            self.platform()
        )
    }
}

fn architecture() -> &'static str {
    match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
