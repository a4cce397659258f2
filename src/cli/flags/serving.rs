//! Flags of the HTTPS server.

use std::net::IpAddr;
use std::num::NonZeroU32;

use clap::Args;

use super::syntax::Switch;
use super::{OptionFault, collect, items, path};
use crate::kubernetes::server::{
    CertificateFiles, CertificateSource, CipherSuites, Curves, Http2, ServingConfig, Sharing, SniCertificate,
    TlsVersion,
};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Secure serving flags")]
pub(super) struct ServingFlags {
    /// The address to listen on; an unspecified one (0.0.0.0 or ::) means all addresses of both families
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind_address: String,

    /// The port of the HTTPS server with health, metrics and policy status; 0 for no server
    #[arg(long, value_name = "PORT", default_value = "10258")]
    secure_port: i32,

    /// Where cloud-controller-manager.crt and .key are, or are written when they are missing; without it a self-signed
    /// certificate is made anew at each start and kept in memory
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    cert_dir: String,

    /// The server's certificate, PEM, with the authorities that signed it after it; read again when it changes
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    tls_cert_file: String,

    /// The private key of --tls-cert-file, PEM
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    tls_private_key_file: String,

    /// The lowest TLS version: VersionTLS12 or VersionTLS13; older ones are never spoken
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    tls_min_version: String,

    /// Cipher suites of TLS 1.2, by Go's names; all safe ones unless given
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    tls_cipher_suites: Vec<String>,

    /// Key exchange curves, by Go's numbers: 23 (P-256), 24 (P-384), 29 (X25519); all of them unless given
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    tls_curve_preferences: Vec<i32>,

    /// A further certificate: two files, and the names to use it for unless those in the certificate will do;
    /// may be given several times
    #[arg(long, value_name = "CERT,KEY[:NAMES]")]
    tls_sni_cert_key: Vec<String>,

    /// Serve HTTP/1.1 only
    #[arg(long, default_value = "false")]
    disable_http2_serving: Switch,

    /// The most streams of one HTTP/2 connection; 0 for the library's default
    #[arg(long, value_name = "N", default_value = "0")]
    http2_max_streams_per_connection: u32,

    /// Set SO_REUSEPORT, so that several processes may listen on the port
    #[arg(long, default_value = "false")]
    permit_port_sharing: Switch,

    /// Set SO_REUSEADDR, so that sockets which the kernel has not released do not keep the port busy
    #[arg(long, default_value = "false")]
    permit_address_sharing: Switch,
}

impl ServingFlags {
    /// `None` when there is to be no server.
    pub(super) fn options(self) -> Result<Option<ServingConfig>, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let bind = collect(&mut faults, bind_address(&self.bind_address));
        let port = collect(&mut faults, port(self.secure_port));
        let min_version = collect(&mut faults, min_version(&self.tls_min_version));
        let ciphers = CipherSuites::named(&items(self.tls_cipher_suites));
        let ciphers = collect(&mut faults, ciphers.map_err(|e| one("tls-cipher-suites", e.to_string())));
        let curves = Curves::numbered(&self.tls_curve_preferences);
        let curves = collect(&mut faults, curves.map_err(|e| one("tls-curve-preferences", e.to_string())));
        let files = certificate_files(self.tls_cert_file, self.tls_private_key_file);
        let files = collect(&mut faults, files);
        let sni: Result<Vec<_>, _> = self.tls_sni_cert_key.iter().map(|text| sni(text)).collect();
        let sni = collect(&mut faults, sni);
        let (Some(bind), Some(port), Some(min_version), Some(ciphers), Some(curves), Some(files), Some(sni)) =
            (bind, port, min_version, ciphers, curves, files, sni)
        else {
            return Err(faults);
        };
        if port == 0 {
            return Ok(None);
        }
        let certificate = match (files, path(self.cert_dir)) {
            (Some(files), _) => CertificateSource::Files(files),
            (None, Some(directory)) => CertificateSource::Directory(directory),
            (None, None) => CertificateSource::SelfSigned,
        };
        Ok(Some(ServingConfig {
            bind,
            port,
            certificate,
            sni,
            min_version,
            ciphers,
            curves,
            http2: if self.disable_http2_serving.is_on() {
                Http2::Off
            } else {
                Http2::On { max_streams: NonZeroU32::new(self.http2_max_streams_per_connection) }
            },
            sharing: Sharing { port: self.permit_port_sharing.is_on(), address: self.permit_address_sharing.is_on() },
        }))
    }
}

fn one(flag: &'static str, message: impl Into<String>) -> Vec<OptionFault> {
    vec![OptionFault::new(flag, message)]
}

fn bind_address(text: &str) -> Result<IpAddr, Vec<OptionFault>> {
    if text.is_empty() {
        return Ok(IpAddr::from([0, 0, 0, 0]));
    }
    text.parse().map_err(|_| one("bind-address", format!("expected an IP address, found {text:?}")))
}

fn port(given: i32) -> Result<u16, Vec<OptionFault>> {
    u16::try_from(given).map_err(|_| one("secure-port", format!("expected 0 to 65535, found {given}")))
}

fn min_version(text: &str) -> Result<TlsVersion, Vec<OptionFault>> {
    match text {
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => Ok(TlsVersion::Tls12),
        "VersionTLS13" => Ok(TlsVersion::Tls13),
        other => Err(one("tls-min-version", format!("expected VersionTLS12 or VersionTLS13, found {other:?}"))),
    }
}

fn certificate_files(certificate: String, key: String) -> Result<Option<CertificateFiles>, Vec<OptionFault>> {
    match (path(certificate), path(key)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(CertificateFiles { certificate, key })),
        (Some(_), None) => Err(one("tls-private-key-file", "is needed too when --tls-cert-file is given")),
        (None, Some(_)) => Err(one("tls-cert-file", "is needed too when --tls-private-key-file is given")),
    }
}

fn sni(text: &str) -> Result<SniCertificate, Vec<OptionFault>> {
    let (files, names) = text.split_once(':').unwrap_or((text, ""));
    let parts = files.split_once(',').map(|(cert, key)| (path(cert.to_string()), path(key.to_string())));
    let Some((Some(certificate), Some(key))) = parts else {
        let expected = format!("expected CERT,KEY or CERT,KEY:NAME,NAME, found {text:?}");
        return Err(one("tls-sni-cert-key", expected));
    };
    Ok(SniCertificate {
        files: CertificateFiles { certificate, key },
        names: items(names.split(',').map(str::to_string).collect()),
    })
}
