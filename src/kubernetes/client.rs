//! Clients of the API server: one transport, and a name, a rate limit and a timeout for each who uses it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use kube::client::ClientBuilder;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tokio::time::{Instant, sleep};
use tower::BoxError;
use tracing::{debug, warn};

mod rate;
mod request;

pub use rate::RequestRate;
pub use request::{NoRequestObserver, RequestObserver, RequestOutcome, RequestRecord};

use crate::build_info::{BUILD, NAME};
use rate::TokenBucket;
use request::{Paced, Retries};

/// No answer to an ordinary request takes the API server longer than a minute: it gives up then itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(70);
/// A watch is ended by the server within 295 seconds and shows a bookmark every minute or so.
const SILENCE_AT_MOST: Duration = Duration::from_secs(300);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const WELL_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How the cluster is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterAccess {
    /// The kubeconfig; in-cluster configuration is used where this and `master` are not given.
    pub kubeconfig: Option<PathBuf>,
    /// The server's address, in place of the kubeconfig's.
    pub master: Option<Uri>,
    /// The limit of each client.
    pub rate: RequestRate,
}

/// The cluster cannot be reached as configured.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig is missing, unreadable or incomplete.
    #[error("cannot use the kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// Not in a cluster, and nothing else said.
    #[error(
        "this is not a Pod with a service account, and neither --kubeconfig nor --master says where the cluster is"
    )]
    NotInCluster(#[source] InClusterError),
    /// The API server is down, or its health check fails.
    #[error("the API server did not say within {} s that it is well", WELL_WITHIN.as_secs())]
    NotWell(#[source] Box<kube::Error>),
    /// Certificates or credentials are no good.
    #[error("cannot make a client of {server}")]
    Unusable {
        /// The server's address.
        server: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Makes clients of one API server.
pub struct ClientFactory {
    config: Config,
    transport: Client,
    rate: RequestRate,
    host: Arc<str>,
    observer: Arc<dyn RequestObserver>,
}

impl fmt::Debug for ClientFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFactory").field("host", &self.host).finish_non_exhaustive()
    }
}

impl ClientFactory {
    /// Reads the configuration; makes no request. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the kubeconfig or the in-cluster configuration cannot be used.
    pub async fn new(access: &ClusterAccess, observer: Arc<dyn RequestObserver>) -> Result<Self, ClientError> {
        let config = configuration(access.kubeconfig.as_deref(), access.master.as_ref()).await?;
        Self::of(config, access.rate, observer)
    }

    /// Uses the service account of the Pod this runs in; `None` when it does not run in one.
    ///
    /// # Errors
    /// When there is a Pod, and its service account cannot be used.
    pub fn in_cluster(rate: RequestRate, observer: Arc<dyn RequestObserver>) -> Result<Option<Self>, ClientError> {
        match Config::incluster() {
            Ok(config) => Self::of(config, rate, observer).map(Some),
            Err(InClusterError::ReadEnvironmentVariable(_)) => Ok(None),
            Err(error) => Err(ClientError::NotInCluster(error)),
        }
    }

    fn of(mut config: Config, rate: RequestRate, observer: Arc<dyn RequestObserver>) -> Result<Self, ClientError> {
        config.connect_timeout = Some(CONNECT_WITHIN);
        config.read_timeout = Some(SILENCE_AT_MOST);
        config.reset_reader_on_write = true;
        config.disable_compression = true;
        config.default_retry = false;
        let host = config.cluster_url.authority().map_or("", |authority| authority.as_str()).into();
        Ok(Self { transport: transport(&config)?, config, rate, host, observer })
    }

    /// A client of this name, with a rate limit of its own. It waits out what the server asks with `Retry-After`.
    pub fn client(&self, name: &str) -> Client {
        self.named(name, self.transport.clone(), ANSWER_WITHIN, Retries::WhenAsked)
    }

    /// A client of this name with connections of its own, which gives up a request after the timeout and repeats none.
    ///
    /// # Errors
    /// When the credentials changed meanwhile and are no good any more.
    pub fn separate_client(&self, name: &str, timeout: Duration) -> Result<Client, ClientError> {
        let mut config = self.config.clone();
        config.connect_timeout = Some(timeout);
        config.read_timeout = Some(timeout);
        config.write_timeout = Some(timeout);
        Ok(self.named(name, transport(&config)?, timeout, Retries::Never))
    }

    /// The API server, as `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn named(&self, name: &str, transport: Client, timeout: Duration, retries: Retries) -> Client {
        let service = Paced {
            inner: tower::service_fn(move |request| {
                let transport = transport.clone();
                async move { transport.send(request).await.map_err(BoxError::from) }
            }),
            user_agent: user_agent(name),
            bucket: TokenBucket::new(self.rate).map(Arc::new),
            timeout,
            retries,
            host: self.host.clone(),
            observer: self.observer.clone(),
        };
        ClientBuilder::new(service, self.config.default_namespace.clone()).build()
    }
}

/// Waits until the API server says that it is well, as every cloud controller manager does before anything else. Needs
/// no right of its own.
///
/// # Errors
/// When it did not within ten seconds.
pub async fn until_well(client: &Client) -> Result<(), ClientError> {
    let started = Instant::now();
    loop {
        let request = http::Request::get("/healthz").body(Vec::new()).expect("the request is well-formed");
        match client.request_text(request).await {
            Ok(_) => return Ok(()),
            Err(source) if started.elapsed() >= WELL_WITHIN => return Err(ClientError::NotWell(Box::new(source))),
            Err(error) => debug!(%error, "The API server is not well yet"),
        }
        sleep(ASK_EVERY).await;
    }
}

/// `<program>/<version> (<os>/<arch>) kubernetes/<commit>/<client>`.
fn user_agent(client: &str) -> HeaderValue {
    let version = BUILD.version.split('-').next().unwrap_or(BUILD.version);
    let platform = BUILD.platform();
    let text = format!("{NAME}/{version} ({platform}) kubernetes/{}/{client}", BUILD.short_commit());
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(NAME))
}

fn transport(config: &Config) -> Result<Client, ClientError> {
    Client::try_from(config.clone())
        .map_err(|source| ClientError::Unusable { server: config.cluster_url.to_string(), source: Box::new(source) })
}

async fn configuration(kubeconfig: Option<&Path>, master: Option<&Uri>) -> Result<Config, ClientError> {
    let mut config = match (kubeconfig, master) {
        (Some(path), _) => from_kubeconfig(path).await?,
        (None, Some(master)) => Config::new(master.clone()),
        (None, None) => {
            warn!("Neither --kubeconfig nor --master was specified, using the in-cluster configuration");
            Config::incluster().map_err(ClientError::NotInCluster)?
        }
    };
    if let Some(master) = master {
        config.cluster_url = master.clone();
    }

    Ok(config)
}

async fn from_kubeconfig(path: &Path) -> Result<Config, ClientError> {
    let fault = |source| ClientError::Kubeconfig { path: path.to_path_buf(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(fault)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(fault)
}

#[cfg(test)]
mod tests;
