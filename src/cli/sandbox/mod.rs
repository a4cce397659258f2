//! `sandbox`: a simulated Metal project, a small Kubernetes API and the controller between them, in one process.

mod screen;
mod seed;
mod view;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kube::Client;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{self, Clients, Control, ControlError, Telemetry};
use crate::cli::flags::ControllerOptions;
use crate::domain::Secret;
use crate::kubernetes::client::{ClientFactory, ClusterAccess, NoRequestObserver, RequestRate};
use crate::metal::{RateLimit, Unobserved};
use crate::policy::{Defaults, Faults, Policy, PolicyStore, load};
use crate::sandbox::kubernetes::{ApiConfig, KubernetesApi};
use crate::sandbox::metal::{MetalSimulator, SimulatorConfig};
use crate::shutdown;
use crate::telemetry::{LogFormat, LogOptions};
use screen::{Screen, Surroundings};

/// The policy of a sandbox that is given none.
const POLICY: &str = include_str!("policy.yaml");
/// Requests to a real cluster, of each client.
const RATE: RequestRate = RequestRate::PerSecond { qps: 500.0, burst: 1000 };
/// How long `--exit-when-settled` waits.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Flags of `sandbox`.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// The policy to try; without one, every Service gets an Elastic IP announced by kube-vip
    #[arg(long, value_name = "FILE")]
    policy_file: Option<PathBuf>,
    /// Manifests to apply at the start
    #[arg(long, value_name = "FILE", num_args = 1..)]
    objects: Vec<PathBuf>,
    /// How many machines the project has, each with its Node
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=5000))]
    nodes: u16,
    /// Metro of the machines
    #[arg(long, value_name = "CODE", default_value = "da")]
    metro: String,
    /// Where to write the kubeconfig; without it, a file in the system's folder for temporary files
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Run against this real cluster: only Metal is simulated, with a device for every Node
    #[arg(long, value_name = "KUBECONFIG", conflicts_with = "kubeconfig")]
    cluster: Option<PathBuf>,
    /// Port of the simulated Metal API; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    metal_port: u16,
    /// Port of the small Kubernetes API; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0, conflicts_with = "cluster")]
    kubernetes_port: u16,
    /// Print the table once nothing is being waited for, and end
    #[arg(long)]
    exit_when_settled: bool,
    /// Show the controller's log, too; more of it with every repetition
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl SandboxArgs {
    /// How the controller's log is shown; not at all unless asked for.
    pub fn logging(&self) -> Option<LogOptions> {
        let verbosity = match self.verbose {
            0 => return None,
            1 => 0,
            2 => 2,
            3.. => 5,
        };
        Some(LogOptions { verbosity, modules: Vec::new(), format: LogFormat::Text })
    }
}

