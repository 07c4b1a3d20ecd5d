//! The environment variables for proxies and certificates, as read by the caller.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// The environment variables that select the proxy and the trusted certificate authorities.
///
/// The library does not read the environment, so the caller passes the variables in [`NAMES`](Self::NAMES). An empty
/// value counts as unset. An invalid setting is never ignored but causes an error before anything is sent: bypassing a
/// configured proxy is a security bug.
///
/// As with `curl` and `git`, the system proxy settings of macOS and Windows are not used.
#[derive(Clone, Default)]
pub struct NetworkVariables(Vec<(&'static str, OsString)>);

impl NetworkVariables {
    /// The names of the variables. `HTTP_PROXY` is not among them: it applies to plain HTTP, which is used only for
    /// servers on this machine, and those are reached directly. So the rule that a CGI program must not trust
    /// `HTTP_PROXY` (<https://httpoxy.org>) does not apply, and `REQUEST_METHOD` does not disable a proxy.
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

    /// Collects the values of the [`NAMES`](Self::NAMES), for example with `|name| std::env::var_os(name)`.
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

/// Shows only the names, because a proxy URL may contain a password.
impl fmt::Debug for NetworkVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
