//! What the environment says about the way to the server, as the caller read it.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// The environment variables that decide how Mixpanel is reached: its proxy, and the authorities that are trusted.
///
/// The library reads no environment, so the caller passes on what it finds under [`NAMES`](Self::NAMES). An empty value
/// counts as none. A setting that cannot be used is refused before anything is sent, never ignored: a request that goes
/// around the proxy that somebody set up is a security fault.
///
/// Proxy settings of macOS and Windows that are not in the environment are not used, as with `curl` and `git`.
#[derive(Clone, Default)]
pub struct NetworkVariables(Vec<(&'static str, OsString)>);

impl NetworkVariables {
    /// The names that matter. `HTTP_PROXY` is not among them: it is for plain HTTP, which only a server on this machine
    /// is spoken to with, and that one is reached directly. So the rule that a CGI program must not trust `HTTP_PROXY`
    /// (<https://httpoxy.org>) has nothing to apply to, and `REQUEST_METHOD` turns no proxy off.
    pub const NAMES: [&'static str; 8] = [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];

    /// Asks for the value of each of the [`NAMES`](Self::NAMES), such as with `|name| std::env::var_os(name)`.
    pub fn collect(value_of: impl Fn(&str) -> Option<OsString>) -> Self {
        Self(Self::NAMES.into_iter().filter_map(|name| Some((name, value_of(name)?))).collect())
    }

    /// Returns the value of a variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// Returns whether a variable is set to an empty value.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.value(name).is_some_and(OsStr::is_empty)
    }

    fn value(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }
}

/// Shows names only: a proxy's URL may hold a password.
impl fmt::Debug for NetworkVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
