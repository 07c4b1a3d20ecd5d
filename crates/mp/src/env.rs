//! Every environment variable that the command reads, and the only place that reads them.

use std::path::PathBuf;

use mixpanel_data::{NetworkVariables, Secret};

/// The account to use, as `--account` names it.
pub(crate) const MP_ACCOUNT: &str = "MP_ACCOUNT";
/// The service account's user name; used with `MP_SECRET`, `MP_PROJECT_ID` and `MP_REGION`, all four or none.
pub(crate) const MP_USERNAME: &str = "MP_USERNAME";
/// The service account's secret. `mp auth add` reads it alone.
pub(crate) const MP_SECRET: &str = "MP_SECRET";
/// The project's number. It is enough for commands that only read the project's database.
pub(crate) const MP_PROJECT_ID: &str = "MP_PROJECT_ID";
/// Where the project's data live: us, eu or in, in any case.
pub(crate) const MP_REGION: &str = "MP_REGION";
/// The config file, instead of `~/.mp/config.toml`.
pub(crate) const MP_CONFIG_PATH: &str = "MP_CONFIG_PATH";
/// The server to send requests to, as `--base-url` names it.
pub(crate) const MP_BASE_URL: &str = "MP_BASE_URL";
/// Turns colour off when it is not empty.
const NO_COLOR: &str = "NO_COLOR";
/// `dumb` turns colour and the progress bar off.
const TERM: &str = "TERM";
/// The shell whose completion script `--show-completion` prints.
const SHELL: &str = "SHELL";
/// Where completion scripts are installed for bash.
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// Where completion scripts are installed for fish.
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";

/// The environment as it was at the start. An empty variable counts as one that is not set.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) account: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) secret: Option<Secret>,
    pub(crate) project_id: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) config_path: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
    /// `HTTPS_PROXY` and its like, which the library judges.
    pub(crate) network: NetworkVariables,
    pub(crate) no_color: bool,
    pub(crate) dumb_terminal: bool,
    pub(crate) shell: Option<String>,
    pub(crate) data_home: Option<PathBuf>,
    pub(crate) config_home: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    /// How the command was called.
    pub(crate) program: String,
}

impl Environment {
    /// Reads the environment.
    pub(crate) fn read() -> Self {
        Self {
            account: text(MP_ACCOUNT),
            username: text(MP_USERNAME),
            secret: text(MP_SECRET).map(Secret::new),
            project_id: text(MP_PROJECT_ID),
            region: text(MP_REGION),
            config_path: path(MP_CONFIG_PATH),
            base_url: text(MP_BASE_URL),
            network: NetworkVariables::collect(|name| std::env::var_os(name)),
            no_color: path(NO_COLOR).is_some(),
            dumb_terminal: text(TERM).is_some_and(|term| term == "dumb"),
            shell: text(SHELL),
            data_home: path(XDG_DATA_HOME),
            config_home: path(XDG_CONFIG_HOME),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            program: std::env::args().next().unwrap_or_else(|| "mp".to_owned()),
        }
    }
}

/// What is not UTF-8 becomes replacement characters, which the checks of each value refuse.
fn text(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
