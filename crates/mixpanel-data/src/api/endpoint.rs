//! Where requests are sent, and their time limits.

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

/// How an [`ApiClient`](super::ApiClient) reaches the server. The default is Mixpanel itself, with the documented
/// limits.
#[derive(Debug, Clone, Default)]
pub struct ApiOptions {
    /// Another server instead of Mixpanel's, on this machine's loopback interface, such as `http://127.0.0.1:8080`.
    pub base_url: Option<String>,
    /// Time limits for the phases of a request.
    pub timeouts: Timeouts,
    /// The directory that stores the quota ledger; `None` remembers nothing beyond this client.
    pub state_directory: Option<PathBuf>,
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

/// One of Mixpanel's servers (`docs/mixpanel-api.md#hosts-and-regions`).
#[derive(Debug, Clone, Copy)]
pub(super) enum Host {
    /// The query API.
    Query,
}

impl Host {
    const fn name(self, region: Region) -> &'static str {
        match self {
            Self::Query => region.query_host(),
        }
    }
}

/// The endpoints in use.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Engage,
    EventNames,
}

impl Endpoint {
    pub(super) const fn host(self) -> Host {
        match self {
            Self::Engage | Self::EventNames => Host::Query,
        }
    }

    /// Returns the path below the root of the host.
    const fn path(self) -> &'static str {
        match self {
            Self::Engage => "api/query/engage",
            Self::EventNames => "api/query/events/names",
        }
    }

    pub(super) const fn method(self) -> Method {
        match self {
            Self::Engage => Method::POST,
            Self::EventNames => Method::GET,
        }
    }

    /// Returns what a response is, for the message about one that is something else.
    pub(super) const fn contents(self) -> &'static str {
        match self {
            Self::Engage => "page of profiles",
            Self::EventNames => "list of event names",
        }
    }
}

/// Where requests are sent: to Mixpanel's hosts of a region, or to a loopback address, which stands for all of them.
#[derive(Debug, Clone)]
pub(super) enum Server {
    Mixpanel(Region),
    Loopback(Url),
}

impl Server {
    /// Parses the address of another server.
    ///
    /// # Errors
    /// `InvalidInput` unless it is `http` or `https` to a loopback address: credentials are sent nowhere else.
    pub(super) fn loopback(base_url: &str) -> Result<Self> {
        // The error does not show the URL: a password in it must not end up in a log. With an unescaped `/`, `?` or
        // `#` in the password, part of it would pass for the host.
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

    /// Returns whether the server is reached without TLS.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Loopback(root) if root.scheme() == "http")
    }

    /// Returns the name of a host without its port.
    pub(super) fn host_name(&self, host: Host) -> String {
        self.root(host).host_str().unwrap_or_default().to_owned()
    }

    /// Returns the name of a host, with the port unless it is the default port of the scheme.
    pub(super) fn host(&self, host: Host) -> String {
        let root = self.root(host);
        let name = root.host_str().unwrap_or_default();
        root.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
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
