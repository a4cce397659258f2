//! The HTTPS server of the process: health, metrics, settings and the policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Telemetry;
use crate::cli::{PolicyLocation, RunOptions};
use crate::kubernetes::server::{
    AccessError, ActivePolicy, PolicyReport, PolicyStatus, Server, ServerError, ServingConfig, Site, access,
};
use crate::policy::PolicyStore;
use crate::telemetry::Verbosity;

/// The server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen, or its certificate is no good.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It cannot be told who may see what.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// A server that answers until it is dropped.
pub(super) struct Serving {
    _server: AbortOnDropHandle<()>,
    _keeper: AbortOnDropHandle<()>,
}

/// Listens and answers from now on, leader or not.
pub(super) async fn serve(
    config: &ServingConfig,
    options: &RunOptions,
    policy: Arc<PolicyStore>,
    telemetry: &Telemetry,
    verbosity: Verbosity,
) -> Result<Serving, ServeError> {
    let server = Server::bind(config)?;
    let access = access(&options.authentication, &options.authorization, &telemetry.metrics.clients()).await?;
    let site = Site {
        checks: telemetry.checks.clone(),
        metrics: telemetry.metrics.clone(),
        settings: options.configz(),
        policy: Arc::new(Status { source: source(&options.policy), policy }),
        set_verbosity: Arc::new(move |level| verbosity.set(level)),
        authenticator: access.authenticator,
        authorizer: access.authorizer,
    };
    let stop = CancellationToken::new();
    Ok(Serving {
        _server: AbortOnDropHandle::new(tokio::spawn(server.serve(Arc::new(site), stop.clone()))),
        _keeper: AbortOnDropHandle::new(tokio::spawn(access.keeper.run(stop))),
    })
}

fn source(location: &PolicyLocation) -> String {
    match location {
        PolicyLocation::Settings => "settings of the environment and --cloud-config".to_owned(),
        PolicyLocation::File(path) => format!("file {}", path.display()),
        PolicyLocation::ConfigMap { namespace, name, key } => format!("key {key} of ConfigMap {namespace}/{name}"),
    }
}

struct Status {
    source: String,
    policy: Arc<PolicyStore>,
}

impl PolicyStatus for Status {
    fn report(&self) -> PolicyReport {
        let policy = self.policy.current();
        let counted = [
            ("addressPools", policy.pools().len()),
            ("loadBalancers", policy.backends().len()),
            ("serviceRules", policy.rules().len()),
            ("nodeRules", policy.nodes.rules.len()),
        ];
        let counts: BTreeMap<_, _> =
            counted.into_iter().map(|(what, n)| (what.to_owned(), u64::try_from(n).unwrap_or(u64::MAX))).collect();
        let active = ActivePolicy { name: policy.name.clone(), hash: policy.hash.to_string(), counts };
        PolicyReport { source: self.source.clone(), active: Some(active), faults: Vec::new(), held: None }
    }
}
