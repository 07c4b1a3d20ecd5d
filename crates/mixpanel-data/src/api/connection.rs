//! Explains whether a connection failed because of the server, the network, or the proxy.

use std::error::Error as StdError;
use std::time::Duration;

use http::StatusCode;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::wall_clock;

use super::failure::{Failure, FailureKind, Fault, reason_of};
use super::proxy::Proxy;
use super::redact::Redactor;

/// The time limit for repeating a CONNECT request.
const REPEAT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Prefixes of the proxy failures that the HTTP client reports. They are matched as text because the error types of
/// `hyper-util` are private. If a new version changes them, the `mp` tests with misbehaving proxies fail.
const TUNNEL: &str = "tunnel error: ";
const SOCKS: &str = "SOCKS error: ";
/// The error for a host name that the client cannot resolve itself, as `socks5://` requires.
const LOCAL_NAME: &str = "error resolving for socks proxy";

/// The route to a server.
pub(super) struct Route<'a> {
    /// The server, with its port unless it is the default port of the scheme.
    pub(super) host: &'a str,
    pub(super) proxy: Option<&'a Proxy>,
    pub(super) redactor: &'a Redactor,
}

impl Route<'_> {
    /// Explains why a request got no response, without showing any URL.
    pub(super) async fn explain(&self, error: &reqwest::Error) -> Failure {
        let causes = causes(error);
        if let Some(proxy) = self.proxy
            && let Some(failure) = self.classify_proxy_error(proxy, &causes).await
        {
            return failure;
        }
        if let Some((fault, cause)) = tls_error(error).and_then(|error| self.classify_certificate_error(error)) {
            let message = format!("cannot connect to {}{}: {cause}", self.host, self.through());
            return Failure::new(FailureKind::Untrusted, message).with_fault(fault);
        }
        // With HTTP/2, the server may send a reason when it closes a connection.
        let cause = causes.last().map(|cause| self.redactor.quote(cause));
        let cause = cause.unwrap_or_else(|| "unknown cause".to_owned());
        let host = self.host;
        let through = self.through();
        if error.is_connect() {
            let failure = Failure::new(FailureKind::Unreachable, format!("cannot connect to {host}{through}: {cause}"));
            return if self.proxy.is_some() { failure.with_fault(Fault::Proxy) } else { failure };
        }
        if error.is_timeout() {
            return Failure::new(FailureKind::Timeout, format!("{host} did not answer in time{through}: {cause}"));
        }
        // How the HTTP library reports a response that is not valid HTTP, such as one with a two-digit status.
        if cause.starts_with("invalid HTTP ") {
            let message = format!("{host}{through} sent an invalid HTTP response: {cause}");
            return Failure::new(FailureKind::Connection, message).with_fault(Fault::Intermediary);
        }
        Failure::new(FailureKind::Connection, format!("the connection to {host}{through} broke: {cause}"))
    }

    /// Returns a phrase that names the proxy, to append to a message; empty without a proxy.
    pub(super) fn through(&self) -> String {
        self.proxy
            .map_or_else(String::new, |proxy| format!(" through the proxy {} ({})", proxy.name(), proxy.variable()))
    }

    /// Explains what is wrong with the server's certificate, or with the clock it is checked against.
    fn classify_certificate_error(&self, error: &rustls::Error) -> Option<(Fault, String)> {
        let rustls::Error::InvalidCertificate(error) = error else { return None };
        let now = || format!("this machine's clock says {}", wall_clock().strftime("%Y-%m-%dT%H:%M:%SZ"));
        Some(match error {
            CertificateError::ExpiredContext { not_after, .. } => {
                (Fault::Clock, format!("its certificate expired at {}; {}", moment(*not_after), now()))
            }
            CertificateError::Expired => (Fault::Clock, format!("its certificate has expired; {}", now())),
            CertificateError::NotValidYetContext { not_before, .. } => {
                (Fault::Clock, format!("its certificate is not valid before {}; {}", moment(*not_before), now()))
            }
            CertificateError::NotValidYet => (Fault::Clock, format!("its certificate is not valid yet; {}", now())),
            CertificateError::UnknownIssuer => {
                (Fault::Issuer, "its certificate was issued by an untrusted authority".to_owned())
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                // The server controls the names in its certificate.
                let names = self.redactor.quote(&presented.join(", "));
                (Fault::Certificate, format!("its certificate is not valid for this host, only for: {names}"))
            }
            CertificateError::NotValidForName => {
                (Fault::Certificate, "its certificate is not valid for this host".to_owned())
            }
            error => (
                Fault::Certificate,
                format!("its certificate was refused: {}", self.redactor.quote(&error.to_string())),
            ),
        })
    }

    /// Returns the failure if the proxy caused it.
    async fn classify_proxy_error(&self, proxy: &Proxy, causes: &[String]) -> Option<Failure> {
        if causes.iter().any(|cause| cause == LOCAL_NAME) {
            let cause = causes.last().map_or("unknown cause", String::as_str);
            let cause =
                format!("this machine cannot resolve the host name, which a `socks5://` proxy requires: {cause}");
            return Some(self.proxy_failure(FailureKind::Unreachable, Fault::NameResolution, &cause));
        }
        let at = causes.iter().position(|cause| cause.starts_with(TUNNEL) || cause.starts_with(SOCKS))?;
        let said = causes[at].trim_start_matches(TUNNEL).trim_start_matches(SOCKS);
        let innermost = causes.last().filter(|_| at + 1 < causes.len()).map(|cause| self.redactor.quote(cause));
        let down = |cause: &str| self.proxy_failure(FailureKind::Unreachable, Fault::Proxy, cause);
        Some(match said {
            "failed to create underlying connection" => match innermost {
                Some(cause) => down(&format!("the proxy cannot be reached: {cause}")),
                None => down("the proxy cannot be reached"),
            },
            "proxy authorization required" => self.refused_credentials(proxy),
            "credentials not accepted" => self.refused_credentials(proxy),
            "server does not support user/pass authentication" => self.proxy_failure(
                FailureKind::ProxyRefused { status: None },
                Fault::ProxyCredentials,
                "the proxy does not support login with a user name and a password",
            ),
            "unsuccessful" => match self.repeat_connect(proxy).await {
                Some(status) => self.refused_with(proxy, status),
                None => down("the proxy refused to connect, or does not speak HTTP"),
            },
            "failed parsing server response" => down("the proxy does not speak SOCKS"),
            "unexpected end of file" | "io error during SOCKS handshake" => {
                down("the proxy closed the connection without a response")
            }
            "proxy response headers too long" => down("the proxy sent an invalid HTTP response"),
            "connection not allowed by ruleset" | "connection not allowed" => self.proxy_failure(
                FailureKind::ProxyRefused { status: None },
                Fault::Proxy,
                "the proxy does not allow a connection to this host",
            ),
            said => match innermost {
                Some(cause) => down(&format!("the proxy failed: {}: {cause}", self.redactor.quote(said))),
                None => down(&format!("the proxy failed: {}", self.redactor.quote(said))),
            },
        })
    }

    fn refused_credentials(&self, proxy: &Proxy) -> Failure {
        let status = proxy.is_http().then_some(407);
        let answer = status.map_or_else(String::new, |_| " (407 Proxy Authentication Required)".to_owned());
        let cause = if proxy.has_credentials() {
            format!("the proxy refused the user name or password{answer}")
        } else {
            format!("the proxy requires a user name and a password{answer}")
        };
        self.proxy_failure(FailureKind::ProxyRefused { status }, Fault::ProxyCredentials, &cause)
    }

    /// Returns the failure for a proxy's response to CONNECT. A proxy that forbids a connection keeps doing so; one
    /// that cannot reach the server may reach it later.
    fn refused_with(&self, proxy: &Proxy, status: StatusCode) -> Failure {
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return self.refused_credentials(proxy);
        }
        let cause = format!("the proxy answered {} {}", status.as_u16(), reason_of(status));
        let is_final = status.is_client_error() && !matches!(status.as_u16(), 408 | 421 | 425 | 429);
        let status = Some(status.as_u16());
        let kind = if is_final { FailureKind::ProxyRefused { status } } else { FailureKind::Unreachable };
        self.proxy_failure(kind, Fault::Proxy, &cause)
    }

    fn proxy_failure(&self, kind: FailureKind, fault: Fault, cause: &str) -> Failure {
        Failure::new(kind, format!("cannot connect to {}{}: {cause}", self.host, self.through())).with_fault(fault)
    }

    /// Repeats a refused CONNECT request to obtain the proxy's status, which the HTTP client does not expose.
    async fn repeat_connect(&self, proxy: &Proxy) -> Option<StatusCode> {
        if !proxy.is_plain_http() {
            return None;
        }
        let target = if self.host.contains(':') { self.host.to_owned() } else { format!("{}:443", self.host) };
        let credentials = proxy.basic_credentials();
        let login = credentials.map_or_else(String::new, |login| format!("Proxy-Authorization: Basic {login}\r\n"));
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
        let conversation = async {
            let mut stream = TcpStream::connect(proxy.address()).await.ok()?;
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut heard = Vec::new();
            let mut part = [0; 512];
            while heard.len() < 12 {
                match stream.read(&mut part).await.ok()? {
                    0 => return None,
                    length => heard.extend_from_slice(&part[..length]),
                }
            }
            status_of(&heard)
        };
        timeout(REPEAT_CONNECT_TIMEOUT, conversation).await.ok().flatten()
    }
}

