//! Every environment variable that the command reads, and the only place that reads them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use mixpanel_data::{NetworkVariables, Secret};

use crate::credential_text::credential_text;
use crate::failure::Failure;

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
/// The file with the accounts, instead of `~/.mp/accounts.toml`.
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

/// The width that programs are told of where there is no terminal.
const COLUMNS: &str = "COLUMNS";

/// A terminal that says that it is narrower does not know how wide it is.
const COLUMNS_MIN: u16 = 20;
/// The width where the terminal's is not known.
const COLUMNS_DEFAULT: u16 = 80;

/// The environment as it was at the start.
///
/// A variable of ours that is set but has no value is a mistake of whoever set it: [`check`](Self::check) refuses it, for
/// without it the command would use another account, project or server. Other variables that are empty count as not set.
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
    /// How the command was called; empty where that cannot be typed.
    pub(crate) program: String,
    columns: Option<u16>,
    /// A variable that cannot be used, and why not.
    unusable: Option<(&'static str, &'static str)>,
}

impl Environment {
    /// Reads the environment.
    pub(crate) fn read() -> Self {
        let mut unusable = None;
        let mut own = |name: &'static str| {
            let value = std::env::var_os(name)?;
            let text = credential_text(value.as_bytes());
            text.map_err(|reason| unusable = Some((name, reason))).ok()
        };
        Self {
            account: own(MP_ACCOUNT),
            username: own(MP_USERNAME),
            secret: own(MP_SECRET).map(Secret::new),
            project_id: own(MP_PROJECT_ID),
            region: own(MP_REGION),
            base_url: own(MP_BASE_URL),
            config_path: {
                let path = std::env::var_os(MP_CONFIG_PATH).map(PathBuf::from);
                if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                    unusable = Some((MP_CONFIG_PATH, "is empty"));
                }
                path
            },
            network: NetworkVariables::collect(|name| std::env::var_os(name)),
            no_color: path(NO_COLOR).is_some(),
            dumb_terminal: text(TERM).is_some_and(|term| term == "dumb"),
            shell: text(SHELL),
            data_home: path(XDG_DATA_HOME),
            config_home: path(XDG_CONFIG_HOME),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            program: std::env::args_os().next().and_then(|program| program.into_string().ok()).unwrap_or_default(),
            columns: text(COLUMNS).and_then(|columns| columns.parse().ok()),
            unusable,
        }
    }

    /// Checks that every variable of ours that is set can be used.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Some((name, reason)) = self.unusable else { return Ok(()) };
        Err(Failure::usage(format!("the environment variable {name} {reason}"))
            .hint(format!("correct it, or remove it with `unset {name}`")))
    }

    /// Returns the width of the terminal that standard output is, in columns; a usual one where it is not known.
    pub(crate) fn terminal_width(&self) -> u16 {
        let shown = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        shown.or(self.columns).filter(|columns| *columns >= COLUMNS_MIN).unwrap_or(COLUMNS_DEFAULT)
    }

    /// Returns the width of help texts, where what the terminal or COLUMNS says cannot be meant.
    pub(crate) fn help_width(&self) -> Option<u16> {
        let shown = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        let is_odd = |columns: Option<u16>| columns.is_some_and(|columns| columns < COLUMNS_MIN);
        (is_odd(shown) || is_odd(self.columns)).then_some(COLUMNS_DEFAULT)
    }
}

/// What is not UTF-8 becomes replacement characters; none of these values is a secret or an address.
fn text(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
