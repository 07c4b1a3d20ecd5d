//! The trusted certificate authorities. As with OpenSSL, `SSL_CERT_FILE` and `SSL_CERT_DIR` replace those of this
//! machine.

use std::path::{Path, PathBuf};

use reqwest::Certificate;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_native_certs::load_certs_from_paths;

use crate::error::{Error, ErrorKind, Fault, Result};

use super::network::NetworkVariables;

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// Returns the certificates to trust; `None` to use the HTTP client's default, which is this machine's certificates.
///
/// # Errors
/// `Tls`, with the detail `variable` and the path, if the file cannot be read or contains no certificate, or if no
/// directory contains one and there is no file.
pub(super) fn named_certificates(variables: &NetworkVariables) -> Result<Option<Vec<Certificate>>> {
    let file = variables.get(FILE).map(PathBuf::from);
    let directories: Vec<PathBuf> = variables.get(DIRECTORY).into_iter().flat_map(std::env::split_paths).collect();
    let directories: Vec<&PathBuf> = directories.iter().filter(|path| !path.as_os_str().is_empty()).collect();
    if file.is_none() && directories.is_empty() {
        return if variables.is_empty(FILE) { system_certificates().map(Some) } else { Ok(None) };
    }
    let mut trusted = Vec::new();
    if let Some(path) = &file {
        let (certificates, problem) = read(Some(path), None);
        if certificates.is_empty() {
            return Err(unusable(FILE, path, problem));
        }
        trusted.extend(certificates);
    }
    let mut first_problem = None;
    for path in directories {
        let (certificates, problem) = read(None, Some(path));
        if certificates.is_empty() {
            first_problem.get_or_insert_with(|| unusable(DIRECTORY, path, problem));
        }
        trusted.extend(certificates);
    }
    // An unusable directory is acceptable if another source has certificates: trusting fewer authorities is safe.
    match first_problem {
        Some(error) if trusted.is_empty() => Err(error),
        _ => Ok(Some(trusted)),
    }
}

/// Loads this machine's certificates. The HTTP client's own loader treats an empty variable as a path.
#[cfg(all(unix, not(target_os = "macos")))]
fn system_certificates() -> Result<Vec<Certificate>> {
    let places = openssl_probe::probe();
    let directories = places.cert_dir.iter().map(|path| read(None, Some(path)));
    let found = places.cert_file.iter().map(|path| read(Some(path), None)).chain(directories);
    let certificates: Vec<Certificate> = found.flat_map(|(certificates, _)| certificates).collect();
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    let message = "cannot set up TLS: this machine has no CA certificates";
    Err(Error::new(ErrorKind::Tls, message))
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn system_certificates() -> Result<Vec<Certificate>> {
    Err(certificate_setting_error(FILE, format!("cannot set up TLS: {FILE} is set but empty")))
}

/// Returns the usable certificates and the first error.
fn read(file: Option<&Path>, directory: Option<&Path>) -> (Vec<Certificate>, Option<rustls_native_certs::Error>) {
    let loaded = load_certs_from_paths(file, directory);
    // A single unusable certificate makes the client reject all of them.
    let usable = |certificate: &rustls::pki_types::CertificateDer<'static>| {
        rustls::RootCertStore::empty().add(certificate.clone()).is_ok()
    };
    let certificates = loaded.certs.into_iter().filter(usable);
    let certificates = certificates.filter_map(|certificate| Certificate::from_der(&certificate).ok()).collect();
    (certificates, loaded.errors.into_iter().next())
}

fn unusable(variable: &'static str, path: &Path, problem: Option<rustls_native_certs::Error>) -> Error {
    let (shown, what) = (path.display(), if variable == FILE { "file" } else { "directory" });
    let found = match &problem {
        Some(_) => "cannot be read as certificates",
        None if holds_key(path) => "contains a private key but no certificate",
        None => "contains no PEM certificate",
    };
    let error = certificate_setting_error(
        variable,
        format!("cannot set up TLS: the {what} `{shown}` (from {variable}) {found}"),
    );
    let error = error.with_path(path);
    match problem {
        Some(problem) => error.with_source(problem),
        None => error,
    }
}

fn certificate_setting_error(variable: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Tls, message).with_fault(Fault::CertificateFile).with_detail("variable", variable)
}

/// Returns whether the file contains a private key, which is easily mistaken for the certificate.
fn holds_key(path: &Path) -> bool {
    PrivateKeyDer::from_pem_file(path).is_ok()
}
