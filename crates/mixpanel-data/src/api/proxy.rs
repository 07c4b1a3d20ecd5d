//! The proxy for requests. Its setting is parsed strictly, because the HTTP client ignores a setting that it cannot
//! parse and connects directly.

use base64::Engine as _;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::error::{Error, Fault, Result};

use super::network::NetworkVariables;

/// The default port of a SOCKS proxy.
const SOCKS_PORT: u16 = 1080;

/// The proxy to use.
#[derive(Clone)]
pub(super) struct Proxy {
    url: Url,
    /// The environment variable that sets it.
    variable: &'static str,
}

impl Proxy {
    /// Finds the proxy for this host; `None` if there is none, or `NO_PROXY` excludes the host. `HTTPS_PROXY` takes
    /// precedence over `ALL_PROXY`.
    ///
    /// # Errors
    /// `InvalidInput`, with the detail `variable`, for an invalid setting. The message never shows the value.
    pub(super) fn resolve(variables: &NetworkVariables, host: &str) -> Result<Option<Self>> {
        let setting = match one_of(variables, ["HTTPS_PROXY", "https_proxy"])? {
            Some(setting) => Some(setting),
            None => one_of(variables, ["ALL_PROXY", "all_proxy"])?,
        };
        let Some((variable, value)) = setting else { return Ok(None) };
        let url = parse(value).map_err(|reason| unusable(variable, reason))?;
        // `reqwest` silently ignores a setting that it cannot parse. Reject it here, even if `parse` accepted it.
        let target: Uri =
            format!("https://{host}/").parse().map_err(|_| Error::internal("the host name is invalid"))?;
        if Matcher::builder().https(url.as_str()).build().intercept(&target).is_none() {
            return Err(unusable(variable, "it is not a proxy URL"));
        }
        if is_excluded(variables, &url, &target)? {
            return Ok(None);
        }
        Ok(Some(Self { url, variable }))
    }

    /// Converts the proxy to the HTTP client's type.
    ///
    /// # Errors
    /// Same as [`resolve`](Self::resolve).
    pub(super) fn for_client(&self) -> Result<reqwest::Proxy> {
        reqwest::Proxy::https(self.url.clone()).map_err(|_| unusable(self.variable, "it is not a proxy URL"))
    }

    /// Returns `host:port`, without the user name and password.
    pub(super) fn name(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or(SOCKS_PORT);
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    pub(super) fn variable(&self) -> &'static str {
        self.variable
    }

