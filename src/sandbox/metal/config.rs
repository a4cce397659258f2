//! What a simulator is started with.

use std::fmt;
use std::time::Duration;

pub use super::world::clock::ClockStart;

/// A key for the API; never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AuthToken(String);

impl AuthToken {
    /// The key as it is sent in `X-Auth-Token`.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for AuthToken {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthToken(…)")
    }
}

/// Everything that can be chosen before a simulator starts.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorConfig {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Ids, addresses and chance all follow from this number.
    pub seed: u64,
    /// The one project there is.
    pub project_id: String,
    /// Its name.
    pub project_name: String,
    /// The key with all rights.
    pub auth_token: AuthToken,
    /// Keys that may only read.
    pub read_only_tokens: Vec<AuthToken>,
    /// The codes of the metros on offer.
    pub metros: Vec<String>,
    /// Metros whose BGP neighbours are one gateway away instead of multihop.
    pub single_hop_metros: Vec<String>,
    /// How many public IPv4 addresses may be reserved before a human must agree.
    pub quota: u32,
    /// The most entries a page holds, whatever `per_page` asks for.
    pub per_page_cap: usize,
    /// How long lists ignore that an object was created or deleted; reads by id never lag.
    pub visibility_lag: Duration,
    /// The same for lists of BGP sessions.
    pub session_visibility_lag: Duration,
    /// How long an unassigned address refuses a new assignment.
    pub drain_delay: Duration,
    /// How long each change of a device's state takes.
    pub transition_delay: Duration,
    /// What happens to a reservation that needs a human's consent.
    pub approval: Approval,
    /// How the API answers for a device that is gone.
    pub gone_device: GoneDevice,
    /// How far responses stray from the documented schema.
    pub schema_drift: SchemaDrift,
    /// Where time comes from.
    pub clock: ClockStart,
    /// How many requests the journal keeps in full; counts are kept for all.
    pub journal_capacity: usize,
}

/// What happens to a reservation that needs a human's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// Which reservations need it.
    pub required: ApprovalRequired,
    /// What the human says.
    pub decision: Decision,
    /// How long the human takes.
    pub after: Duration,
}

/// Which reservations need a human's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalRequired {
    /// Those beyond the quota.
    OverQuota,
    /// All public ones.
    Always,
}

/// What a human says to a reservation beyond the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it stays pending until the test decides.
    Hold,
    /// It is created, with an address.
    Approve,
    /// It is denied.
    Deny,
}

/// How the API answers for a device that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneDevice {
    /// 404, the normal case.
    NotFound,
    /// 403, as for a device that was moved out of the account.
    Forbidden,
}

/// How far responses stray from the documented schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaDrift {
    /// Documented fields only.
    Off,
    /// Every object has fields nobody announced.
    UnknownFields,
    /// Besides, optional fields are null, `{}` or missing.
    MissingFields,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            port: 0,
            seed: 1,
            project_id: "3a8d4f3e-5d67-4a51-9c1e-0c5c7f1d2b6a".to_owned(),
            project_name: "sandbox".to_owned(),
            auth_token: AuthToken::from("sandbox-token"),
            read_only_tokens: Vec::new(),
            metros: ["am", "da", "dc", "fr", "ny", "sg", "sv"].map(str::to_owned).to_vec(),
            single_hop_metros: Vec::new(),
            quota: 256,
            per_page_cap: 1000,
            visibility_lag: Duration::ZERO,
            session_visibility_lag: Duration::ZERO,
            drain_delay: Duration::from_secs(1),
            transition_delay: Duration::from_secs(1),
            approval: Approval {
                required: ApprovalRequired::OverQuota,
                decision: Decision::Hold,
                after: Duration::ZERO,
            },
            gone_device: GoneDevice::NotFound,
            schema_drift: SchemaDrift::Off,
            clock: ClockStart::Real,
            journal_capacity: 1024,
        }
    }
}
