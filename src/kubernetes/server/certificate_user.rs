//! Users who show a certificate.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::identity::User;

/// Authorities that vouch for users or proxies.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<dyn ClientCertVerifier>);

/// A bundle of authorities that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// No PEM, or PEM that holds no certificate.
    #[error("it holds no certificate in PEM")]
    Empty,
    /// A certificate in it is malformed.
    #[error("a certificate in it cannot be read: {0}")]
    Malformed(String),
}

impl Authorities {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// When there is none or one of them is malformed.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let malformed = |error: &dyn std::fmt::Display| AuthoritiesError::Malformed(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| malformed(&error))?;
            roots.add(certificate).map_err(|error| malformed(&error))?;
        }
        if roots.is_empty() {
            return Err(AuthoritiesError::Empty);
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        verifier.map(Self).map_err(|error| malformed(&error))
    }

    /// Whether one of them signed the chain, whose first certificate is the user's, for use by a client, now.
    ///
    /// # Errors
    /// Says why not.
    pub fn vouch(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let Some((first, rest)) = chain.split_first() else {
            return Err(Error::NoCertificatesPresented);
        };
        self.0.verify_client_cert(first, rest, UnixTime::now()).map(|ClientCertVerified { .. }| ())
    }
}

/// The user whom a certificate names: common name, organisations as groups. `None` when it names nobody.
pub fn user_of(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = common_name(&parsed)?;
    let organizations = parsed.subject().iter_organization();
    let fingerprint: String = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(User {
        name,
        uid: String::new(),
        groups: organizations.filter_map(|group| group.as_str().ok()).map(str::to_string).collect(),
        extra: BTreeMap::from([(
            "authentication.kubernetes.io/credential-id".to_string(),
            vec![format!("X509SHA256={fingerprint}")],
        )]),
    })
}

/// The common name of a certificate's subject.
pub fn common_name_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    common_name(&parsed)
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    (!name.is_empty()).then(|| name.to_string())
}

/// Takes any certificate in the handshake, as long as the client has its key. Who it is, and whether that counts, is
/// found out at each request.
#[derive(Debug)]
pub(super) struct AnyCertificate(pub(super) Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
