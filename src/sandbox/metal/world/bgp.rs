//! The project's BGP configuration.

use std::fmt;

use jiff::Timestamp;

use super::{Refusal, World};

/// How the project announces routes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BgpConfig {
    pub(crate) id: String,
    pub(crate) status: BgpStatus,
    pub(crate) deployment: BgpDeployment,
    pub(crate) asn: u32,
    pub(crate) md5: Option<String>,
    pub(crate) max_prefix: u32,
    pub(crate) created_at: Timestamp,
}

impl fmt::Debug for BgpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BgpConfig").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Whether BGP is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BgpStatus {
    /// A human has yet to agree.
    Requested,
    /// In force.
    Enabled,
    /// Switched off.
    Disabled,
}

impl fmt::Display for BgpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        })
    }
}

/// Where routes are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BgpDeployment {
    /// Inside the metro, always with AS 65000.
    Local,
    /// To the internet, with an AS of one's own.
    Global,
}

impl fmt::Display for BgpDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Global => "global",
        })
    }
}

/// The AS that every local deployment gets, whatever it asked for.
const LOCAL_ASN: u32 = 65_000;

const DEFAULT_MAX_PREFIX: u32 = 10;

/// A BGP configuration to start from.
#[derive(Clone, PartialEq, Eq)]
pub struct BgpSeed {
    /// Whether it is in force.
    pub status: BgpStatus,
    /// Where routes are announced.
    pub deployment: BgpDeployment,
    /// The customer's AS.
    pub asn: u32,
    /// The session password: null, empty or set.
    pub md5: Option<String>,
    /// How many routes a session may announce.
    pub max_prefix: u32,
}

impl Default for BgpSeed {
    fn default() -> Self {
        Self {
            status: BgpStatus::Enabled,
            deployment: BgpDeployment::Local,
            asn: LOCAL_ASN,
            md5: None,
            max_prefix: DEFAULT_MAX_PREFIX,
        }
    }
}

impl fmt::Debug for BgpSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BgpSeed")
            .field("status", &self.status)
            .field("deployment", &self.deployment)
            .field("asn", &self.asn)
            .field("md5", &self.md5.as_ref().map(|_| "…"))
            .field("max_prefix", &self.max_prefix)
            .finish()
    }
}

impl World {
    /// Switches BGP on, or files the wish for it.
    pub(crate) fn request_bgp(
        &mut self,
        deployment: BgpDeployment,
        asn: u32,
        md5: Option<String>,
    ) -> Result<(), Refusal> {
        if self.bgp.is_some() {
            return Err(Refusal::unprocessable("Project already has a BGP configuration"));
        }
        if md5.as_deref().is_some_and(|md5| !md5.is_empty() && !acceptable(md5)) {
            let text = "Md5 must be 10 to 20 letters and digits with a lower-case and an upper-case letter and a digit";
            return Err(Refusal::unprocessable(text));
        }
        let (status, asn) = match deployment {
            BgpDeployment::Local => (BgpStatus::Enabled, LOCAL_ASN),
            BgpDeployment::Global => (BgpStatus::Requested, asn),
        };
        self.set_bgp(BgpSeed { status, deployment, asn, md5, max_prefix: DEFAULT_MAX_PREFIX });
        Ok(())
    }

    pub(crate) fn set_bgp(&mut self, seed: BgpSeed) {
        let known = self.bgp.take().map(|bgp| (bgp.id, bgp.created_at));
        let (id, created_at) = known.unwrap_or_else(|| (self.identities.next("bgp-config"), self.now));
        self.bgp = Some(BgpConfig {
            id,
            status: seed.status,
            deployment: seed.deployment,
            asn: seed.asn,
            md5: seed.md5,
            max_prefix: seed.max_prefix,
            created_at,
        });
    }
}

fn acceptable(md5: &str) -> bool {
    (10..=20).contains(&md5.len())
        && md5.chars().all(|c| c.is_ascii_alphanumeric())
        && md5.chars().any(|c| c.is_ascii_lowercase())
        && md5.chars().any(|c| c.is_ascii_uppercase())
        && md5.chars().any(|c| c.is_ascii_digit())
}