/// Runs the sandbox until Ctrl-C, or until it has settled. Exit code 0; 1 when something is wrong with what was given.
pub async fn run(args: SandboxArgs) -> ExitCode {
    match try_run(args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn try_run(args: SandboxArgs) -> anyhow::Result<ExitCode> {
    let signalled = shutdown::on_signal().context("cannot catch signals")?;
    let policy = match read_policy(&args)? {
        Ok(policy) => policy,
        Err(faults) => {
            eprint!("{faults}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let objects = seed::read(&args.objects)?;
    let cluster = Cluster::start(&args).await?;
    let metal = MetalSimulator::start(SimulatorConfig { port: args.metal_port, ..SimulatorConfig::default() })
        .await
        .context("cannot start the simulated Metal API (--metal-port)")?;
    let project = metal.state();
    let clients = cluster.clients()?;
    let client = clients("sandbox");
    let known = match &cluster {
        Cluster::Real { .. } => seed::devices_for(&client, &project, &args.metro).await?,
        Cluster::Sandbox { .. } => 0,
    };
    if known == 0 {
        seed::nodes(&client, &project, &args.metro, usize::from(args.nodes)).await?;
    }
    let store = Arc::new(PolicyStore::new(policy));
    let key = Secret::new(SimulatorConfig::default().auth_token.reveal());
    let stop = CancellationToken::new();
    let control = tokio::spawn(app::control(
        Control {
            clients: clients.clone(),
            metal: Arc::new(app::metal(
                &metal.base_url(),
                &project.id(),
                &key,
                RateLimit::default(),
                Arc::new(Unobserved),
            )?),
            policy: store.clone(),
            controllers: ControllerOptions::default(),
            telemetry: Telemetry::default(),
            // The project is simulated, and so may be what protects it.
            passwords: app::Passwords::made_up(),
        },
        stop.clone(),
    ));
    seed::apply(&client, objects).await?;
    let surroundings = Surroundings {
        policy_origin: args.policy_file.as_ref().map_or("built in".into(), |path| path.display().to_string()),
        policy: store,
        metal_url: metal.base_url(),
        cluster_url: cluster.address(),
        kubeconfig: cluster.kubeconfig().to_owned(),
    };
    let screen = Screen::new(surroundings, client, args.verbose == 0 && std::io::stdout().is_terminal());
    let result = tokio::select! {
        shown = show(screen, args.exit_when_settled) => shown,
        () = signalled.cancelled() => Ok(ExitCode::SUCCESS),
        over = ended(control) => over,
    };
    stop.cancel();
    metal.shutdown().await;
    cluster.shutdown().await;
    result
}

async fn show(mut screen: Screen, exit_when_settled: bool) -> anyhow::Result<ExitCode> {
    if !exit_when_settled {
        return screen.follow().await;
    }
    match tokio::time::timeout(SETTLED_WITHIN, screen.until_settled()).await {
        Ok(shown) => shown.map(|()| ExitCode::SUCCESS),
        Err(_) => {
            eprintln!("error: not settled within {} s", SETTLED_WITHIN.as_secs());
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read_policy(args: &SandboxArgs) -> anyhow::Result<Result<Policy, Faults>> {
    let (bytes, name) = match &args.policy_file {
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read --policy-file {}", path.display()))?;
            (bytes, path.display().to_string())
        }
        None => (POLICY.as_bytes().to_vec(), "built-in policy".to_owned()),
    };
    let defaults = Defaults { metro: Some(args.metro.clone()), facility: None };
    Ok(load(&bytes, &name, &defaults))
}

async fn ended(control: JoinHandle<Result<(), ControlError>>) -> anyhow::Result<ExitCode> {
    match control.await {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => Err(error).context("the controller ended"),
        Err(error) => Err(error).context("the controller ended"),
    }
}

/// The cluster the sandbox works on.
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum Cluster {
    Sandbox { api: KubernetesApi, kubeconfig: PathBuf },
    Real { factory: ClientFactory, kubeconfig: PathBuf },
}

impl Cluster {
    async fn start(args: &SandboxArgs) -> anyhow::Result<Self> {
        if let Some(kubeconfig) = &args.cluster {
            let rate = RATE;
            let access = ClusterAccess { kubeconfig: Some(kubeconfig.clone()), master: None, rate };
            let factory = ClientFactory::new(&access, Arc::new(NoRequestObserver)).await?;
            return Ok(Self::Real { factory, kubeconfig: kubeconfig.clone() });
        }
        let config = ApiConfig { port: args.kubernetes_port, ..ApiConfig::default() };
        let api =
            KubernetesApi::start(config).await.context("cannot start the small Kubernetes API (--kubernetes-port)")?;
        let kubeconfig = args.kubeconfig.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("cloud-provider-equinix-metal-{}.kubeconfig", std::process::id()))
        });
        std::fs::write(&kubeconfig, api.kubeconfig())
            .with_context(|| format!("cannot write the kubeconfig to {}", kubeconfig.display()))?;
        Ok(Self::Sandbox { api, kubeconfig })
    }

    /// A client of its own for each name; none is held back, for the cluster is on this machine or the user's own.
    fn clients(&self) -> anyhow::Result<Clients> {
        match self {
            Self::Sandbox { api, .. } => {
                let client =
                    Client::try_from(kube::Config::new(api.url().parse().context("the API has a valid URL")?))?;
                Ok(Arc::new(move |_| client.clone()))
            }
            Self::Real { factory, .. } => {
                let client = factory.client("sandbox");
                Ok(Arc::new(move |_| client.clone()))
            }
        }
    }

    fn address(&self) -> String {
        match self {
            Self::Sandbox { api, .. } => api.url(),
            Self::Real { factory, .. } => factory.host().to_owned(),
        }
    }

    fn kubeconfig(&self) -> &Path {
        match self {
            Self::Sandbox { kubeconfig, .. } | Self::Real { kubeconfig, .. } => kubeconfig,
        }
    }

    async fn shutdown(self) {
        match self {
            Self::Sandbox { api, .. } => api.shutdown().await,
            Self::Real { .. } => {}
        }
    }
}
