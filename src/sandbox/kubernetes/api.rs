//! The running server and what a test or a program does with it directly.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::allocation::Allocations;
use super::fault::Faults;
use super::inspect::StoreHandle;
use super::journal::Journal;
use super::registry::Registry;
use super::store::Store;
use super::{seed, server};

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Loopback port; 0 takes a free one.
    pub port: u16,
    /// Changes kept per resource for watches; older versions answer 410.
    pub history: usize,
    /// Bearer tokens that are let in; with none, everybody is.
    pub tokens: Vec<Token>,
    /// What access reviews allow, beyond members of `system:masters`.
    pub grants: Vec<Grant>,
    /// IP families of the cluster, the primary one first.
    pub families: Vec<IpFamily>,
}

/// A right that access reviews answer with yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// A user's or a group's name.
    pub subject: String,
    /// The verb, or `*`.
    pub verb: String,
    /// The path (`/metrics`) or resource (`nodes`), or `*`.
    pub target: String,
}

/// A bearer token and whom it speaks for.
#[derive(Clone)]
pub struct Token {
    /// The secret.
    pub secret: String,
    /// The user's name.
    pub user: String,
    /// The user's groups.
    pub groups: Vec<String>,
}

/// An IP family of Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// IPv4, addresses from 10.96.0.0/16.
    V4,
    /// IPv6, addresses from fd00:10:96::/112.
    V6,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("port {port} on 127.0.0.1 is in use; choose another or 0 for any")]
    PortInUse {
        /// The port asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system refused the port for another reason.
    #[error("port {port} on 127.0.0.1 could not be opened")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A small Kubernetes API server on loopback, with all its objects in memory.
///
/// # Guarantees
/// - It accepts requests before [`KubernetesApi::start`] returns.
/// - What it stores, defaults and refuses is what kube-apiserver 1.36 does, for the resources it serves.
/// - It ends with [`KubernetesApi::shutdown`], or when the value is dropped.
#[derive(Debug)]
pub struct KubernetesApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ApiConfig,
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) allocations: Mutex<Allocations>,
    /// Counts the cuts; a watch ends when it moves on.
    pub(crate) cuts: watch::Sender<u64>,
    pub(crate) stop: CancellationToken,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { port: 0, history: 5_000, tokens: Vec::new(), grants: Vec::new(), families: vec![IpFamily::V4] }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("user", &self.user).field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl KubernetesApi {
    /// Starts the server on 127.0.0.1 with the namespaces and the Service that every cluster has.
    ///
    /// # Errors
    /// When the port cannot be opened.
    pub async fn start(config: ApiConfig) -> Result<Self, StartError> {
        let port = config.port;
        let opened = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = opened.map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortInUse { port, source },
            _ => StartError::Listen { port, source },
        })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { port, source })?;
        let (cuts, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            address,
            registry: Registry::built_in(),
            store: Store::new(config.history),
            journal: Journal::default(),
            faults: Faults::default(),
            allocations: Mutex::new(Allocations::new(&config.families)),
            cuts,
            stop: CancellationToken::new(),
            config,
        });
        seed::seed(&shared);
        let serving = tokio::spawn(server::serve(listener, shared.clone()));
        Ok(Self { address, shared, serving: Some(serving) })
    }

    /// The base URL, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig (YAML) that kubectl and kube clients take; with tokens configured, it carries the first.
    pub fn kubeconfig(&self) -> String {
        let user = match self.shared.config.tokens.first() {
            Some(token) => format!("{{token: {:?}}}", token.secret),
            None => "{}".to_owned(),
        };
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster: {{server: {:?}}}\nusers:\n- name: sandbox\n  \
             user: {user}\ncontexts:\n- name: sandbox\n  context: {{cluster: sandbox, user: sandbox}}\ncurrent-context: sandbox\n",
            self.url()
        )
    }

    /// Direct access to the objects, the journal of requests, and faults on order.
    pub fn store(&self) -> StoreHandle {
        StoreHandle::new(self.shared.clone())
    }

    /// Ends all connections and stops listening.
    pub async fn shutdown(mut self) {
        self.shared.stop.cancel();
        if let Some(serving) = self.serving.take() {
            // A panic in the accept loop has nobody left to tell: every connection it served is gone too.
            drop(serving.await);
        }
    }
}

impl Drop for KubernetesApi {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    /// The addresses and ports given to Services, held for the time of one write.
    pub(crate) fn allocations(&self) -> std::sync::MutexGuard<'_, Allocations> {
        self.allocations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
