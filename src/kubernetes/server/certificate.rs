//! The server's certificates: made or read at the start, read again when their files change.

use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::{info, warn};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::config::{CertificateFiles, CertificateSource, SniCertificate};

/// Names of the files in `--cert-dir`.
const PAIR: &str = "cloud-controller-manager";
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be. The message holds nothing of it.
    #[error("{} and {}: {message}", files.certificate.display(), files.key.display())]
    Unusable {
        /// The files.
        files: CertificateFiles,
        /// What is wrong.
        message: String,
    },
    /// No certificate could be made.
    #[error("cannot make a self-signed certificate")]
    NotMade(#[source] rcgen::Error),
}

/// The certificates in use.
pub(super) struct Certificates {
    usual: Slot,
    by_name: Vec<Slot>,
    provider: Arc<CryptoProvider>,
}

struct Slot {
    /// `None` for a certificate that is nowhere but in memory.
    files: Option<CertificateFiles>,
    /// Names to use it for; those in the certificate when empty.
    names: Vec<String>,
    loaded: ArcSwap<Loaded>,
    /// What was last complained of, so that it is not said every time.
    complaint: Mutex<String>,
}

struct Loaded {
    certificate: Vec<u8>,
    key: Vec<u8>,
    pair: Arc<CertifiedKey>,
}

impl Certificates {
    /// Reads or makes the certificates.
    pub(super) fn load(
        source: &CertificateSource,
        sni: &[SniCertificate],
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let usual = match source {
            CertificateSource::SelfSigned => {
                let (certificate, key) = self_signed()?;
                let nowhere = CertificateFiles { certificate: "memory".into(), key: "memory".into() };
                let loaded = parse(&nowhere, certificate.into_bytes(), key.into_bytes(), &provider)?;
                Slot::new(None, Vec::new(), loaded)
            }
            CertificateSource::Directory(directory) => {
                let files = in_directory(directory)?;
                Slot::read(files, Vec::new(), &provider)?
            }
            CertificateSource::Files(files) => Slot::read(files.clone(), Vec::new(), &provider)?,
        };
        let by_name = sni.iter().map(|sni| Slot::read(sni.files.clone(), sni.names.clone(), &provider));
        Ok(Self { usual, by_name: by_name.collect::<Result<_, _>>()?, provider })
    }

    /// Reads the files again. Those that cannot be used leave the certificate as it was, with a warning.
    pub(super) fn reload(&self) {
        for slot in std::iter::once(&self.usual).chain(&self.by_name) {
            slot.reload(&self.provider);
        }
    }

    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let slots = || self.by_name.iter();
        let named = name.and_then(|name| {
            let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            slots()
                .find(|slot| slot.serves(name))
                .or_else(|| wildcard.and_then(|wildcard| slots().find(|slot| slot.serves(&wildcard))))
        });
        named.unwrap_or(&self.usual).loaded.load().pair.clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.usual.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()))
    }
}

impl Slot {
    fn new(files: Option<CertificateFiles>, names: Vec<String>, loaded: Loaded) -> Self {
        Self { files, names, loaded: ArcSwap::from_pointee(loaded), complaint: Mutex::default() }
    }

    fn read(files: CertificateFiles, names: Vec<String>, provider: &CryptoProvider) -> Result<Self, CertificateError> {
        let loaded = parse(&files, read(&files.certificate)?, read(&files.key)?, provider)?;
        Ok(Self::new(Some(files), names, loaded))
    }

    fn serves(&self, name: &str) -> bool {
        if self.names.is_empty() {
            self.loaded.load().pair.cert.first().is_some_and(|certificate| names_of(certificate).any(|own| own == name))
        } else {
            self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
        }
    }

    fn reload(&self, provider: &CryptoProvider) {
        let Some(files) = &self.files else { return };
        let current = self.loaded.load();
        let outcome = read(&files.certificate).and_then(|certificate| {
            let key = read(&files.key)?;
            if certificate == current.certificate && key == current.key {
                return Ok(None);
            }
            parse(files, certificate, key, provider).map(Some)
        });
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(changed) => {
                complaint.clear();
                if let Some(loaded) = changed {
                    self.loaded.store(Arc::new(loaded));
                    info!(file = %files.certificate.display(), "Took up the server's new certificate");
                }
            }
            Err(error) => {
                let text = error.to_string();
                if *complaint != text {
                    warn!(%error, "Kept the server's certificate: the new one cannot be used");
                    *complaint = text;
                }
            }
        }
    }
}

fn parse(
    files: &CertificateFiles,
    certificate: Vec<u8>,
    key: Vec<u8>,
    provider: &CryptoProvider,
) -> Result<Loaded, CertificateError> {
    let unusable = |message: String| CertificateError::Unusable { files: files.clone(), message };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|error| unusable(format!("the certificate cannot be read: {error}")))?;
    if chain.is_empty() {
        return Err(unusable("there is no certificate in PEM".to_string()));
    }
    let private = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| unusable("there is no unencrypted private key in PEM".to_string()))?;
    let pair = CertifiedKey::from_der(chain, private, provider)
        .map_err(|error| unusable(format!("certificate and key do not make a pair: {error}")))?;
    Ok(Loaded { certificate, key, pair: Arc::new(pair) })
}

fn names_of(certificate: &CertificateDer<'_>) -> impl Iterator<Item = String> + use<> {
    let names = X509Certificate::from_der(certificate).ok().and_then(|(_, parsed)| {
        let alternatives = parsed.subject_alternative_name().ok()??;
        let names = alternatives.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        Some(names.collect::<Vec<_>>())
    });
    names.unwrap_or_default().into_iter()
}

/// Certificate and key in PEM, for localhost and 127.0.0.1 and a year.
fn self_signed() -> Result<(String, String), CertificateError> {
    let now = SystemTime::now();
    let epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("localhost@{epoch}"));
    let mut params = CertificateParams::new(vec!["localhost".to_string()]).map_err(CertificateError::NotMade)?;
    params.distinguished_name = name;
    params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    params.not_before = (now - HOUR).into();
    params.not_after = (now + YEAR).into();
    let key = KeyPair::generate().map_err(CertificateError::NotMade)?;
    let certificate = params.self_signed(&key).map_err(CertificateError::NotMade)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// The pair in a directory, made when either is missing.
fn in_directory(directory: &Path) -> Result<CertificateFiles, CertificateError> {
    let files = CertificateFiles {
        certificate: directory.join(format!("{PAIR}.crt")),
        key: directory.join(format!("{PAIR}.key")),
    };
    if !(files.certificate.exists() && files.key.exists()) {
        let (certificate, key) = self_signed()?;
        fs::create_dir_all(directory)
            .map_err(|source| CertificateError::Unwritable { path: directory.to_path_buf(), source })?;
        write(&files.certificate, certificate.as_bytes(), 0o644)?;
        write(&files.key, key.as_bytes(), 0o600)?;
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Unreadable { path: path.to_path_buf(), source })
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), CertificateError> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|source| CertificateError::Unwritable { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests;