/// Parses the status from a status line, such as `HTTP/1.1 502 ...`.
fn status_of(answer: &[u8]) -> Option<StatusCode> {
    let line = std::str::from_utf8(answer.get(..12)?).ok()?;
    let (version, status) = line.split_once(' ')?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    StatusCode::from_bytes(status.as_bytes()).ok()
}

fn moment(time: UnixTime) -> String {
    let moment = i64::try_from(time.as_secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "an unknown time".to_owned(), |moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Finds a TLS error among the causes. Looks inside `std::io::Error`, which does not list its inner error as a source.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        let mut wrapped: Option<&(dyn StdError + 'static)> = Some(cause);
        while let Some(inner) = wrapped {
            if let Some(found) = inner.downcast_ref::<rustls::Error>() {
                return Some(found);
            }
            let io = inner.downcast_ref::<std::io::Error>();
            wrapped = io.and_then(std::io::Error::get_ref).map(|inner| inner as &(dyn StdError + 'static));
        }
        next = cause.source();
    }
    None
}

/// Returns the texts of all causes except the outermost one, which is only "error sending request".
fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status_line_and_nothing_else() {
        for (answer, expected) in [
            ("HTTP/1.1 502 Bad Gateway\r\n", Some(502)),
            ("HTTP/1.0 403\r\n\r\n", Some(403)),
            ("HTTP/2 502 Bad\r\n", None),
            ("SSH-2.0-OpenSSH_9.6", None),
            ("HTTP/1.1 2x0 OK", None),
            ("", None),
        ] {
            assert_eq!(status_of(answer.as_bytes()).map(|status| status.as_u16()), expected, "{answer}");
        }
    }
}
