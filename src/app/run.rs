//! `run`: the controller as a process.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::control::{Clients, Control, ControlError, control};
use super::policy::{self, PolicyError};
use super::serve::{ServeError, serve};
use super::{Passwords, Telemetry};
use crate::cli::RunOptions;
use crate::cli::flags::LeaderElection;
use crate::kubernetes::client::{ClientError, ClientFactory};
use crate::kubernetes::events::{EventWriter, events};
use crate::kubernetes::lease::{ElectionConfig, KubeLeases, LeaderElector, LostLeadership, identity};
use crate::metal::{self, Project, StartUpError};
use crate::policy::PolicyStore;
use crate::settings::{self, Environment, SettingsFault};
use crate::shutdown;
use crate::telemetry::Verbosity;

/// How long the controllers may take to end once they are told to.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Settings that cannot be used, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingsFault>),
    /// Signals cannot be caught.
    #[error("cannot catch signals")]
    Signals(#[source] std::io::Error),
    /// There is no policy to start with.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Metal cannot be spoken to at all.
    #[error(transparent)]
    Metal(#[from] metal::ClientError),
    /// Key and project do not fit.
    #[error(transparent)]
    StartUp(#[from] StartUpError),
    /// The cluster cannot be spoken to at all.
    #[error(transparent)]
    Cluster(#[from] ClientError),
    /// There is no HTTPS server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The controllers ended.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Another process leads now.
    #[error(transparent)]
    Lost(#[from] LostLeadership),
}

/// Runs the controller until it is asked to end.
///
/// # Errors
/// See [`RunError`]. The caller ends the process then, with exit code 1.
pub async fn run(options: RunOptions, verbosity: Verbosity) -> Result<(), RunError> {
    options.announce();
    let signalled = shutdown::on_signal().map_err(RunError::Signals)?;
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = settings::load(&environment, options.cloud.config.as_deref()).map_err(RunError::Settings)?;
    let policy = policy::first(&options.policy, &settings)?;
    settings.summary().iter().for_each(|line| info!("{line}"));
    policy.warnings.iter().for_each(|warning| warn!("{warning}"));
    info!(policy = %policy.name, hash = %policy.hash, "Took the policy into force");

    let telemetry = Telemetry::default();
    telemetry.took_policy(&policy);
    let policy = Arc::new(PolicyStore::new(policy));
    let clients = Arc::new(ClientFactory::new(&options.cluster, telemetry.metrics.clients()).await?);
    let (url, key) = (&settings.api_url, &settings.api_key);
    let project = Arc::new(super::metal(url, &settings.project_id, key, options.cloud.metal_rate, telemetry.metal())?);
    let _serving = match &options.serving {
        Some(config) => Some(serve(config, &options, policy.clone(), &telemetry, verbosity).await?),
        None => None,
    };
    check(&project).await?;
    let parts = Control {
        clients: shared(&clients),
        metal: project,
        policy,
        controllers: options.controllers,
        passwords: Passwords::of(&settings),
        telemetry: telemetry.clone(),
    };
    match options.leader_election {
        LeaderElection::Off => until_told(parts, &signalled).await,
        LeaderElection::On(config) => {
            let (elector, events) = elector(&clients, config, &telemetry)?;
            telemetry.checks.add(elector.health());
            let told = CancellationToken::new();
            let writing = tokio::spawn(events.run(told.clone()));
            let result = lead(elector, parts, &signalled).await;
            told.cancel();
            // Waits for the last event; a panic there is no reason to fail now.
            drop(writing.await);
            result
        }
    }
}

fn elector(
    clients: &ClientFactory,
    config: ElectionConfig,
    telemetry: &Telemetry,
) -> Result<(LeaderElector, EventWriter), ClientError> {
    let observer = telemetry.metrics.election(&config.name);
    let client = clients.separate_client("leader-election", config.timing.request_timeout())?;
    let api = Arc::new(KubeLeases::new(client, &config));
    let (recorder, writer) = events(clients.client("cloud-controller-manager"), "cloud-controller-manager");
    Ok((LeaderElector::new(config, identity(), api, Arc::new(recorder), observer), writer))
}

/// Waits for leadership, then runs until told to end or until leadership is lost: then everything is dropped at once.
async fn lead(elector: LeaderElector, parts: Control, signalled: &CancellationToken) -> Result<(), RunError> {
    let mut leadership = tokio::select! {
        leadership = elector.acquire() => leadership,
        () = signalled.cancelled() => return Ok(()),
    };
    let result = tokio::select! {
        result = until_told(parts, signalled) => result,
        lost = leadership.lost() => return Err(RunError::Lost(lost)),
    };
    leadership.release().await;
    result
}

fn shared(factory: &Arc<ClientFactory>) -> Clients {
    let factory = factory.clone();
    Arc::new(move |name| factory.client(name))
}

/// A wrong key or project ends the process; an outage does not.
async fn check(project: &Project) -> Result<(), StartUpError> {
    match project.start_up_check().await {
        Err(error @ StartUpError::Unavailable { .. }) => {
            warn!(error = %error, "Metal does not answer; going on, its answers are waited for");
            Ok(())
        }
        other => other,
    }
}

/// Runs until a signal comes; then what runs is told to stop and waited for.
async fn until_told(parts: Control, signalled: &CancellationToken) -> Result<(), RunError> {
    let stop = CancellationToken::new();
    let mut running = std::pin::pin!(control(parts, stop.clone()));
    tokio::select! {
        result = &mut running => return Ok(result?),
        () = signalled.cancelled() => info!("Was asked to stop"),
    }
    stop.cancel();
    match tokio::time::timeout(STOP_WITHIN, running).await {
        Ok(result) => Ok(result?),
        Err(_) => {
            warn!("Some work did not end in time and was abandoned");
            Ok(())
        }
    }
}
