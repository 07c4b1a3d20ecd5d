//! Environment variables for the route to the server, as read by the caller.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// The environment variables that decide how Mixpanel is reached: through which proxy, and which certificate
/// authorities are trusted.
///
/// The library does not read the environment, so the caller passes on the variables in [`NAMES`](Self::NAMES). An
/// empty value counts as unset. An invalid setting is an error before anything is sent and is never ignored:
/// bypassing a proxy that was configured is a security bug.
///
/// Proxy settings of macOS and Windows that are not in the environment are not used, as with `curl` and `git`.
#[derive(Clone, Default)]
pub struct NetworkVariables(Vec<(&'static str, OsString)>);

impl NetworkVariables {
    /// The names that matter. `HTTP_PROXY` is not one of them: it is for plain HTTP, which is only used for servers
    /// on this machine, and those are reached directly. So the rule that a CGI program must not trust `HTTP_PROXY`
    /// (<https://httpoxy.org>) does not apply, and `REQUEST_METHOD` does not disable a proxy.
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

    /// Collects the value of each of the [`NAMES`](Self::NAMES), for example with `|name| std::env::var_os(name)`.
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

/// Shows names only: a proxy URL may contain a password.
impl fmt::Debug for NetworkVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
