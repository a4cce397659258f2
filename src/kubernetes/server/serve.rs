//! Connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::certificate::{CertificateError, Certificates};
use super::certificate_user::AnyCertificate;
use super::config::{Http2, ServingConfig};
use super::listen::{ListenError, listen};
use super::site::Site;
use super::tls;

/// More connections wait until others have ended.
const CONNECTIONS: usize = 256;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const HEADERS_WITHIN: Duration = Duration::from_secs(32);
/// Requests under way may end when the server is told to stop.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);
/// When no connection can be taken, as with too many open files.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It has no certificate.
    #[error("the HTTPS server has no certificate")]
    Certificate(#[from] CertificateError),
    /// Its TLS settings contradict each other.
    #[error("the TLS settings cannot be kept together")]
    Tls(#[source] rustls::Error),
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    http: auto::Builder<TokioExecutor>,
}

impl Server {
    /// Reads certificates and listens, so that what is wrong shows before anything else begins.
    ///
    /// # Errors
    /// When the port is taken or a certificate cannot be used.
    pub fn bind(config: &ServingConfig) -> Result<Self, ServerError> {
        let provider = tls::provider(&config.ciphers, &config.curves);
        let certificates = Arc::new(Certificates::load(&config.certificate, &config.sni, provider.clone())?);
        let mut tls = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(config.min_version.and_later())
            .map_err(ServerError::Tls)?
            .with_client_cert_verifier(Arc::new(AnyCertificate(provider)))
            .with_cert_resolver(certificates.clone());
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
        match config.http2 {
            Http2::Off => {
                tls.alpn_protocols = vec![b"http/1.1".to_vec()];
                http = http.http1_only();
            }
            Http2::On { max_streams } => {
                tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                let mut http2 = http.http2();
                http2.timer(TokioTimer::new()).keep_alive_interval(HEADERS_WITHIN);
                if let Some(max_streams) = max_streams {
                    http2.max_concurrent_streams(max_streams.get());
                }
            }
        }
        Ok(Self { listener: listen(config)?, acceptor: TlsAcceptor::from(Arc::new(tls)), certificates, http })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until stopped; requests under way then have two seconds to end.
    pub async fn serve(self, site: Arc<Site>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut reload = interval(CERTIFICATES_EVERY);
        reload.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connections = JoinSet::new();
        loop {
            let place = places.clone();
            let next = async {
                let place = place.acquire_owned().await;
                (self.listener.accept().await, place)
            };
            tokio::select! {
                () = stop.cancelled() => break,
                _ = reload.tick() => self.certificates.reload(),
                Some(_) = connections.join_next() => {}
                (accepted, place) = next => match (accepted, place) {
                    (Ok((stream, peer)), Ok(place)) => {
                        debug!(%peer, "Took a connection");
                        let connection = Connection {
                            acceptor: self.acceptor.clone(),
                            http: self.http.clone(),
                            site: site.clone(),
                            stop: stop.clone(),
                            _place: place,
                        };
                        connections.spawn(connection.serve(stream));
                    }
                    (Err(error), _) => {
                        warn!(%error, "Could not take a connection");
                        sleep(AFTER_TROUBLE).await;
                    }
                    (Ok(_), Err(_)) => return,
                },
            }
        }
        let last = async { while connections.join_next().await.is_some() {} };
        if timeout(LAST_ANSWERS_WITHIN, last).await.is_err() {
            debug!("Broke off connections that had not ended");
        }
    }
}

struct Connection {
    acceptor: TlsAcceptor,
    http: auto::Builder<TokioExecutor>,
    site: Arc<Site>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let handshake = timeout(HANDSHAKE_WITHIN, self.handshake(stream)).await;
        let Ok(Some(stream)) = handshake else { return };
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain: Arc<[CertificateDer<'static>]> =
            certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let site = self.site.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (site, chain) = (site.clone(), chain.clone());
            async move { Ok::<_, std::convert::Infallible>(site.respond(request.map(Body::new), &chain).await) }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "A connection broke off");
        }
    }

    async fn handshake(&self, mut stream: TcpStream) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        let mut first = [0];
        if stream.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first[0] != HANDSHAKE {
            // Whether the client still listens is its own affair.
            let _told = stream.write_all(NOT_TLS).await.is_ok() && stream.shutdown().await.is_ok();
            return None;
        }
        match self.acceptor.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                debug!(%error, "A TLS handshake failed");
                None
            }
        }
    }
}
