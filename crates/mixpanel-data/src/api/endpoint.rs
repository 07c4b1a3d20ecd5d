//! Where requests are sent, and their time limits.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::credentials::Region;
use crate::error::{Error, Result};
use crate::limits;
use crate::quota::Quota;

use super::network::NetworkVariables;

/// How an [`ApiClient`](super::ApiClient) reaches the server. The default is Mixpanel itself, with the documented
/// limits.
#[derive(Debug, Clone, Default)]
pub struct ApiOptions {
    /// Another server instead of Mixpanel's, on this machine's loopback interface, such as `http://127.0.0.1:8080`.
    pub base_url: Option<String>,
    /// Time limits for the phases of a request.
    pub timeouts: Timeouts,
    /// The directory that stores the quota ledger; `None` remembers nothing beyond this client.
    pub state_folder: Option<PathBuf>,
    /// The quota to enforce.
    pub quota: Quota,
    /// The environment variables for proxies and certificates; none by default, so that Mixpanel is reached directly.
    /// A server on this machine is never reached through a proxy.
    pub network: NetworkVariables,
}

/// Time limits for the phases of a request.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Setting up a connection; default [`limits::CONNECT_TIMEOUT`].
    pub connect: Duration,
    /// From sending the request to the first byte of the response; default [`limits::FIRST_BYTE_TIMEOUT`].
    pub first_byte: Duration,
    /// Between two chunks of a body; default [`limits::IDLE_TIMEOUT`].
    pub idle: Duration,
    /// A whole response; default [`limits::PAGE_TIMEOUT`].
    pub page: Duration,
    /// A call that is not a fetch, such as a test of credentials, with all its attempts and pauses; default
    /// [`limits::CALL_TIMEOUT`]. A fetch has `max_wait` instead.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT_TIMEOUT,
            first_byte: limits::FIRST_BYTE_TIMEOUT,
            idle: limits::IDLE_TIMEOUT,
            page: limits::PAGE_TIMEOUT,
            call: limits::CALL_TIMEOUT,
        }
    }
}

/// The endpoints in use, by their path below the server's root (`docs/mixpanel-api.md#hosts-and-regions`).
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Engage,
    EventNames,
}

impl Endpoint {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Engage => "api/query/engage",
            Self::EventNames => "api/query/events/names",
        }
    }

    /// Returns the query parameters of every request to the endpoint (`docs/mixpanel-api.md#discovery`).
    pub(super) const fn query(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Engage => &[],
            Self::EventNames => &[("type", "general")],
        }
    }
}

/// A server's root URL: Mixpanel's host for a region, or a loopback address.
#[derive(Debug, Clone)]
pub(super) struct Server {
    root: Url,
    is_loopback: bool,
}

impl Server {
    pub(super) fn mixpanel(region: Region) -> Self {
        let root = format!("https://{}/", region.query_host());
        Self { root: Url::parse(&root).expect("the hosts are constants"), is_loopback: false }
    }

    /// Parses the address of another server.
    ///
    /// # Errors
    /// `InvalidInput` unless it is `http` or `https` to a loopback address: credentials are sent nowhere else.
    pub(super) fn loopback(base_url: &str) -> Result<Self> {
        // The error does not show the URL: a password in it must not end up in a log. With an unescaped `/`, `?` or
        // `#` in the password, part of it would pass for the host.
        if base_url.contains(['@', '?', '#']) {
            return Err(Error::invalid(
                "the base URL must not hold a user name, a password, a query or a fragment (`@`, `?` or `#`)",
            ));
        }
        let mut root =
            Url::parse(base_url).map_err(|error| Error::invalid("the base URL is not a URL").with_source(error))?;
        if !matches!(root.scheme(), "http" | "https") || !is_loopback_host(root.host_str().unwrap_or_default()) {
            let host = root.host_str().unwrap_or_default().escape_debug();
            return Err(Error::invalid(format!(
                "`{host}` is not an address of this machine, such as http://127.0.0.1:8080; credentials are sent to no other server"
            )));
        }
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        Ok(Self { root, is_loopback: true })
    }

    pub(super) fn url(&self, endpoint: Endpoint) -> Url {
        self.root.join(endpoint.path()).expect("the paths are constants")
    }

    /// Resolves a URL in a response against the root.
    pub(super) fn resolve(&self, location: &str) -> Option<Url> {
        self.root.join(location).ok()
    }

    /// Returns whether the server is on this machine, where plain HTTP is acceptable and no proxy is used.
    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Returns whether the server is reached without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.root.scheme() == "http"
    }

    /// Returns the host without its port.
    pub(super) fn host_name(&self) -> &str {
        self.root.host_str().unwrap_or_default()
    }

    /// Returns the host, with the port unless it is the default port of the scheme.
    pub(super) fn host(&self) -> String {
        let host = self.root.host_str().unwrap_or_default();
        self.root.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Checks that requests may be sent to this base URL.
///
/// # Errors
/// `InvalidInput` unless it is an address of this machine.
pub(crate) fn check_base_url(base_url: &str) -> Result<()> {
    Server::loopback(base_url).map(|_| ())
}

fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_loopback_addresses_only() {
        for (base_url, expected) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/api/query/engage")),
            ("http://127.8.9.1/", Some("http://127.8.9.1/api/query/engage")),
            ("https://localhost:1/", Some("https://localhost:1/api/query/engage")),
            ("http://[::1]:9/prefix", Some("http://[::1]:9/prefix/api/query/engage")),
            ("http://mixpanel.com", None),
            ("http://127.0.0.1.example.org", None),
            ("http://localhost.example.org", None),
            ("http://user:pw@127.0.0.1", None),
            ("http://127.0.0.1@example.org/", None),
            ("http://127.0.0.1/@x", None),
            ("http://127.0.0.1/?x", None),
            ("http://127.0.0.1/#x", None),
            ("http://10.0.0.1", None),
            ("file:///etc/passwd", None),
            ("ftp://127.0.0.1", None),
            ("127.0.0.1:80", None),
            ("", None),
        ] {
            let url = Server::loopback(base_url).ok().map(|server| server.url(Endpoint::Engage).to_string());
            assert_eq!(url.as_deref(), expected, "{base_url}");
        }
    }
}
