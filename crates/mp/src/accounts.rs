//! Reads the accounts, and updates them under a lock so that no concurrent change is lost.
//!
//! Accounts are stored in `accounts.toml` in `~/.mp` or MP_HOME, or in the file that MP_CONFIG_PATH names. If
//! `~/.mp/accounts.toml` does not exist, they are read from `~/.mp/config.toml`, a path that another program uses too.

use std::path::{Path, PathBuf};

use mixpanel_data::Credentials;

use crate::config::{Config, Owner, unknown_account};
use crate::env::Environment;
use crate::failure::{AccountProblem, Failure};
use crate::home::{expanded, no_home};
use crate::output::Output;
use crate::private_file::{PrivateFile, chmod};

/// The accounts and the path of their file.
#[derive(Debug)]
pub(crate) struct Accounts {
    path: PathBuf,
    config: Config,
}

/// The paths of the accounts file.
struct AccountPaths {
    /// The file that accounts are read from and written to.
    own: PathBuf,
    /// The former path, which another Mixpanel tool also uses. Read if `own` does not exist; never written.
    shared: Option<PathBuf>,
}

impl Accounts {
    /// Reads the accounts. Warns if other users can read the file.
    pub(crate) fn load(environment: &Environment, output: &Output) -> Result<Self, Failure> {
        let AccountPaths { own, shared } = AccountPaths::of(environment)?;
        if let Some(file) = PrivateFile::open(&own)?
            && let Some(config) = read(&file, &own, output)?
        {
            check_is_ours(&config, &own)?;
            config.check_keys(&own)?;
            return Ok(Self { path: own, config });
        }
        if let Some(shared) = shared
            && let Some(file) = PrivateFile::open(&shared)?
            && let Some(config) = read(&file, &shared, output)?
        {
            if config.owner() == Owner::Ours {
                if config.has_ours() {
                    config.check_keys(&shared)?;
                }
                return Ok(Self { path: shared, config });
            }
            let (theirs, ours) = (shared.display(), own.display());
            output.note(&format!(
                "`{theirs}` belongs to another program named mp; this one keeps its accounts in `{ours}`"
            ));
            return Ok(Self { path: shared, config: config.only_ours() });
        }
        Ok(Self { path: own, config: Config::default() })
    }

    /// Reads the accounts, applies `change` and writes them back, under a lock. Only this user can access the file.
    pub(crate) fn update<T>(
        environment: &Environment,
        output: &Output,
        change: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let own = AccountPaths::of(environment)?.own;
        let file = PrivateFile::open_or_make_directory(&own)?;
        let unlocked = file.lock()?;
        // The caller has already loaded the accounts and shown any notes and warnings.
        let mut accounts = Self::load(environment, &output.silent())?;
        let result = change(&mut accounts)?;
        let unsynced = file.write(&accounts.config.text())?;
        let lacking: Vec<&str> = unlocked.into_iter().chain(unsynced).collect();
        if !lacking.is_empty() {
            let lacking = lacking.join("; ");
            output.warning(&format!("the file system of `{}` lacks some features: {lacking}", own.display()));
        }
        if accounts.path != own && !accounts.config.names().is_empty() {
            output.note(&format!(
                "copied the accounts to `{}`; `{}` is no longer read",
                own.display(),
                accounts.path.display()
            ));
        }
        Ok(result)
    }

    /// Returns the path of the file that accounts are written to.
    pub(crate) fn path_of(environment: &Environment) -> Result<PathBuf, Failure> {
        AccountPaths::of(environment).map(|paths| paths.own)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the path of the file that the accounts were read from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Returns the name of the default account, if there is an account.
    ///
    /// # Errors
    /// The config file names a default account that does not exist.
    pub(crate) fn default_name(&self) -> Result<Option<&str>, Failure> {
        self.config.default_account(&self.path)
    }

    /// Returns an account's credentials.
    pub(crate) fn get(&self, name: &str) -> Result<Credentials, Failure> {
        self.config.account(name, &self.path)
    }

    /// Checks that there is no account of this name.
    pub(crate) fn check_is_new(&self, name: &str) -> Result<(), Failure> {
        if !self.config.names().contains(&name) {
            return Ok(());
        }
        Err(Failure::new(format!("account `{name}` already exists"))
            .about(AccountProblem::Exists { name: name.to_owned() })
            .hint(format!("choose another name, or change it with `mp auth edit {name}`")))
    }

    /// Checks that this account exists.
    pub(crate) fn check_exists(&self, name: &str) -> Result<(), Failure> {
        let names = self.config.names();
        if names.contains(&name) { Ok(()) } else { Err(unknown_account(name, &names)) }
    }
}

fn read(file: &PrivateFile, path: &Path, output: &Output) -> Result<Option<Config>, Failure> {
    let Some(contents) = file.read()? else { return Ok(None) };
    let config = Config::parse(&contents.text, path)?;
    if contents.others_can_read && config.owner() != Owner::Another {
        let (path, chmod) = (path.display(), chmod(path));
        output.warning(&format!("other users can read `{path}`, which contains secrets; run {chmod}"));
    }
    Ok(Some(config))
}

/// Rejects a config file that belongs to another program: writing to it would break both programs.
fn check_is_ours(config: &Config, path: &Path) -> Result<(), Failure> {
    if config.owner() == Owner::Ours {
        return Ok(());
    }
    Err(Failure::new(format!("the file `{}` belongs to another program named mp", path.display()))
        .hint("set MP_CONFIG_PATH to another file, or unset it to use `~/.mp/accounts.toml`"))
}

impl AccountPaths {
    fn of(environment: &Environment) -> Result<Self, Failure> {
        if let Some(path) = &environment.config_path {
            return Ok(Self { own: expanded(path, environment.home.as_deref())?, shared: None });
        }
        let directory = environment.directory().ok_or_else(no_home)?;
        let shared = environment.mp_home.is_none().then(|| directory.join("config.toml"));
        Ok(Self { own: directory.join("accounts.toml"), shared })
    }
}
