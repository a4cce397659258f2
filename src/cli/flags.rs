//! The flags of `run`: those of a Kubernetes cloud controller manager, and the policy's.

use std::fmt;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command};
use tracing::{info, warn};

pub mod cloud;
pub mod controllers;
pub mod generic;
pub mod leader_election;
pub mod syntax;

mod access;
mod cluster;
mod configz;
mod features;
mod inert;
mod logging;
mod serving;

pub use cloud::{CloudOptions, PolicyLocation};
pub use controllers::ControllerSelection;
pub use generic::ControllerOptions;
pub use leader_election::LeaderElection;
pub use syntax::Switch;

use crate::kubernetes::client::ClusterAccess;
use crate::kubernetes::server::{AuthenticationConfig, AuthorizationConfig, ServingConfig};
use crate::telemetry::LogOptions;

/// The flags as given. [`RunFlags::options`] makes values of them.
#[derive(Debug, Clone, Args)]
pub struct RunFlags {
    #[command(flatten)]
    policy: cloud::PolicyFlags,
    #[command(flatten)]
    cloud: cloud::CloudFlags,
    #[command(flatten)]
    cluster: cluster::ClusterFlags,
    #[command(flatten)]
    controllers: generic::ControllerFlags,
    #[command(flatten)]
    leader_election: leader_election::LeaderElectionFlags,
    #[command(flatten)]
    serving: serving::ServingFlags,
    #[command(flatten)]
    authentication: access::AuthenticationFlags,
    #[command(flatten)]
    authorization: access::AuthorizationFlags,
    #[command(flatten)]
    logging: logging::LoggingFlags,
    #[command(flatten)]
    inert: inert::InertFlags,
}

/// What `run` was told on the command line, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// Where the policy comes from.
    pub policy: PolicyLocation,
    /// The cloud.
    pub cloud: CloudOptions,
    /// How the cluster is reached.
    pub cluster: ClusterAccess,
    /// The controllers.
    pub controllers: ControllerOptions,
    /// Leader election.
    pub leader_election: LeaderElection,
    /// The HTTPS server; `None` when there is to be none.
    pub serving: Option<ServingConfig>,
    /// Who is who to the server.
    pub authentication: AuthenticationConfig,
    /// Who may do what at the server.
    pub authorization: AuthorizationConfig,
    /// The log.
    pub logging: LogOptions,
    /// Sentences to log at the start: flags that are deprecated or have no effect.
    pub warnings: Vec<String>,
    /// Every flag with its value in force, defaults included, for the log and `/configz`. No flag takes a secret.
    pub effective: Vec<(String, String)>,
}

/// A flag's value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    flag: &'static str,
    message: String,
    severity: Severity,
}

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Exit code 1.
    Invalid,
    /// Exit code 255, as where the Go framework calls it fatal.
    Fatal,
}

impl OptionFault {
    pub(super) fn new(flag: &'static str, message: impl Into<String>) -> Self {
        Self { flag, message: message.into(), severity: Severity::Invalid }
    }

    fn fatal(flag: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fatal, ..Self::new(flag, message) }
    }

    /// What the process ends with.
    pub fn severity(&self) -> Severity {
        self.severity
    }
}

impl fmt::Display for OptionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.flag, self.message)
    }
}

impl RunFlags {
    /// Checks every flag.
    ///
    /// # Errors
    /// All faults at once, in the order of the help.
    pub fn options(self, matches: &ArgMatches) -> Result<RunOptions, Vec<OptionFault>> {
        let warnings = inert::InertFlags::warnings(matches);
        let effective = effective(matches);
        let mut faults = Vec::new();
        let policy = collect(&mut faults, self.policy.location());
        let cloud = collect(&mut faults, self.cloud.options());
        let cluster = collect(&mut faults, self.cluster.options());
        let controllers = collect(&mut faults, self.controllers.options());
        let leader_election = collect(&mut faults, self.leader_election.options());
        let serving = collect(&mut faults, self.serving.options());
        let logging = collect(&mut faults, self.logging.options());
        faults.extend(self.inert.check());
        match (policy, cloud, cluster, controllers, leader_election, serving, logging) {
            (
                Some(policy),
                Some(cloud),
                Some(cluster),
                Some(controllers),
                Some(leader_election),
                Some(serving),
                Some(logging),
            ) if faults.is_empty() => Ok(RunOptions {
                policy,
                cloud,
                cluster,
                controllers,
                leader_election,
                serving,
                authentication: self.authentication.options(),
                authorization: self.authorization.options(),
                logging,
                warnings,
                effective,
            }),
            _ => Err(faults),
        }
    }
}

impl RunOptions {
    /// Logs what is worth knowing of the command line: flags without effect, and from verbosity 1 on every flag.
    pub fn announce(&self) {
        for warning in &self.warnings {
            warn!("{warning}");
        }
        if self.logging.verbosity >= 1 {
            for (flag, value) in &self.effective {
                info!("FLAG: --{flag}={value:?}");
            }
        }
    }
}

fn effective(matches: &ArgMatches) -> Vec<(String, String)> {
    let command = syntax::go_flags(RunFlags::augment_args(Command::new("run")));
    let flags = command.get_arguments().filter_map(|arg| {
        let flag = arg.get_long()?;
        let raw = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
        let values: Vec<_> = raw.map(|value| value.to_string_lossy()).collect();
        Some((flag.to_string(), values.join(",")))
    });
    flags.collect()
}

fn collect<T>(faults: &mut Vec<OptionFault>, result: Result<T, Vec<OptionFault>>) -> Option<T> {
    result.map_err(|found| faults.extend(found)).ok()
}

/// The empty path is how a flag says "none".
fn path(text: String) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn items(list: Vec<String>) -> Vec<String> {
    list.into_iter().map(|item| item.trim().to_string()).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests;
