//! The environment variables that `mp` reads, and the words of its command line. No other module reads them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use mixpanel_data::{NetworkVariables, Secret};

use crate::credential_text::credential_text;
use crate::failure::Failure;
use crate::pager::Pager;

/// The account to use, like `--account`.
pub(crate) const MP_ACCOUNT: &str = "MP_ACCOUNT";
/// The service account's user name. Requires `MP_SECRET` and `MP_PROJECT_ID` as well.
pub(crate) const MP_USERNAME: &str = "MP_USERNAME";
/// The service account's secret. `mp auth add` uses it without the other three.
pub(crate) const MP_SECRET: &str = "MP_SECRET";
/// The project ID, like `--project`. Without `MP_USERNAME`, it replaces the account's project.
pub(crate) const MP_PROJECT_ID: &str = "MP_PROJECT_ID";
/// The project's data residency: us, eu or in, case-insensitive. The default is us.
pub(crate) const MP_REGION: &str = "MP_REGION";
/// The key for hashing properties.
pub(crate) const MP_HASH_KEY: &str = "MP_HASH_KEY";
/// The directory of the accounts, the databases and the quota ledger, instead of `~/.mp`.
pub(crate) const MP_HOME: &str = "MP_HOME";
/// The accounts file, instead of `~/.mp/accounts.toml`.
pub(crate) const MP_CONFIG_PATH: &str = "MP_CONFIG_PATH";
/// The server to send requests to, like `--base-url`.
pub(crate) const MP_BASE_URL: &str = "MP_BASE_URL";
/// The output format, like `--format`.
pub(crate) const MP_FORMAT: &str = "MP_FORMAT";
/// The database file, like `--db`.
pub(crate) const MP_DB: &str = "MP_DB";
/// `1` fetches in parallel, like `--parallel`; `0` overrides the config file.
pub(crate) const MP_PARALLEL: &str = "MP_PARALLEL";
/// The program that shows long output on a terminal; none if unset or empty.
const PAGER: &str = "PAGER";
/// Options of `less`.
const LESS: &str = "LESS";
/// The shell that requests the completion of a command line. Set by completion scripts only.
pub(crate) const MP_COMPLETE: &str = "MP_COMPLETE";
/// Disables color if not empty.
const NO_COLOR: &str = "NO_COLOR";
/// `dumb` disables color and the progress bar.
const TERM: &str = "TERM";
/// The shell whose completion script `--show-completion` prints.
const SHELL: &str = "SHELL";
/// The base directory of completion scripts for bash.
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// The base directory of completion scripts for fish.
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";

/// The width to assume if there is no terminal, in columns.
const COLUMNS: &str = "COLUMNS";

/// Minimum plausible width of a terminal; a smaller one counts as unknown.
const COLUMNS_MIN: u16 = 20;
/// Default width if the terminal's is unknown.
const COLUMNS_DEFAULT: u16 = 80;
/// Default height if the terminal's is unknown.
const ROWS_DEFAULT: u16 = 24;

/// The environment at the start of the process.
///
/// [`check`](Self::check) rejects an `MP_*` variable that is set but empty: ignoring it would silently select another
/// account, project or server. Other empty variables count as unset.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) account: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) secret: Option<Secret>,
    pub(crate) project_id: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) hash_key: Option<Secret>,
    pub(crate) config_path: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) db: Option<PathBuf>,
    pub(crate) parallel: Option<String>,
    pub(crate) pager: Option<Pager>,
    /// `HTTPS_PROXY` and related variables, which the library validates.
    pub(crate) network: NetworkVariables,
    pub(crate) no_color: bool,
    pub(crate) dumb_terminal: bool,
    /// Whether a completion script asks for the words that may follow.
    pub(crate) is_completion: bool,
    pub(crate) shell: Option<String>,
    pub(crate) data_home: Option<PathBuf>,
    pub(crate) config_home: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    /// MP_HOME, with a leading `~` expanded.
    pub(crate) mp_home: Option<PathBuf>,
    /// The command line. Its first word is the program's name, and the others are the arguments.
    ///
    /// The arguments of the process are something else: those of a Python script begin with the interpreter.
    pub(crate) words: Vec<OsString>,
    columns: Option<u16>,
    /// An invalid variable and the reason.
    unusable: Option<(&'static str, &'static str)>,
}

