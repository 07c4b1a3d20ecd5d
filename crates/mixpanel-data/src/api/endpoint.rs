//! Servers, endpoints, and the time limits of requests.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use reqwest::Url;

use crate::credentials::Region;
use crate::error::{Error, Result};
use crate::limits;
use crate::quota::Quota;
use crate::text::printable;

use super::network::NetworkVariables;

/// Options for how an [`ApiClient`](super::ApiClient) reaches the server. The default is Mixpanel itself, with the
/// documented limits.
#[derive(Debug, Clone, Default)]
pub struct ApiOptions {
    /// A server on this machine's loopback interface to use instead of Mixpanel's, such as `http://127.0.0.1:8080`.
    pub base_url: Option<String>,
    /// Time limits for the phases of a request.
    pub timeouts: Timeouts,
    /// The directory that stores the quota ledger; with `None`, the client counts only its own requests.
    pub state_directory: Option<PathBuf>,
    /// The quota to enforce.
    pub quota: Quota,
    /// The environment variables for proxies and certificates. None by default, which connects to Mixpanel directly. A
    /// server on this machine is never reached through a proxy.
    pub network: NetworkVariables,
}

/// Time limits for the phases of a request.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Setting up a connection; default [`limits::CONNECT_TIMEOUT`].
    pub connect: Duration,
    /// From sending the request to the first byte of the response; default [`limits::FIRST_BYTE_TIMEOUT`].
    pub first_byte: Duration,
    /// Between two chunks of a response body; default [`limits::IDLE_TIMEOUT`].
    pub idle: Duration,
    /// A whole response; default [`limits::PAGE_TIMEOUT`].
    pub page: Duration,
    /// From sending an export request to the first byte of the response; default
    /// [`limits::EXPORT_FIRST_BYTE_TIMEOUT`].
    pub export_first_byte: Duration,
    /// Between two chunks of an export; default [`limits::EXPORT_IDLE_TIMEOUT`]. A whole export has no time limit.
    pub export_idle: Duration,
    /// A call other than a fetch, such as a credentials check, including all attempts and pauses; default
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
            export_first_byte: limits::EXPORT_FIRST_BYTE_TIMEOUT,
            export_idle: limits::EXPORT_IDLE_TIMEOUT,
            call: limits::CALL_TIMEOUT,
        }
    }
}

/// One of Mixpanel's servers (`docs/mixpanel-api.md#hosts-and-regions`).
#[derive(Debug, Clone, Copy)]
pub(super) enum Host {
    /// The query API.
    Query,
    /// The export API.
    Data,
}

impl Host {
    const fn name(self, region: Region) -> &'static str {
        match self {
            Self::Query => region.query_host(),
            Self::Data => region.data_host(),
        }
    }
}

/// The endpoints in use.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Engage,
    EventNames,
    EventCounts,
    Export,
}

impl Endpoint {
    pub(super) const fn host(self) -> Host {
        match self {
            Self::Engage | Self::EventNames | Self::EventCounts => Host::Query,
            Self::Export => Host::Data,
        }
    }

    /// Returns the path relative to the host's root.
    const fn path(self) -> &'static str {
        match self {
            Self::Engage => "api/query/engage",
            Self::EventNames => "api/query/events/names",
            Self::EventCounts => "api/query/events",
            Self::Export => "api/2.0/export",
        }
    }

    pub(super) const fn method(self) -> Method {
        match self {
            Self::Engage => Method::POST,
            Self::EventNames | Self::EventCounts | Self::Export => Method::GET,
        }
    }

    /// Returns a description of the expected response for error messages.
    pub(super) const fn contents(self) -> &'static str {
        match self {
            Self::Engage => "page of profiles",
            Self::EventNames => "list of event names",
            Self::EventCounts => "table of event counts",
            Self::Export => "list of events",
        }
    }

    /// Returns the media type to ask for.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Engage | Self::EventNames | Self::EventCounts => "application/json",
            Self::Export => "text/plain",
        }
    }
}

/// Where requests are sent: to Mixpanel's hosts in a region, or to a loopback address that stands in for all of them.
#[derive(Debug, Clone)]
pub(super) enum Server {
    Mixpanel(Region),
    Loopback(Url),
}

impl Server {
    /// Parses the base URL of a loopback server.
    ///
    /// # Errors
    /// `InvalidInput` unless it is an `http` or `https` URL of a loopback address: credentials must not be sent to any
    /// other server.
    pub(super) fn loopback(base_url: &str) -> Result<Self> {
        // The error does not show the URL, because a password in it must not end up in a log. An unescaped `/`, `?` or
        // `#` in the password makes part of it look like the host.
        if base_url.contains(['@', '?', '#']) {
            return Err(Error::invalid(
                "the base URL must not contain a user name, a password, a query or a fragment (`@`, `?` or `#`)",
            ));
        }
        let mut root =
            Url::parse(base_url).map_err(|error| Error::invalid("the base URL is invalid").with_source(error))?;
        if !matches!(root.scheme(), "http" | "https") || !is_loopback_host(root.host_str().unwrap_or_default()) {
            let host = printable(root.host_str().unwrap_or_default());
            return Err(Error::invalid(format!(
                "`{host}` is not a loopback address, such as http://127.0.0.1:8080; credentials are never sent to \
                 another server"
            )));
        }
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        Ok(Self::Loopback(root))
    }

    fn root(&self, host: Host) -> Url {
        match self {
            Self::Mixpanel(region) => {
                Url::parse(&format!("https://{}/", host.name(*region))).expect("the hosts are constants")
            }
            Self::Loopback(root) => root.clone(),
        }
    }

    pub(super) fn url(&self, endpoint: Endpoint) -> Url {
        self.root(endpoint.host()).join(endpoint.path()).expect("the paths are constants")
    }

    /// Returns whether the server is on this machine, where plain HTTP is acceptable and no proxy is used.
    pub(super) fn is_loopback(&self) -> bool {
        matches!(self, Self::Loopback(_))
    }

    /// Returns whether connections to the server do not use TLS.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Loopback(root) if root.scheme() == "http")
    }

    /// Returns a host's name without its port.
    pub(super) fn host_name(&self, host: Host) -> String {
        self.root(host).host_str().unwrap_or_default().to_owned()
    }

    /// Returns a host's name, with the port unless it is the scheme's default port.
    pub(super) fn host(&self, host: Host) -> String {
        let root = self.root(host);
        let name = root.host_str().unwrap_or_default();
        root.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
    }
}

/// Checks that requests may be sent to this base URL.
///
/// # Errors
/// `InvalidInput` unless it is an `http` or `https` URL of a loopback address.
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
