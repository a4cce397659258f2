//! What the HTTPS server is told.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::{CipherSuites, Curves, TlsVersion};

/// Where the server listens and what it shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingConfig {
    /// The address; an unspecified one means all addresses of both families.
    pub bind: IpAddr,
    /// The port; 0 lets the system choose one.
    pub port: u16,
    /// The certificate.
    pub certificate: CertificateSource,
    /// Further certificates, for their names.
    pub sni: Vec<SniCertificate>,
    /// The lowest version of TLS.
    pub min_version: TlsVersion,
    /// Cipher suites.
    pub ciphers: CipherSuites,
    /// Key exchange.
    pub curves: Curves,
    /// HTTP/2.
    pub http2: Http2,
    /// Options of the socket.
    pub sharing: Sharing,
}

/// Where the server's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Made at the start, in memory.
    SelfSigned,
    /// `cloud-controller-manager.crt` and `.key` in this directory, made there when they are missing.
    Directory(PathBuf),
    /// Files, read again when they change.
    Files(CertificateFiles),
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, those that signed it after it.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A certificate for some names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SniCertificate {
    /// The files.
    pub files: CertificateFiles,
    /// The names, also with a wildcard as first label; those in the certificate when empty.
    pub names: Vec<String>,
}

/// Whether HTTP/2 is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// HTTP/1.1 only.
    Off,
    /// Both.
    On {
        /// The most streams of one connection; the library's default when `None`.
        max_streams: Option<NonZeroU32>,
    },
}

/// Options of the listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sharing {
    /// `SO_REUSEPORT`.
    pub port: bool,
    /// `SO_REUSEADDR`.
    pub address: bool,
}

/// How the server finds out who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationConfig {
    /// Credentials for token reviews; the in-cluster ones when `None`.
    pub kubeconfig: Option<PathBuf>,
    /// Whether the cluster is asked which authorities sign client certificates.
    pub lookup: ClusterLookup,
    /// How long the answer to a token review is remembered.
    pub token_ttl: Duration,
    /// Authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// Proxies that name the user in headers.
    pub request_header: RequestHeaderConfig,
}

/// Whether the ConfigMap `kube-system/extension-apiserver-authentication` is read for what flags do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterLookup {
    /// It is not.
    Skipped,
    /// It is, and the server does not start without.
    Required,
    /// It is, and the server starts without.
    Tolerated,
}

/// Proxies that authenticate users and name them in headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeaderConfig {
    /// Authorities of the proxies' certificates.
    pub client_ca: Option<PathBuf>,
    /// Common names of the proxies; any when empty.
    pub allowed_names: Vec<String>,
    /// Headers with the user's name.
    pub username_headers: Vec<String>,
    /// Headers with the user's UID.
    pub uid_headers: Vec<String>,
    /// Headers with the user's groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with anything else.
    pub extra_prefixes: Vec<String>,
}

/// How the server finds out what somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationConfig {
    /// Credentials for access reviews; the in-cluster ones when `None`.
    pub kubeconfig: Option<PathBuf>,
    /// Paths that everybody may use.
    pub always_allow: Vec<PathPattern>,
    /// How long "allowed" is remembered.
    pub allowed_ttl: Duration,
    /// How long "not allowed" is remembered.
    pub denied_ttl: Duration,
}

/// A path, or with a trailing `*` the beginning of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path.
    Exact(String),
    /// Paths that begin so.
    Prefix(String),
}

impl PathPattern {
    /// Reads a pattern; a missing `/` at the front is put there.
    pub fn new(text: &str) -> Self {
        let rooted = format!("/{}", text.trim_start_matches('/'));
        match rooted.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_string()),
            None => Self::Exact(rooted),
        }
    }

    /// Whether a path fits.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => path.starts_with(prefix),
        }
    }
}