impl Environment {
    /// Reads the environment, for a command line of these words.
    pub(crate) fn read(words: Vec<OsString>) -> Self {
        let mut unusable = None;
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
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
            hash_key: own(MP_HASH_KEY).map(Secret::new),
            base_url: own(MP_BASE_URL),
            format: own(MP_FORMAT),
            parallel: own(MP_PARALLEL),
            config_path: own_path(MP_CONFIG_PATH, &mut unusable),
            db: own_path(MP_DB, &mut unusable),
            pager: text(PAGER).map(|command| Pager { command, has_less_options: std::env::var_os(LESS).is_some() }),
            network: NetworkVariables::collect(|name| std::env::var_os(name)),
            no_color: path(NO_COLOR).is_some(),
            dumb_terminal: text(TERM).is_some_and(|term| term == "dumb"),
            is_completion: text(MP_COMPLETE).is_some_and(|shell| shell != "0"),
            shell: text(SHELL),
            data_home: path(XDG_DATA_HOME),
            config_home: path(XDG_CONFIG_HOME),
            mp_home: own_path(MP_HOME, &mut unusable).map(|path| match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => path,
            }),
            home,
            words,
            columns: text(COLUMNS).and_then(|columns| columns.parse().ok()),
            unusable,
        }
    }

    /// Checks that no `MP_*` variable is invalid.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Some((name, reason)) = self.unusable else { return Ok(()) };
        Err(Failure::usage(format!("the environment variable {name} {reason}"))
            .hint(format!("correct it, or remove it with `unset {name}`")))
    }

    /// Returns the directory of the accounts, the databases and the quota ledger: MP_HOME, else `~/.mp`; `None` if the
    /// home directory is unknown.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        self.mp_home.clone().or_else(|| Some(self.home.as_ref()?.join(".mp")))
    }

    /// Returns the program name as invoked (`argv[0]`); empty if it is not valid UTF-8.
    pub(crate) fn program(&self) -> &str {
        self.words.first().and_then(|word| word.to_str()).unwrap_or_default()
    }

    /// Returns the arguments; `None` if one is not valid UTF-8.
    pub(crate) fn arguments(&self) -> Option<Vec<String>> {
        self.words.iter().skip(1).map(|word| word.to_str().map(str::to_owned)).collect()
    }

    /// Returns the width of the terminal on standard output, in columns, or a default if it is unknown.
    pub(crate) fn terminal_width(&self) -> u16 {
        let shown = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        shown.or(self.columns).filter(|columns| *columns >= COLUMNS_MIN).unwrap_or(COLUMNS_DEFAULT)
    }

    /// Returns the height of the terminal on standard output, in lines, or a default if it is unknown.
    pub(crate) fn terminal_height() -> u16 {
        let shown = console::Term::stdout().size_checked().map(|(rows, _)| rows);
        shown.filter(|rows| *rows > 0).unwrap_or(ROWS_DEFAULT)
    }

    /// Returns the width for help texts if the terminal or COLUMNS reports an implausible one.
    pub(crate) fn help_width(&self) -> Option<u16> {
        let shown = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        let is_odd = |columns: Option<u16>| columns.is_some_and(|columns| columns < COLUMNS_MIN);
        (is_odd(shown) || is_odd(self.columns)).then_some(COLUMNS_DEFAULT)
    }
}

/// Returns the path in one of our variables; an empty one is unusable.
fn own_path(name: &'static str, unusable: &mut Option<(&'static str, &'static str)>) -> Option<PathBuf> {
    let path = std::env::var_os(name).map(PathBuf::from)?;
    if path.as_os_str().is_empty() {
        *unusable = Some((name, "is empty"));
    }
    Some(path)
}

/// Invalid UTF-8 is replaced, which is harmless: none of these values is a secret or an address.
fn text(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
