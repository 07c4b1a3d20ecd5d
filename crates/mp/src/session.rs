//! What a program other than `mp` needs to work like it, such as the native module of the Python package: the
//! credentials, the config file, the database and the network settings that `mp` would use, found by the same code.
//!
//! Nothing here prints, or changes the process. What `mp` would show as a note or a warning is collected.

mod account_store;
mod error;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use mixpanel_data::{Credentials, HashKey, Quota, Region, Secret, Workspace};
use serde::{Deserialize, Deserializer};

use crate::account_values;
use crate::cli::ConfiguredRules;
use crate::credential_text::secret_from;
use crate::defaults::Defaults;
use crate::env::Environment;
use crate::failure::{Exit, Label};
use crate::hash_key::{self, ConfiguredKey};
use crate::home::expanded;
use crate::output::{Messages, Output};
use crate::property_rules::{check_raw, combined};
use crate::settings::{Given, Identity, Settings, chosen_quota};
use crate::start::keep_freed_memory;

pub use crate::property_rules::PropertyRules;
pub use account_store::{AccountInfo, AccountStore, NewAccount};
pub use error::{ACCOUNT_EXISTS, ACCOUNT_NOT_FOUND, CONFIG_ERROR, INVALID_INPUT, SessionError};

/// What a caller chooses. Everything else follows from the environment and the config file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// The name of an account, like `--account`.
    pub account: Option<String>,
    /// The project to use instead of the account's, like `--project`.
    pub project_id: Option<String>,
    /// The region to use instead of the account's: `us`, `eu` or `in`.
    pub region: Option<String>,
    /// The user name of a service account to use instead of a stored one. Requires `secret` and `project_id`; the region
    /// defaults to `us`.
    pub username: Option<String>,
    /// The secret of that service account.
    #[serde(deserialize_with = "secret")]
    pub secret: Option<Secret>,
    /// The database file, like `--db`.
    pub path: Option<PathBuf>,
    /// The loopback address to send requests to, like `--base-url`.
    pub base_url: Option<String>,
    /// The quota, like `--quota`: `60/h`.
    pub quota: Option<String>,
    /// How many requests of it to leave to other programs, like `--reserve`.
    pub reserve: Option<u32>,
    /// Whether to open the database alone, without credentials.
    pub offline: bool,
    /// The accounts file, like MP_CONFIG_PATH.
    pub config_path: Option<PathBuf>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

/// A project and a database, with the settings that concern them.
#[derive(Debug)]
pub struct Session {
    workspace: Workspace,
    account: Option<String>,
    credentials: Option<Credentials>,
    base_url: Option<String>,
    memory: Option<u64>,
    rules: ConfiguredRules,
    hash_key: ConfiguredKey,
    environment: Environment,
    output: Output,
    messages: Messages,
    /// Why there are no credentials.
    no_credentials: Option<SessionError>,
}

/// Opens the project and the database that `mp` would use. No file is opened but the config file, unless a database that
/// a stopped process has left damaged must be restored.
///
/// Without credentials, a database that exists or is chosen can still be opened; see
/// [`check_credentials`](Session::check_credentials).
///
/// The call frees a block of 16 MiB, after which glibc keeps more freed memory in the whole process (decision 0008).
///
/// # Errors
/// `INVALID_INPUT` for a wrong value in `choice`, `ACCOUNT_NOT_FOUND` for an unknown account, `CONFIG_ERROR` for anything
/// wrong with the environment or the config file.
pub fn open(choice: Choice) -> Result<Session, SessionError> {
    keep_freed_memory();
    open_in(Environment::read(Vec::new()), choice)
}

/// Opens a session in this environment.
fn open_in(environment: Environment, choice: Choice) -> Result<Session, SessionError> {
    let region = check(&choice, &environment)?;
    let quota = quota(&choice)?;
    environment.check()?;
    let mut environment = environment;
    if choice.username.is_some() {
        environment.account = None;
        environment.username.clone_from(&choice.username);
        environment.secret.clone_from(&choice.secret);
        environment.project_id.clone_from(&choice.project_id);
        environment.region.clone_from(&choice.region);
    }
    environment.config_path = choice.config_path.clone().or(environment.config_path);
    let messages = Messages::default();
    let output = Output::collecting(&environment, &messages);
    let Defaults { db, memory, rules, hash_key, .. } = Defaults::read(&environment, &output)?;
    let Choice { account, project_id, path, base_url, offline, .. } = choice;
    let names_account = account.is_some();
    let given = Given { account, project: project_id, db: path, base_url };
    let settings = Settings::new(environment, given)?.with_default_database(db)?;
    let identity = match offline {
        true => Err(SessionError::offline()),
        false => identity(&settings, &output, names_account)?.map(|identity| in_region(identity, region)),
    };
    let workspace = match &identity {
        Ok(identity) => {
            let workspace = settings.workspace(identity, &output)?;
            match quota {
                Some(quota) => workspace.with_quota(quota),
                None => workspace,
            }
        }
        Err(reason) => {
            let path = settings.database(&output)?;
            let is_wanted = offline || settings.db.is_some();
            if !is_wanted && !path.is_file() {
                return Err(reason.clone());
            }
            Workspace::open(path)
        }
    };
    if let Ok(Some(warning)) = workspace.repair_database() {
        output.warning(&warning.to_string());
    }
    Ok(Session {
        credentials: identity.as_ref().ok().map(|identity| identity.credentials.clone()),
        no_credentials: identity.as_ref().err().cloned(),
        account: identity.ok().and_then(|identity| identity.account),
        base_url: settings.base_url,
        environment: settings.environment,
        workspace,
        memory,
        rules,
        hash_key,
        output,
        messages,
    })
}

