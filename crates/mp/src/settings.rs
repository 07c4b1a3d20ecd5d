//! Resolves the settings, in this order: option, environment, config file, default.

use std::path::PathBuf;

use mixpanel_data::{Credentials, ProjectId, Quota, Region, Workspace};

use crate::accounts::Accounts;
use crate::env::{Environment, MP_PROJECT_ID, MP_SECRET, MP_USERNAME};
use crate::failure::{Exit, Failure};
use crate::home::{expanded, no_home};
use crate::output::Output;

/// The global options of this call that choose an account, a project, a database or a server.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) account: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) db: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
}

/// The global options and the environment.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    pub(crate) account: Option<String>,
    /// The project given with `--project`.
    project: Option<ProjectId>,
    pub(crate) db: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
    /// The global options of this call and their values, repeated in suggested commands.
    pub(crate) given: Vec<[String; 2]>,
}

/// The credentials in use and their origin.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The account's name in the config file; `None` for credentials from the environment.
    pub(crate) account: Option<String>,
    pub(crate) credentials: Credentials,
}

impl Identity {
    /// Describes the origin of the credentials.
    pub(crate) fn whose(&self) -> String {
        self.account.as_ref().map_or_else(|| "the environment".to_owned(), |name| format!("account `{name}`"))
    }
}

