//! The accounts in the config file, as `mp auth` manages them.

use std::path::PathBuf;

use mixpanel_data::{Credentials, ProjectId, Region, Secret};
use serde::Serialize;

use super::error::SessionError;
use crate::account_values::{account_name, project, region, username};
use crate::accounts::Accounts;
use crate::credential_text::secret_from;
use crate::env::Environment;
use crate::failure::{Failure, Label};
use crate::output::{Messages, Output};

/// An account, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountInfo {
    /// The name.
    pub name: String,
    /// The service account's user name.
    pub username: String,
    /// The project.
    pub project_id: ProjectId,
    /// The region that stores the project's data.
    pub region: Region,
    /// Whether it is used if no account is chosen.
    pub is_default: bool,
}

/// The values of an account to add.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name.
    pub name: String,
    /// The service account's user name.
    pub username: String,
    /// The service account's secret.
    pub secret: Secret,
    /// The project.
    pub project_id: String,
    /// The region: `us`, `eu` or `in`.
    pub region: String,
}

/// The accounts. Every method reads the file, and those that change it do so under a lock, so that several processes can
/// use it at the same time.
#[derive(Debug)]
pub struct AccountStore {
    environment: Environment,
    output: Output,
    messages: Messages,
}

impl AccountStore {
    /// Opens the accounts in this file, or by default in the one that `mp` uses. It need not exist.
    ///
    /// # Errors
    /// `CONFIG_ERROR` if the environment is invalid.
    pub fn open(path: Option<PathBuf>) -> Result<Self, SessionError> {
        Self::open_in(Environment::read(Vec::new()), path)
    }

    pub(super) fn open_in(mut environment: Environment, path: Option<PathBuf>) -> Result<Self, SessionError> {
        environment.check()?;
        environment.config_path = path.or(environment.config_path);
        let messages = Messages::default();
        let output = Output::collecting(&environment, &messages);
        Ok(Self { environment, output, messages })
    }

    /// Returns the path of the file that accounts are written to.
    ///
    /// # Errors
    /// `CONFIG_ERROR` if the home directory is unknown.
    pub fn path(&self) -> Result<PathBuf, SessionError> {
        Ok(Accounts::path_of(&self.environment)?)
    }

    /// Returns what `mp` would have shown as notes until now.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.messages.of(Label::Note)
    }

    /// Returns what `mp` would have shown as warnings until now.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.messages.of(Label::Warning)
    }

    /// Lists the accounts in the order of the file.
    ///
    /// # Errors
    /// `CONFIG_ERROR` if the file cannot be used.
    pub fn list(&self) -> Result<Vec<AccountInfo>, SessionError> {
        let accounts = self.load()?;
        let names = accounts.config().names();
        Ok(names.into_iter().map(|name| info(&accounts, name)).collect::<Result<_, _>>()?)
    }

    /// Returns an account, by default the default one.
    ///
    /// # Errors
    /// `ACCOUNT_NOT_FOUND`; `CONFIG_ERROR` if the file cannot be used or has no account.
    pub fn get(&self, name: Option<&str>) -> Result<AccountInfo, SessionError> {
        let accounts = self.load()?;
        let name = match name {
            Some(name) => name,
            None => accounts.default_name()?.ok_or_else(Failure::no_accounts)?,
        };
        Ok(info(&accounts, name)?)
    }

    /// Adds an account. The first one becomes the default. The credentials are not tested.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a wrong value; `ACCOUNT_EXISTS`; `CONFIG_ERROR` if the file cannot be used.
    pub fn add(&self, account: NewAccount) -> Result<AccountInfo, SessionError> {
        let NewAccount { name, username: user, secret, project_id, region: region_text } = account;
        let name = account_name(&name).map_err(SessionError::invalid)?;
        let credentials = Credentials {
            username: username(&user).map_err(SessionError::invalid)?,
            secret: secret_from("`secret`", secret.expose().as_bytes()).map_err(SessionError::invalid_because)?,
            project_id: project(&project_id).map_err(SessionError::invalid)?,
            region: region(&region_text).map_err(SessionError::invalid)?,
        };
        self.change(
            |accounts| accounts.check_is_new(&name),
            |accounts| {
                accounts.config_mut().add(&name, &credentials);
                info(accounts, &name)
            },
        )
    }

    /// Removes an account. If it was the default, the next one becomes the default.
    ///
    /// # Errors
    /// `ACCOUNT_NOT_FOUND`; `CONFIG_ERROR` if the file cannot be used.
    pub fn remove(&self, name: &str) -> Result<(), SessionError> {
        self.change(
            |accounts| accounts.check_exists(name),
            |accounts| {
                accounts.config_mut().remove(name);
                Ok(())
            },
        )
    }

    /// Makes an account the default.
    ///
    /// # Errors
    /// `ACCOUNT_NOT_FOUND`; `CONFIG_ERROR` if the file cannot be used.
    pub fn set_default(&self, name: &str) -> Result<(), SessionError> {
        self.change(
            |accounts| accounts.check_exists(name),
            |accounts| {
                accounts.config_mut().set_default(name);
                Ok(())
            },
        )
    }

    fn load(&self) -> Result<Accounts, Failure> {
        Accounts::load(&self.environment, &self.output)
    }

    /// Changes the accounts if they pass the check. They are checked before the file or its directory is created, and
    /// again under the lock.
    fn change<T>(
        &self,
        check: impl Fn(&Accounts) -> Result<(), Failure>,
        change: impl FnOnce(&mut Accounts) -> Result<T, Failure>,
    ) -> Result<T, SessionError> {
        check(&self.load()?)?;
        let change = |accounts: &mut Accounts| {
            check(accounts)?;
            change(accounts)
        };
        Ok(Accounts::update(&self.environment, &self.output, change)?)
    }
}

fn info(accounts: &Accounts, name: &str) -> Result<AccountInfo, Failure> {
    let Credentials { username, project_id, region, .. } = accounts.get(name)?;
    let is_default = accounts.config().default_name() == Some(name);
    Ok(AccountInfo { name: name.to_owned(), username, project_id, region, is_default })
}
