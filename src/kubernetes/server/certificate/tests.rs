use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pretty_assertions::assert_eq;
use rustls::crypto::ring::default_provider;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::super::pki::{Authority, Issued};
use super::{CertificateError, CertificateFiles, CertificateSource, Certificates, SniCertificate};

fn load(source: &CertificateSource, sni: &[SniCertificate]) -> Result<Certificates, CertificateError> {
    Certificates::load(source, sni, Arc::new(default_provider()))
}

fn der(certificates: &Certificates, name: Option<&str>) -> Vec<u8> {
    certificates.choose(name).cert[0].to_vec()
}

fn put(directory: &Path, name: &str, issued: &Issued) -> CertificateFiles {
    let files = CertificateFiles {
        certificate: directory.join(format!("{name}.crt")),
        key: directory.join(format!("{name}.key")),
    };
    fs::write(&files.certificate, &issued.certificate).unwrap();
    fs::write(&files.key, &issued.key).unwrap();
    files
}

#[test]
fn app_18_the_certificate_made_at_the_start() {
    let certificates = load(&CertificateSource::SelfSigned, &[]).unwrap();
    let der = der(&certificates, None);
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let name = parsed.subject().iter_common_name().next().unwrap().as_str().unwrap();
    let epoch: i64 = name.strip_prefix("localhost@").unwrap().parse().unwrap();
    assert!((now - epoch).abs() < 60, "{name}");
    let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(names, [GeneralName::DNSName("localhost"), GeneralName::IPAddress(&[127, 0, 0, 1])]);
    let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    assert!(from <= now && (now + 364 * 86_400..now + 366 * 86_400).contains(&to), "{from} {to}");
}

#[test]
fn app_18_cert_dir_is_written_once_and_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("certs");
    let source = CertificateSource::Directory(place.clone());
    let first = der(&load(&source, &[]).unwrap(), None);
    assert_eq!(der(&load(&source, &[]).unwrap(), None), first);
    let key = place.join("cloud-controller-manager.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&key).unwrap();
    assert_ne!(der(&load(&source, &[]).unwrap(), None), first);
}

#[test]
fn app_19_files_are_read_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let [first, second] = [authority.server(&["a"]), authority.server(&["b"])];
    let files = put(directory.path(), "tls", &first);
    let certificates = load(&CertificateSource::Files(files.clone()), &[]).unwrap();
    certificates.reload();
    assert_eq!(der(&certificates, None), first.der.to_vec());
    // Half of a change: the pair does not match yet.
    fs::write(&files.certificate, &second.certificate).unwrap();
    certificates.reload();
    assert_eq!(der(&certificates, None), first.der.to_vec());
    fs::write(&files.key, &second.key).unwrap();
    certificates.reload();
    assert_eq!(der(&certificates, None), second.der.to_vec());
    fs::remove_file(&files.key).unwrap();
    certificates.reload();
    assert_eq!(der(&certificates, None), second.der.to_vec());
}

#[test]
fn app_19_names_have_their_own_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let issued = ["usual", "named", "wild", "own"].map(|name| authority.server(&[&format!("{name}.example.com")]));
    let [usual, named, wild, own] = &issued;
    let sni = |name: &str, issued: &Issued, names: &[&str]| SniCertificate {
        files: put(directory.path(), name, issued),
        names: names.iter().map(ToString::to_string).collect(),
    };
    let certificates = load(
        &CertificateSource::Files(put(directory.path(), "usual", usual)),
        &[sni("wild", wild, &["*.b.c"]), sni("named", named, &["A.b.c"]), sni("own", own, &[])],
    )
    .unwrap();
    for (name, expected) in [
        (None, usual),
        (Some("z"), usual),
        (Some("a.b.c"), named),
        (Some("x.b.c"), wild),
        (Some("x.y.b.c"), usual),
        (Some("own.example.com"), own),
    ] {
        assert_eq!(der(&certificates, name), expected.der.to_vec(), "{name:?}");
    }
}

#[test]
fn app_19_bad_files_are_named_and_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let (good, other) = (authority.server(&["a"]), authority.server(&["b"]));
    let rows: [(&str, &str, &str, &str); 4] = [
        ("nothing", "", &good.key, "there is no certificate in PEM"),
        ("no-key", &good.certificate, "hunter2", "there is no unencrypted private key in PEM"),
        ("swapped", &good.key, &good.certificate, "there is no certificate in PEM"),
        ("mismatch", &good.certificate, &other.key, "certificate and key do not make a pair"),
    ];
    for (name, certificate, key, expected) in rows {
        let files = put(directory.path(), name, &good);
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        let error = load(&CertificateSource::Files(files), &[]).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&format!("{name}.crt")), "{name}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("BEGIN"), "{name}: {error}");
    }
    let missing = CertificateFiles { certificate: "/nowhere/c".into(), key: "/nowhere/k".into() };
    let error = load(&CertificateSource::Files(missing), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/c");
}
