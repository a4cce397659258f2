//! The HTTPS server: health, metrics and what the policy does, for those who may see it.

pub mod config;
pub mod health;
pub mod tls;

pub use config::{
    AuthenticationConfig, AuthorizationConfig, CertificateFiles, CertificateSource, ClusterLookup, Http2, PathPattern,
    RequestHeaderConfig, ServingConfig, Sharing, SniCertificate,
};
pub use health::HealthCheck;
pub use tls::{CipherSuites, Curves, TlsChoiceError, TlsVersion};
