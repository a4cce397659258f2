//! Connections: accepting them, cutting them, ending them.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::pipeline::CutConnection;
use crate::sandbox::metal::api::{Api, routes};
use crate::sandbox::metal::catalog;
use crate::sandbox::metal::config::SimulatorConfig;
use crate::sandbox::metal::project::Project;
use crate::sandbox::metal::wire::PREFIX;

/// How long requests in flight may take after the simulator was told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Keeps a lack of file handles from turning the accept loop into a busy one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A simulated Metal API: an HTTP server on loopback, with the project it serves.
///
/// Dropping it ends the server at once; [`MetalSimulator::shutdown`] lets requests in flight end first.
#[derive(Debug)]
pub struct MetalSimulator {
    address: SocketAddr,
    project: Project,
    stopping: CancellationToken,
    server: Option<JoinHandle<()>>,
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something else listens there.
    #[error("port {port} on 127.0.0.1 is already in use; choose another, or 0 for any free one")]
    PortInUse {
        /// The port that was asked for.
        port: u16,
    },
    /// The port cannot be had for another reason.
    #[error("could not listen on port {port} of 127.0.0.1")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A metro that the vendor does not have.
    #[error("no metro has the code {code:?}")]
    UnknownMetro {
        /// The code that was asked for.
        code: String,
    },
}

/// Ends a connection that a fault cut.
#[derive(Debug, thiserror::Error)]
#[error("a fault cut the connection")]
struct Cut;

impl MetalSimulator {
    /// Binds 127.0.0.1 and serves until shut down or dropped.
    ///
    /// # Errors
    /// The port is taken or cannot be bound, or the configuration names a metro that does not exist.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        if let Some(code) = config.metros.iter().find(|code| catalog::metro(code).is_none()) {
            return Err(StartError::UnknownMetro { code: code.clone() });
        }
        let port = config.port;
        let refused = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortInUse { port },
            _ => StartError::Listen { port, source },
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stopping = CancellationToken::new();
        let api = Api::new(config, stopping.clone());
        // Another simulated service of the vendor would be merged into this router, beside the Metal API.
        let router = Router::new().nest(PREFIX, routes::router()).fallback(routes::no_route);
        let router = routes::intercepted(router, api.clone());
        let server = tokio::spawn(serve(listener, router, stopping.clone()));
        Ok(Self { address, project: Project::new(api), stopping, server: Some(server) })
    }

    /// The base URL for clients: `http://127.0.0.1:PORT/metal/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{PREFIX}", self.address)
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The simulated project, to seed, disturb and inspect.
    #[must_use]
    pub fn state(&self) -> Project {
        self.project.clone()
    }

    /// Stops accepting, lets requests in flight end for a second, then ends the server.
    pub async fn shutdown(mut self) {
        self.stopping.cancel();
        if let Some(server) = self.server.take()
            && let Err(error) = server.await
        {
            tracing::debug!(%error, "The simulator's server had already ended");
        }
    }
}

impl Drop for MetalSimulator {
    fn drop(&mut self) {
        self.stopping.cancel();
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn serve(listener: TcpListener, router: Router, stopping: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "A connection to the simulator could not be made prompt");
                    }
                    connections.spawn(connection(stream, router.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "A connection to the simulator failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, router: Router, stopping: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let answer = service.call(request.map(Body::new));
        async move {
            let response = answer.await.unwrap_or_else(|never: Infallible| match never {});
            if response.extensions().get::<CutConnection>().is_some() { Err(Cut) } else { Ok(response) }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection to the simulator was cut");
    }
}