/// Checks the values that the caller gave, so that wrong ones are not mistaken for a wrong configuration. Returns the
/// region.
fn check(choice: &Choice, environment: &Environment) -> Result<Option<Region>, SessionError> {
    if let Some(project_id) = &choice.project_id {
        account_values::project(project_id).map_err(SessionError::invalid)?;
    }
    if let Some(path) = &choice.path {
        if path.as_os_str().is_empty() {
            return Err(SessionError::invalid("the path of the database is empty"));
        }
        expanded(path, environment.home.as_deref()).map_err(SessionError::invalid_because)?;
    }
    if let Some(base_url) = &choice.base_url {
        let checked = Workspace::open(PathBuf::new()).with_base_url(base_url);
        checked.map_err(|error| SessionError::invalid(format!("cannot use `base_url`: {error}")))?;
    }
    check_service_account(choice)?;
    choice.region.as_deref().map(account_values::region).transpose().map_err(SessionError::invalid)
}

/// Returns the quota, if the caller gave any part of it.
fn quota(choice: &Choice) -> Result<Option<Quota>, SessionError> {
    let parsed = choice.quota.as_deref().map(str::parse).transpose();
    let chosen = parsed.and_then(|quota| chosen_quota(quota, choice.reserve));
    chosen.map_err(|error| SessionError::invalid(format!("cannot use `quota` and `reserve`: {error}")))
}

/// Checks that a service account that is given directly is complete.
fn check_service_account(choice: &Choice) -> Result<(), SessionError> {
    let (username, secret) = match (&choice.username, &choice.secret) {
        (None, None) => return Ok(()),
        (Some(username), Some(secret)) => (username, secret),
        _ => return Err(SessionError::invalid("give both `username` and `secret`, or neither")),
    };
    if choice.account.is_some() {
        return Err(SessionError::invalid("give either `account`, or `username` and `secret`"));
    }
    if choice.project_id.is_none() {
        return Err(SessionError::invalid("`username` and `secret` require a project"));
    }
    account_values::username(username).map_err(SessionError::invalid)?;
    secret_from("`secret`", secret.expose().as_bytes()).map_err(SessionError::invalid_because)?;
    Ok(())
}

/// Returns the credentials, or why there are none although the environment and the config file are valid.
fn identity(
    settings: &Settings,
    output: &Output,
    names_account: bool,
) -> Result<Result<Identity, SessionError>, SessionError> {
    match settings.identity(output) {
        Ok(identity) => Ok(Ok(identity)),
        Err(failure) if failure.exit == Exit::NotFound && !names_account => Ok(Err(failure.into())),
        Err(failure) => Err(failure.into()),
    }
}

fn in_region(mut identity: Identity, region: Option<Region>) -> Identity {
    identity.credentials.region = region.unwrap_or(identity.credentials.region);
    identity
}

impl Session {
    /// Returns the workspace.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Returns the account's name in the config file; `None` for credentials from the environment, or without any.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Returns the credentials, if there are any.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Returns the project; `None` without credentials.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.project_id.as_str())
    }

    /// Returns the region, `us`, `eu` or `in`; `None` without credentials.
    #[must_use]
    pub fn region(&self) -> Option<&'static str> {
        self.credentials.as_ref().map(|credentials| credentials.region.as_str())
    }

    /// Returns the address of the server that requests go to instead of Mixpanel.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        self.base_url.as_deref()
    }

    /// Returns the path of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.workspace.database()
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

    /// Returns the memory budget in the config file, in bytes: the default of `--memory`.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Checks that there are credentials. Call this before anything that sends requests, because the workspace of a
    /// session without credentials cannot tell why there are none.
    ///
    /// # Errors
    /// The reason: `CONFIG_ERROR` or `ACCOUNT_NOT_FOUND`.
    pub fn check_credentials(&self) -> Result<(), SessionError> {
        self.no_credentials.clone().map_or(Ok(()), Err)
    }

    /// Returns the properties that a fetch drops and hashes: these, and those of the config file, as for `mp fetch`.
    /// Without `hash_key`, the key is that of MP_HASH_KEY or of the config file.
    ///
    /// # Errors
    /// `INVALID_INPUT` if `hash_key` is too short; `CONFIG_ERROR` if there is no key, or an unusable one.
    pub fn property_rules(
        &self,
        drop: Vec<String>,
        hash: Vec<String>,
        hash_key: Option<Secret>,
    ) -> Result<PropertyRules, SessionError> {
        let given = hash_key.map(HashKey::new).transpose();
        let given = given.map_err(|error| SessionError::invalid(format!("cannot use `hash_key`: {error}")))?;
        let key = || match given {
            Some(key) => Ok(Some(key)),
            None => hash_key::read(&self.environment, &self.hash_key, &self.output),
        };
        Ok(combined(&self.environment, &self.rules, drop, hash, key)?)
    }

    /// Checks that records may be passed on as received.
    ///
    /// # Errors
    /// `CONFIG_ERROR` if the config file drops or hashes properties.
    pub fn check_raw(&self) -> Result<(), SessionError> {
        Ok(check_raw(&self.environment, &self.rules)?)
    }
}
