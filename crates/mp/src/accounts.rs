//! The accounts of the config file: reading them, and changing them so that nothing is lost.

use std::path::{Path, PathBuf};

use mixpanel_data::Credentials;

use crate::config::{Config, unknown_account};
use crate::env::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::private_file::{PrivateFile, chmod};

/// The config file, if there is one.
#[derive(Debug)]
pub(crate) struct Accounts {
    path: PathBuf,
    config: Config,
}

impl Accounts {
    /// Reads the config file. One that others can read is used with a warning.
    pub(crate) fn load(environment: &Environment, output: &Output) -> Result<Self, Failure> {
        let path = config_path(environment)?;
        let config = match PrivateFile::open(&path)? {
            Some(file) => read(&file, &path, Some(output))?,
            None => Config::default(),
        };
        Ok(Self { path, config })
    }

    /// Reads the config file, lets `change` change it and writes it, for this user alone, while no other process does.
    pub(crate) fn update<T>(
        environment: &Environment,
        change: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let path = config_path(environment)?;
        let file = PrivateFile::open_or_make_folder(&path)?;
        file.lock()?;
        let config = read(&file, &path, None)?;
        let mut accounts = Self { path, config };
        let result = change(&mut accounts)?;
        file.write(&accounts.config.text())?;
        Ok(result)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Returns an account's credentials.
    pub(crate) fn get(&self, name: &str) -> Result<Credentials, Failure> {
        self.config.account(name, &self.path)
    }

    /// Fails unless there is this account.
    pub(crate) fn check_exists(&self, name: &str) -> Result<(), Failure> {
        let names = self.config.names();
        if names.contains(&name) { Ok(()) } else { Err(unknown_account(name, &names)) }
    }
}

fn read(file: &PrivateFile, path: &Path, warn: Option<&Output>) -> Result<Config, Failure> {
    let Some(contents) = file.read()? else { return Ok(Config::default()) };
    if let Some(output) = warn.filter(|_| contents.others_can_read) {
        let (path, chmod) = (path.display(), chmod(path));
        output.warning(&format!("other users can read `{path}`, which holds secrets; {chmod} prevents it"));
    }
    Config::parse(&contents.text, path)
}

fn config_path(environment: &Environment) -> Result<PathBuf, Failure> {
    if let Some(path) = &environment.config_path {
        return Ok(path.clone());
    }
    let home = environment.home.as_ref().ok_or_else(no_home)?;
    Ok(home.join(".mp").join("config.toml"))
}

/// Says that the home directory is not known.
pub(crate) fn no_home() -> Failure {
    Failure::new("the home directory is not known").hint("set HOME, or name files with MP_CONFIG_PATH and `--db`")
}
