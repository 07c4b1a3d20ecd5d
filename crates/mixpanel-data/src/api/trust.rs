//! Which certificate authorities are trusted: those of this machine, or those that SSL_CERT_FILE and SSL_CERT_DIR name
//! instead, as for OpenSSL.

use std::path::{Path, PathBuf};

use reqwest::Certificate;
use rustls_native_certs::load_certs_from_paths;

use crate::error::{Error, ErrorKind, Result};

use super::network::NetworkVariables;

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// Returns the certificates that are trusted instead of those of this machine; `None` where no variable names any.
///
/// # Errors
/// `Storage` with the details `variable` and `path` for a file that cannot be read or holds no certificate, or when
/// there is no certificate at all.
pub(super) fn named_certificates(variables: &NetworkVariables) -> Result<Option<Vec<Certificate>>> {
    let file = variables.get(FILE).map(PathBuf::from);
    let directories: Vec<PathBuf> = variables.get(DIRECTORY).into_iter().flat_map(std::env::split_paths).collect();
    let directories: Vec<&PathBuf> = directories.iter().filter(|path| !path.as_os_str().is_empty()).collect();
    if file.is_none() && directories.is_empty() {
        return Ok(None);
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
    // A directory may be missing where there is another source: fewer authorities do no harm.
    match first_problem {
        Some(error) if trusted.is_empty() => Err(error),
        _ => Ok(Some(trusted)),
    }
}

/// Reads what can be used, and says what the first problem was.
fn read(file: Option<&Path>, directory: Option<&Path>) -> (Vec<Certificate>, Option<rustls_native_certs::Error>) {
    let loaded = load_certs_from_paths(file, directory);
    // One certificate that cannot be used would make the client refuse them all.
    let usable = |certificate: &rustls::pki_types::CertificateDer<'static>| {
        rustls::RootCertStore::empty().add(certificate.clone()).is_ok()
    };
    let certificates = loaded.certs.into_iter().filter(usable);
    let certificates = certificates.filter_map(|certificate| Certificate::from_der(&certificate).ok()).collect();
    (certificates, loaded.errors.into_iter().next())
}

fn unusable(variable: &'static str, path: &Path, problem: Option<rustls_native_certs::Error>) -> Error {
    let (path_shown, what) = (path.display(), if variable == FILE { "file" } else { "directory" });
    let found = if problem.is_some() { "cannot be read as certificates" } else { "holds no certificate in PEM form" };
    let message = format!("cannot set up TLS: the {what} `{path_shown}` that {variable} names {found}");
    let error = Error::new(ErrorKind::Storage, message)
        .with_detail("reading", "certificates")
        .with_detail("fault", "certificate_file")
        .with_detail("variable", variable)
        .with_path(path);
    match problem {
        Some(problem) => error.with_source(problem),
        None => error,
    }
}