    /// Returns the host and port to connect to.
    pub(super) fn address(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host.to_owned(), self.url.port_or_known_default().unwrap_or(SOCKS_PORT))
    }

    /// Returns whether the proxy uses HTTP, with or without TLS.
    pub(super) fn is_http(&self) -> bool {
        matches!(self.url.scheme(), "http" | "https")
    }

    /// Returns whether the proxy uses HTTP without TLS.
    pub(super) fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    pub(super) fn has_credentials(&self) -> bool {
        !self.url.username().is_empty() || self.url.password().is_some()
    }

    /// Returns the decoded user name; empty if there is none.
    pub(super) fn user_name(&self) -> String {
        decoded(self.url.username())
    }

    /// Returns the decoded password; empty if there is none.
    pub(super) fn password(&self) -> String {
        self.url.password().map(decoded).unwrap_or_default()
    }

    /// Returns `user:password` encoded for HTTP Basic authentication, if the setting contains credentials.
    pub(super) fn basic_credentials(&self) -> Option<String> {
        let pair = || format!("{}:{}", self.user_name(), self.password());
        self.has_credentials().then(|| base64::engine::general_purpose::STANDARD.encode(pair()))
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn unusable(variable: &'static str, reason: &str) -> Error {
    Error::invalid(format!("the proxy setting {variable} cannot be used: {reason}"))
        .with_fault(Fault::ProxySetting)
        .with_detail("variable", variable)
}

/// Returns the name and value of a setting that has two names, if it is set.
fn one_of<'a>(variables: &'a NetworkVariables, names: [&'static str; 2]) -> Result<Option<(&'static str, &'a str)>> {
    let mut found: Option<(&'static str, &str)> = None;
    for name in names {
        let Some(value) = variables.get(name) else { continue };
        let value = value.to_str().ok_or_else(|| unusable(name, "it is not UTF-8"))?;
        match found {
            Some((_, other)) if other != value => {
                return Err(unusable(names[0], &format!("{} is also set, to a different value", names[1])));
            }
            Some(_) => {}
            None => found = Some((name, value)),
        }
    }
    Ok(found)
}

/// Returns whether `NO_PROXY` excludes the target. `reqwest` has the same rules as `curl`: names and their subdomains,
/// addresses and networks, and `*`, separated by commas.
fn is_excluded(variables: &NetworkVariables, proxy: &Url, target: &Uri) -> Result<bool> {
    let mut verdict = None;
    for name in ["NO_PROXY", "no_proxy"] {
        let Some(list) = variables.get(name) else { continue };
        let list = list.to_str().ok_or_else(|| unusable(name, "it is not UTF-8"))?;
        let matcher = Matcher::builder().https(proxy.as_str()).no(list).build();
        let excluded = matcher.intercept(target).is_none();
        if verdict.is_some_and(|before| before != excluded) {
            return Err(unusable("NO_PROXY", "no_proxy is also set, and the two disagree about this host"));
        }
        verdict = Some(excluded);
    }
    Ok(verdict.unwrap_or(false))
}

/// Parses `[scheme://][user[:password]@]host[:port][/]`.
fn parse(value: &str) -> Result<Url, &'static str> {
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it contains whitespace or a control character");
    }
    if value.contains(['"', '\'', '`']) {
        return Err("it contains a quotation mark");
    }
    if !value.is_ascii() {
        return Err("it contains characters that must be percent-encoded (in a host, use Punycode)");
    }
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" | "socks5" | "socks5h" => {}
        "socks" | "socks4" | "socks4a" => return Err("the only supported SOCKS schemes are socks5:// and socks5h://"),
        _ => return Err("its scheme is not http://, https://, socks5:// or socks5h://"),
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '\\']) {
        return Err(
            "it contains `/`, `?`, `#` or `\\` before its end; percent-encode these in a user name or password",
        );
    }
    let (user, address) = match authority.split_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    if address.contains('@') {
        return Err("it contains more than one `@`; write it as %40 in a user name or password");
    }
    user.map_or(Ok(()), check_user)?;
    check_address(address)?;
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    let url = Url::parse(&format!("{scheme}://{user}{address}")).map_err(|_| "its host or port is not valid")?;
    if url.host_str().is_none_or(str::is_empty) { Err("its host is missing") } else { Ok(url) }
}

/// Checks that `user[:password]` contains only characters that RFC 3986 allows, and decodes to UTF-8 without control
/// characters.
fn check_user(user: &str) -> Result<(), &'static str> {
    let bytes = user.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let follows = |offset: usize| bytes.get(index + offset).is_some_and(u8::is_ascii_hexdigit);
        let allowed = match byte {
            b'%' => follows(1) && follows(2),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(byte),
        };
        if !allowed {
            return Err("its user name or password contains a character that must be percent-encoded");
        }
    }
    match percent_decode_str(user).decode_utf8() {
        Ok(text) if !text.chars().any(char::is_control) => Ok(()),
        Ok(_) => Err("its user name or password contains a control character"),
        Err(_) => Err("its user name or password is not UTF-8"),
    }
}

/// Checks `host[:port]`, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
fn check_address(address: &str) -> Result<(), &'static str> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("its host has an opening bracket without a closing one")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "its host in brackets is not an IPv6 address")?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("its port is not a number")?) })
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() {
        return Err("its host is missing");
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if !host.bytes().all(is_name) || host.bytes().all(|byte| byte == b'.') || host.starts_with(['.', '-']) {
        return Err("its host is not a name or an address");
    }
    match port {
        None => Ok(()),
        Some(port) if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("its port is not a number")
        }
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        Some(_) => Err("its port is not between 1 and 65535"),
    }
}

#[cfg(test)]
mod tests;
