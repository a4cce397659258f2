//! The HTTPS server: health, metrics and what the policy does, for those who may see it.

pub mod access;
pub mod authentication;
pub mod authorization;
pub mod certificate_user;
pub mod config;
pub mod health;
pub mod identity;
pub mod review;
pub mod site;
pub mod tls;

mod answer;
mod certificate;
mod expiring;
mod listen;
mod lookup;
mod serve;

pub use access::{Access, AccessError, TrustKeeper, access};
pub use authentication::{Authenticator, Trust};
pub use authorization::Authorizer;
pub use certificate::CertificateError;
pub use config::{
    AuthenticationConfig, AuthorizationConfig, CertificateFiles, CertificateSource, ClusterLookup, Http2, PathPattern,
    RequestHeaderConfig, ServingConfig, Sharing, SniCertificate,
};
pub use health::{HealthCheck, HealthChecks, HealthObserver, HealthQuery, HealthReport, NoHealthObserver, Ping, Probe};
pub use listen::ListenError;
pub use lookup::LookupError;
pub use review::KubeReviews;
pub use serve::{Server, ServerError};
pub use site::{ActivePolicy, HeldPolicy, PolicyReport, PolicyStatus, Site};
pub use tls::{CipherSuites, Curves, TlsChoiceError, TlsVersion};

#[cfg(test)]
mod pki;
#[cfg(test)]
mod tests;