impl Settings {
    /// Combines the options with the environment.
    pub(crate) fn new(environment: Environment, given: Given) -> Result<Self, Failure> {
        let Given { account, project, db, base_url } = given;
        let db = db.map(|path| expanded(&path, environment.home.as_deref())).transpose()?;
        let path = db.as_ref().map(|path| path.display().to_string());
        let options = [
            ("--account", account.as_ref()),
            ("--project", project.as_ref()),
            ("--db", path.as_ref()),
            ("--base-url", base_url.as_ref()),
        ];
        let given = options.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?.clone()]));
        let given = given.collect();
        let wrong = |error: mixpanel_data::Error| Failure::library("cannot use `--project`", &error);
        Ok(Self {
            given,
            account: account.or_else(|| environment.account.clone()),
            project: project.map(ProjectId::new).transpose().map_err(wrong)?,
            db,
            base_url: base_url.or_else(|| environment.base_url.clone()),
            environment,
        })
    }

    /// Sets the database to use if `--db` is not given.
    pub(crate) fn with_default_database(mut self, db: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(db) = db.filter(|_| self.db.is_none()) {
            self.db = Some(expanded(&db, self.environment.home.as_deref())?);
        }
        Ok(self)
    }

    /// Returns the credentials to use: the named account's, else the environment's, else the default account's, with
    /// the project of `--project` or MP_PROJECT_ID instead of an account's own.
    ///
    /// # Errors
    /// A failure with exit code 4 if there are no credentials.
    pub(crate) fn identity(&self, output: &Output) -> Result<Identity, Failure> {
        if let Some(name) = &self.account {
            if self.environment.username.is_some() {
                output.note(&format!("using account `{name}`; {MP_USERNAME} and related variables are ignored"));
            }
            return self.identity_of(name.clone(), output);
        }
        if let Some(credentials) = self.environment_credentials()? {
            return Ok(Identity { account: None, credentials });
        }
        let accounts = Accounts::load(&self.environment, output)?;
        let name = accounts.default_name()?.ok_or_else(|| {
            Failure::not_found("no credentials found").hint(format!(
                "add an account with `mp auth add`, or set {MP_USERNAME}, {MP_SECRET} and {MP_PROJECT_ID}"
            ))
        })?;
        let credentials = self.with_project(accounts.get(name)?)?;
        Ok(Identity { account: Some(name.to_owned()), credentials })
    }

    /// Returns whether an option or a variable names an account or credentials, or an account is stored.
    pub(crate) fn names_credentials(&self) -> bool {
        let Environment { username, secret, .. } = &self.environment;
        let has_file = Accounts::path_of(&self.environment).is_ok_and(|path| path.exists());
        self.account.is_some() || username.is_some() || secret.is_some() || has_file
    }

    /// Returns the credentials of this account.
    pub(crate) fn identity_of(&self, name: String, output: &Output) -> Result<Identity, Failure> {
        let credentials = self.with_project(Accounts::load(&self.environment, output)?.get(&name)?)?;
        Ok(Identity { account: Some(name), credentials })
    }

    /// Replaces the project of an account.
    fn with_project(&self, credentials: Credentials) -> Result<Credentials, Failure> {
        Ok(match self.other_project()? {
            Some(project_id) => Credentials { project_id, ..credentials },
            None => credentials,
        })
    }

    /// Returns the project to use instead of the account's: that of `--project`, or of MP_PROJECT_ID unless it belongs
    /// to credentials in the environment.
    fn other_project(&self) -> Result<Option<ProjectId>, Failure> {
        if self.project.is_some() || self.environment.username.is_some() {
            return Ok(self.project.clone());
        }
        self.environment_project()
    }

    /// Returns the option or the variable that chose another project than that of the credentials.
    pub(crate) fn project_source(&self, identity: &Identity) -> Option<&'static str> {
        match (&self.project, &identity.account) {
            (Some(_), _) => Some("`--project`"),
            (None, Some(_)) => self.other_project().ok().flatten().map(|_| MP_PROJECT_ID),
            (None, None) => None,
        }
    }

    /// Returns the credentials in the environment: the user name, the secret and the project, or none of them.
    /// MP_PROJECT_ID alone chooses a project for an account. The region defaults to `us`.
    fn environment_credentials(&self) -> Result<Option<Credentials>, Failure> {
        let Environment { username, secret, project_id, region, .. } = &self.environment;
        if username.is_none() && secret.is_none() {
            return Ok(None);
        }
        let project_id = self.project.as_ref().map(ToString::to_string).or_else(|| project_id.clone());
        if let (Some(username), Some(secret), Some(project_id)) = (username, secret, &project_id) {
            let wrong = |error: mixpanel_data::Error| {
                Failure::library(format!("cannot use the credentials in {MP_USERNAME} and related variables"), &error)
            };
            let region: Region = region.as_deref().unwrap_or("us").parse().map_err(wrong)?;
            return Credentials::new(username, secret.clone(), project_id, region).map(Some).map_err(wrong);
        }
        let given = [username.is_some(), secret.is_some(), project_id.is_some()];
        let names = [MP_USERNAME, MP_SECRET, MP_PROJECT_ID];
        let list = |wanted: bool| -> Vec<&str> {
            names.into_iter().zip(given).filter(|(_, is_given)| *is_given == wanted).map(|(name, _)| name).collect()
        };
        let headline = format!("the environment sets {} but not {}", list(true).join(", "), list(false).join(", "));
        Err(Failure::not_found(headline).hint("set all three or none, or choose an account with `--account`"))
    }

    /// Returns the path of the database. Reads the accounts only if necessary. Without an account, it is the only
    /// database in the data directory.
    pub(crate) fn database(&self, output: &Output) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.db {
            return Ok(path.clone());
        }
        if let Some(project_id) = self.project.clone().map_or_else(|| self.environment_project(), |it| Ok(Some(it)))? {
            return self.default_database(&project_id);
        }
        match self.identity(output) {
            Ok(identity) => self.default_database(&identity.credentials.project_id),
            Err(failure) if failure.exit == Exit::NotFound && self.account.is_none() => match &self.databases()[..] {
                [only] => {
                    output.note(&format!("there is no account; using the only database, `{}`", only.display()));
                    Ok(only.clone())
                }
                [] => Err(failure.hint("or specify the database with `--db`")),
                several => {
                    let list: Vec<_> = several.iter().map(|path| format!("`{}`", path.display())).collect();
                    Err(failure.hint(format!("or specify the database with `--db`: {}", list.join(", "))))
                }
            },
            Err(failure) => Err(failure.hint("or specify the database with `--db`")),
        }
    }

    /// Returns the project that the environment names, unless an account takes precedence over its credentials.
    fn environment_project(&self) -> Result<Option<ProjectId>, Failure> {
        let Environment { username, project_id, .. } = &self.environment;
        if self.account.is_some() && username.is_some() {
            return Ok(None);
        }
        let wrong = |error: mixpanel_data::Error| Failure::library(format!("cannot use {MP_PROJECT_ID}"), &error);
        project_id.clone().map(ProjectId::new).transpose().map_err(wrong)
    }

    /// Lists the databases in the data directory, in name order.
    fn databases(&self) -> Vec<PathBuf> {
        let Some(directory) = self.environment.directory() else { return Vec::new() };
        let entries = std::fs::read_dir(directory.join("data")).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "db"));
        paths.sort();
        paths
    }

    fn default_database(&self, project_id: &ProjectId) -> Result<PathBuf, Failure> {
        let directory = self.environment.directory().ok_or_else(no_home)?;
        Ok(directory.join("data").join(format!("{project_id}.db")))
    }

    /// Returns a workspace that sends requests to Mixpanel, or to the server given with `--base-url`.
    pub(crate) fn workspace(&self, identity: &Identity, output: &Output) -> Result<Workspace, Failure> {
        let database = match &self.db {
            Some(path) => path.clone(),
            None => self.default_database(&identity.credentials.project_id)?,
        };
        let workspace = Workspace::new(identity.credentials.clone(), database);
        let workspace = workspace.with_network(self.environment.network.clone());
        let workspace = match self.environment.directory() {
            Some(directory) => workspace.with_state_directory(directory.join("state")),
            None => {
                output.note(
                    "the home directory is unknown, so other runs cannot see how much of the quota this one uses",
                );
                workspace
            }
        };
        let Some(base_url) = &self.base_url else { return Ok(workspace) };
        let workspace = workspace
            .with_base_url(base_url)
            .map_err(|error| Failure::library("cannot use `--base-url` (or MP_BASE_URL)", &error))?;
        output.note(&format!("requests go to {base_url}, not to Mixpanel"));
        Ok(workspace)
    }
}

/// Returns the quota to respect if the caller chose any part of it.
///
/// # Errors
/// `InvalidInput` if a number is out of range or the reserve leaves no requests.
pub(crate) fn chosen_quota(quota: Option<Quota>, reserve: Option<u32>) -> mixpanel_data::Result<Option<Quota>> {
    if quota.is_none() && reserve.is_none() {
        return Ok(None);
    }
    let mut chosen = quota.unwrap_or_default();
    chosen.reserve = reserve.unwrap_or(chosen.reserve);
    chosen.check()?;
    Ok(Some(chosen))
}
