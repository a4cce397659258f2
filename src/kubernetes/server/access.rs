//! Who may see what the server shows: as flags say, and as the cluster decides.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::authentication::{Authenticator, Trust};
use super::authorization::Authorizer;
use super::config::{AuthenticationConfig, AuthorizationConfig, ClusterLookup};
use super::lookup::{LookupError, trust};
use super::review::{AccessReviewer, KubeReviews, TokenReviewer};
use crate::kubernetes::client::{ClientError, ClientFactory, ClusterAccess, RequestObserver, RequestRate};

/// Reviews are asked for by whoever calls the server, and answered from memory for a while.
const RATE: RequestRate = RequestRate::PerSecond { qps: 200.0, burst: 400 };
const CLIENT: &str = "delegated-auth";
const AUTHORITIES_EVERY: Duration = Duration::from_secs(60);

/// Access cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Tokens cannot be reviewed.
    #[error("cannot ask the cluster whose a token is (--authentication-kubeconfig)")]
    Authentication(#[source] ClientError),
    /// Access cannot be reviewed.
    #[error("cannot ask the cluster what somebody may do (--authorization-kubeconfig)")]
    Authorization(#[source] ClientError),
    /// It is not known whose certificates count.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

/// Who decides, and what keeps their knowledge fresh.
pub struct Access {
    /// Who asks.
    pub authenticator: Authenticator,
    /// What they may do.
    pub authorizer: Authorizer,
    /// To be run as long as the server.
    pub keeper: TrustKeeper,
}

/// Sets up access. Without kubeconfig and outside a cluster all callers are anonymous, and see only the paths that are
/// open to everybody.
///
/// # Errors
/// When a kubeconfig or a file of authorities cannot be used, or the cluster was to be asked for authorities and did
/// not answer.
pub async fn access(
    authentication: &AuthenticationConfig,
    authorization: &AuthorizationConfig,
    observer: &Arc<dyn RequestObserver>,
) -> Result<Access, AccessError> {
    let tokens = client(authentication.kubeconfig.as_deref(), observer).await.map_err(AccessError::Authentication)?;
    let reviews = client(authorization.kubeconfig.as_deref(), observer).await.map_err(AccessError::Authorization)?;
    if tokens.is_none() {
        warn!("Takes all callers of the HTTPS server for anonymous: there is no cluster to ask whose a token is");
    }
    if reviews.is_none() {
        warn!("Shows callers of the HTTPS server only what is open to everybody: there is no cluster to ask");
    }
    let found = Arc::new(ArcSwap::from_pointee(trust(authentication, tokens.as_ref()).await?));
    let token_reviewer = tokens.clone().map(|client| Arc::new(KubeReviews::new(client)) as Arc<dyn TokenReviewer>);
    let access_reviewer = reviews.map(|client| Arc::new(KubeReviews::new(client)) as Arc<dyn AccessReviewer>);
    Ok(Access {
        authenticator: Authenticator::new(found.clone(), token_reviewer, authentication.token_ttl),
        authorizer: Authorizer::new(authorization.clone(), access_reviewer),
        keeper: TrustKeeper { config: authentication.clone(), client: tokens, trust: found },
    })
}

/// Reads the authorities again from time to time: those of a cluster are replaced while it runs.
pub struct TrustKeeper {
    config: AuthenticationConfig,
    client: Option<Client>,
    trust: Arc<ArcSwap<Trust>>,
}

impl TrustKeeper {
    /// Reads every minute until stopped. What cannot be read leaves things as they are, with one warning.
    pub async fn run(mut self, stop: CancellationToken) {
        // A failure is tolerated by keeping what there is, not by going without.
        if self.config.lookup == ClusterLookup::Tolerated {
            self.config.lookup = ClusterLookup::Required;
        }
        let mut complaint = String::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(AUTHORITIES_EVERY) => {}
            }
            match trust(&self.config, self.client.as_ref()).await {
                Ok(found) => {
                    self.trust.store(Arc::new(found));
                    complaint.clear();
                }
                Err(error) if complaint != error.to_string() => {
                    warn!(%error, "Kept the client authorities as they were");
                    complaint = error.to_string();
                }
                Err(_) => {}
            }
        }
    }
}

async fn client(kubeconfig: Option<&Path>, observer: &Arc<dyn RequestObserver>) -> Result<Option<Client>, ClientError> {
    let factory = match kubeconfig {
        Some(path) => {
            let access = ClusterAccess { kubeconfig: Some(path.to_path_buf()), master: None, rate: RATE };
            Some(ClientFactory::new(&access, observer.clone()).await?)
        }
        None => ClientFactory::in_cluster(RATE, observer.clone())?,
    };
    Ok(factory.map(|factory| factory.client(CLIENT)))
}
