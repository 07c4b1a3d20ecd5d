//! Resolves the settings, in this order: option, environment, config file, default.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use mixpanel_data::{Credentials, ProjectId, Region, Workspace};

use crate::accounts::{Accounts, no_home};
use crate::env::{Environment, MP_PROJECT_ID, MP_REGION, MP_SECRET, MP_USERNAME};
use crate::failure::Failure;
use crate::output::Output;

/// The global options and the environment.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    pub(crate) account: Option<String>,
    pub(crate) db: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
    /// The global options of this call, repeated in suggested commands.
    pub(crate) given: Vec<String>,
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
    pub(crate) fn new(
        environment: Environment,
        account: Option<String>,
        db: Option<PathBuf>,
        base_url: Option<String>,
    ) -> Result<Self, Failure> {
        let mut environment = environment;
        let home = environment.home.as_deref();
        let db = db.map(|path| expanded(&path, home)).transpose()?;
        environment.config_path = environment.config_path.map(|path| expanded(&path, home)).transpose()?;
        let path = db.as_ref().map(|path| path.display().to_string());
        let given = [("--account", account.as_ref()), ("--db", path.as_ref()), ("--base-url", base_url.as_ref())];
        let given = given.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?.clone()]));
        let given = given.flatten().collect();
        Ok(Self {
            given,
            account: account.or_else(|| environment.account.clone()),
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

    /// Returns the credentials to use: the named account's, else the environment's, else the default account's.
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
        let name = accounts.config().default_name().ok_or_else(|| {
            Failure::new("no credentials found").hint(format!(
                "add an account with `mp auth add`, or set {MP_USERNAME}, {MP_SECRET}, {MP_PROJECT_ID} and {MP_REGION}"
            ))
        })?;
        let credentials = accounts.get(name)?;
        Ok(Identity { account: Some(name.to_owned()), credentials })
    }

    /// Returns the credentials of this account.
    pub(crate) fn identity_of(&self, name: String, output: &Output) -> Result<Identity, Failure> {
        let credentials = Accounts::load(&self.environment, output)?.get(&name)?;
        Ok(Identity { account: Some(name), credentials })
    }

    /// Returns the credentials in the environment, which must set all four variables or none.
    fn environment_credentials(&self) -> Result<Option<Credentials>, Failure> {
        let Environment { username, secret, project_id, region, .. } = &self.environment;
        if let (Some(username), Some(secret), Some(project_id), Some(region)) = (username, secret, project_id, region) {
            let wrong = |error: mixpanel_data::Error| {
                Failure::library(format!("cannot use the credentials in {MP_USERNAME} and related variables"), &error)
            };
            let region: Region = region.parse().map_err(wrong)?;
            return Credentials::new(username, secret.clone(), project_id, region).map(Some).map_err(wrong);
        }
        if username.is_none() && secret.is_none() && project_id.is_none() {
            return Ok(None);
        }
        let given = [username.is_some(), secret.is_some(), project_id.is_some(), region.is_some()];
        let names = [MP_USERNAME, MP_SECRET, MP_PROJECT_ID, MP_REGION];
        let list = |wanted: bool| -> Vec<&str> {
            names.into_iter().zip(given).filter(|(_, is_given)| *is_given == wanted).map(|(name, _)| name).collect()
        };
        let headline = format!("the environment sets {} but not {}", list(true).join(", "), list(false).join(", "));
        Err(Failure::new(headline).hint("set all four or none, or choose an account with `--account`"))
    }

    /// Returns the path of the database. Reads the accounts only if necessary.
    pub(crate) fn database(&self, output: &Output) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.db {
            return Ok(path.clone());
        }
        if self.account.is_none()
            && let Some(project_id) = &self.environment.project_id
        {
            let project_id = ProjectId::new(project_id.clone())
                .map_err(|error| Failure::library(format!("cannot use {MP_PROJECT_ID}"), &error))?;
            return self.default_database(&project_id);
        }
        let identity = self.identity(output).map_err(|failure| failure.hint("or specify the database with `--db`"))?;
        self.default_database(&identity.credentials.project_id)
    }

    fn default_database(&self, project_id: &ProjectId) -> Result<PathBuf, Failure> {
        let home = self.environment.home.as_ref().ok_or_else(no_home)?;
        Ok(home.join(".mp").join("data").join(format!("{project_id}.db")))
    }

    /// Returns a workspace that sends requests to Mixpanel, or to the server given with `--base-url`.
    pub(crate) fn workspace(&self, identity: &Identity, output: &Output) -> Result<Workspace, Failure> {
        let database = match &self.db {
            Some(path) => path.clone(),
            None => self.default_database(&identity.credentials.project_id)?,
        };
        let workspace = Workspace::new(identity.credentials.clone(), database);
        let workspace = workspace.with_network(self.environment.network.clone());
        let workspace = match &self.environment.home {
            Some(home) => workspace.with_state_directory(home.join(".mp").join("state")),
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

/// Replaces a leading `~` that the shell has not expanded, as in `--db=~/x.db`, with the home directory.
///
/// # Errors
/// A usage error for `~name`, which only a shell can resolve, or if the home directory is unknown.
pub(crate) fn expanded(path: &Path, home: Option<&Path>) -> Result<PathBuf, Failure> {
    let mut components = path.components();
    let Some(Component::Normal(first)) = components.next() else { return Ok(path.to_owned()) };
    if !first.as_bytes().starts_with(b"~") {
        return Ok(path.to_owned());
    }
    let rest = components.as_path();
    if first != "~" {
        // Without a path after it, this is a file name such as `~x.db`.
        if rest.as_os_str().is_empty() {
            return Ok(path.to_owned());
        }
        let shown = path.display();
        return Err(Failure::usage(format!(
            "the path `{shown}` starts with `~` and a user name, which only a shell expands"
        ))
        .hint(format!("write the full path, or `./{shown}` for a file of that name")));
    }
    let home = home.ok_or_else(no_home)?;
    Ok(if rest.as_os_str().is_empty() { home.to_owned() } else { home.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_expanded_as_in_a_shell() {
        let table = [
            ("~/x.db", Some("/home/me/x.db")),
            ("~//a/../x.db", Some("/home/me/a/../x.db")),
            ("~", Some("/home/me")),
            ("~/", Some("/home/me")),
            ("./~/x.db", Some("./~/x.db")),
            ("a/~/x.db", Some("a/~/x.db")),
            ("/~/x.db", Some("/~/x.db")),
            ("x~", Some("x~")),
            ("-", Some("-")),
            ("~me/x.db", None),
            ("~x.db", Some("~x.db")),
            ("~/", Some("/home/me")),
            ("~+/x.db", None),
        ];
        for (path, expected) in table {
            let found = expanded(Path::new(path), Some(Path::new("/home/me")));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{path}");
        }
        assert!(expanded(Path::new("~/x.db"), None).is_err());
    }
}
