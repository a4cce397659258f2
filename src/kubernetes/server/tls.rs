//! What TLS the server speaks.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl TlsVersion {
    /// This version and later ones.
    pub fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
        match self {
            Self::Tls12 => BOTH,
            Self::Tls13 => &BOTH[..1],
        }
    }
}

/// Cipher suites by the names that Go gives them; those of TLS 1.3 are always on, as in Go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherSuites(Option<Vec<&'static str>>);

/// Key exchange curves by the numbers that Go gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curves(Option<Vec<i32>>);

/// A TLS setting that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsChoiceError {
    /// No such suite, in Go either.
    #[error("there is no cipher suite {0:?}")]
    UnknownSuite(String),
    /// Suites that are not offered here, all of them CBC, RC4, 3DES or without forward secrecy.
    #[error("none of the cipher suites is offered here; offered are {}", offered())]
    NoSuiteOffered,
    /// Curves that are not offered here.
    #[error("none of the curves is offered here; offered are 23 (P-256), 24 (P-384) and 29 (X25519)")]
    NoCurveOffered,
}

/// Suites of TLS 1.2 that are offered, by all names of Go.
const TLS12: [(&str, SupportedCipherSuite); 8] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

const TLS13: [(&str, SupportedCipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
];

/// Suites that Go knows and nobody should use.
const NOT_OFFERED: [&str; 16] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];

const CURVES: [(i32, &dyn SupportedKxGroup); 3] =
    [(29, kx_group::X25519), (23, kx_group::SECP256R1), (24, kx_group::SECP384R1)];

impl CipherSuites {
    /// All that are offered.
    pub const OFFERED: Self = Self(None);

    /// These, as far as they are offered; all when the list is empty.
    ///
    /// # Errors
    /// For a name that does not exist, and when none of them is offered.
    pub fn named(names: &[String]) -> Result<Self, TlsChoiceError> {
        if names.is_empty() {
            return Ok(Self::OFFERED);
        }
        let known = |name: &String| TLS12.iter().chain(&TLS13).map(|(known, _)| *known).find(|known| known == name);
        if let Some(unknown) = names.iter().find(|name| known(name).is_none() && !NOT_OFFERED.contains(&name.as_str()))
        {
            return Err(TlsChoiceError::UnknownSuite(unknown.clone()));
        }
        let chosen: Vec<_> = names.iter().filter_map(known).collect();
        if chosen.is_empty() { Err(TlsChoiceError::NoSuiteOffered) } else { Ok(Self(Some(chosen))) }
    }

    fn suites(&self) -> Vec<SupportedCipherSuite> {
        match &self.0 {
            None => default_provider().cipher_suites,
            Some(names) => {
                let chosen = TLS12.iter().filter(|(name, _)| names.contains(name));
                TLS13.iter().chain(chosen).map(|(_, suite)| *suite).collect()
            }
        }
    }
}

impl Curves {
    /// All that are offered.
    pub const OFFERED: Self = Self(None);

    /// These, as far as they are offered; all when the list is empty.
    ///
    /// # Errors
    /// When none of them is offered.
    pub fn numbered(numbers: &[i32]) -> Result<Self, TlsChoiceError> {
        let chosen: Vec<_> =
            numbers.iter().copied().filter(|number| CURVES.iter().any(|(offered, _)| offered == number)).collect();
        match (numbers, chosen.as_slice()) {
            ([], _) => Ok(Self::OFFERED),
            (_, []) => Err(TlsChoiceError::NoCurveOffered),
            (_, _) => Ok(Self(Some(chosen))),
        }
    }

    fn groups(&self) -> Vec<&'static dyn SupportedKxGroup> {
        match &self.0 {
            None => default_provider().kx_groups,
            Some(numbers) => {
                let chosen = CURVES.iter().filter(|(number, _)| numbers.contains(number));
                chosen.map(|(_, group)| *group).collect()
            }
        }
    }
}

/// The cryptography of a server with these choices.
pub fn provider(ciphers: &CipherSuites, curves: &Curves) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: ciphers.suites(), kx_groups: curves.groups(), ..default_provider() })
}

fn offered() -> String {
    let names: Vec<_> = TLS12.iter().chain(&TLS13).map(|(name, _)| *name).collect();
    names.join(", ")
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "VersionTLS12",
            Self::Tls13 => "VersionTLS13",
        })
    }
}
