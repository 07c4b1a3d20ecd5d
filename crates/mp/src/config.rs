//! The config file: `default = "NAME"`, a table `[accounts.NAME]` for each account, and `[defaults]`. Anything else is an
//! error. Comments are preserved when the file is rewritten.

use std::path::Path;

use mixpanel_data::{Credentials, Region, Secret};
use toml_edit::{Document, DocumentMut, Item, Table, value};

use crate::config_keys::{self, ACCOUNT_KEYS, ACCOUNTS, DEFAULT, DEFAULTS, WrongKey};
use crate::credential_text::credential_text;
use crate::failure::{AccountProblem, Failure};

/// Account keys that only the other program writes.
const FOREIGN_KEYS: [&str; 2] = ["type", "default_project"];
/// The table in which the other program stores its active account.
const FOREIGN_TABLE: &str = "active";

/// The program that the file belongs to, inferred from its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Ours,
    /// Another program that stores its accounts in the same format.
    Another,
    /// Both programs have written to it.
    Both,
}

/// A parsed config file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    document: DocumentMut,
    wrong_key: Option<WrongKey>,
}

impl Config {
    /// Parses a config file.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let document = Document::parse(text).map_err(|error| {
            // The error's `Display` text quotes the line, which may contain the secret.
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
            let shown = path.display();
            Failure::new(format!("invalid config file `{shown}`"))
                .caused_by(&std::io::Error::other(format!("line {line}: {}", error.message())))
                .hint(format!("correct line {line} of `{shown}`: an account starts with `[accounts.NAME]`, followed by lines such as `region = \"eu\"`"))
        })?;
        let wrong_key = config_keys::find(&document);
        let config = Self { document: document.into_mut(), wrong_key };
        if config.document.get(ACCOUNTS).is_some_and(|accounts| !accounts.is_table_like()) {
            let reason = "`accounts` is not a table";
            return Err(malformed(path, reason).hint("start each account with a line `[accounts.NAME]`"));
        }
        Ok(config)
    }

    /// Rejects a file with an unknown key or section, which may be a misspelled one. In a file that another program may
    /// have written, call this only if it is ours.
    pub(crate) fn check_keys(&self, path: &Path) -> Result<(), Failure> {
        let Some(WrongKey { line, reason, hint }) = &self.wrong_key else { return Ok(()) };
        Err(Failure::new(format!("invalid config file `{}`", path.display()))
            .caused_by(&std::io::Error::other(format!("line {line}: {reason}")))
            .hint(hint.as_str()))
    }

    /// Returns whether the file has an account or settings of ours.
    pub(crate) fn has_ours(&self) -> bool {
        let has_settings = [DEFAULT, DEFAULTS].iter().any(|key| self.document.contains_key(key));
        has_settings || self.names().iter().any(|name| self.is_ours(name))
    }

    /// Returns which program the file belongs to.
    pub(crate) fn owner(&self) -> Owner {
        let has_table = self.document.get(FOREIGN_TABLE).is_some();
        let is_anothers = |name: &&str| FOREIGN_KEYS.iter().any(|key| self.has_key(name, key));
        match (has_table || self.names().iter().any(is_anothers), self.names().iter().any(|name| self.is_ours(name))) {
            (false, _) => Owner::Ours,
            (true, false) => Owner::Another,
            (true, true) => Owner::Both,
        }
    }

    /// Returns a copy with only our accounts, and with the default if it is one of them.
    pub(crate) fn only_ours(&self) -> Self {
        let mut config = self.clone();
        config.document.retain(|key, _| key == DEFAULT || key == ACCOUNTS);
        for name in self.names().into_iter().filter(|name| !self.is_ours(name)) {
            if let Some(accounts) = config.document.get_mut(ACCOUNTS).and_then(Item::as_table_like_mut) {
                accounts.remove(name);
            }
        }
        let names_one = config.document.get(DEFAULT).and_then(Item::as_str).is_some_and(|name| self.is_ours(name));
        if !names_one {
            config.document.remove(DEFAULT);
        }
        config
    }

    /// Returns whether an account has all of our keys, and none that only the other program writes.
    fn is_ours(&self, name: &str) -> bool {
        ACCOUNT_KEYS.iter().all(|key| self.has_key(name, key))
            && !FOREIGN_KEYS.iter().any(|key| self.has_key(name, key))
    }

    fn has_key(&self, name: &str, key: &str) -> bool {
        let accounts = self.document.get(ACCOUNTS).and_then(Item::as_table_like);
        let account = accounts.and_then(|accounts| accounts.get(name)).and_then(Item::as_table_like);
        account.is_some_and(|account| account.contains_key(key))
    }

    /// Returns the table `[defaults]`.
    pub(crate) fn defaults(&self) -> Option<&Item> {
        self.document.get(DEFAULTS)
    }

    /// Returns the text of the config file.
    pub(crate) fn text(&self) -> String {
        self.document.to_string()
    }

    /// Returns the account names in the order of the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        let accounts = self.document.get(ACCOUNTS).and_then(Item::as_table_like);
        accounts.map(|accounts| accounts.iter().map(|(name, _)| name).collect()).unwrap_or_default()
    }

    /// Returns the name of the default account: the one that `default` names, or the first one.
    pub(crate) fn default_name(&self) -> Option<&str> {
        let named = self.document.get(DEFAULT).and_then(Item::as_str);
        named.or_else(|| self.names().first().copied())
    }

    /// Returns the name of the default account, as [`default_name`](Self::default_name).
    ///
    /// # Errors
    /// `default` names an account that does not exist.
    pub(crate) fn default_account(&self, path: &Path) -> Result<Option<&str>, Failure> {
        let names = self.names();
        let Some(name) = self.default_name().filter(|name| !names.contains(name)) else {
            return Ok(self.default_name());
        };
        let why = format!("the key `default` in the config file `{}` names it", path.display());
        let failure = unknown_account(name, &names).caused_by(&std::io::Error::other(why));
        Err(if names.is_empty() { failure } else { failure.hint("choose one of them with `mp auth switch NAME`") })
    }

    /// Returns an account's credentials.
    pub(crate) fn account(&self, name: &str, path: &Path) -> Result<Credentials, Failure> {
        let field = |key: &str| self.field(name, key, path);
        if !self.names().contains(&name) {
            return Err(unknown_account(name, &self.names()));
        }
        let [username, secret, project_id, region] = ACCOUNT_KEYS.map(field);
        let wrong = |error: &mixpanel_data::Error| {
            Failure::new(format!("account `{name}` in the config file `{}` is invalid", path.display()))
                .caused_by(error)
                .hint(format!("correct it under `[accounts.{name}]`"))
        };
        let region: Region = region?.parse().map_err(|error| wrong(&error))?;
        Credentials::new(username?, Secret::new(secret?), project_id?, region).map_err(|error| wrong(&error))
    }

    fn field(&self, name: &str, key: &str, path: &Path) -> Result<String, Failure> {
        let account = self.document.get(ACCOUNTS).and_then(Item::as_table_like).and_then(|accounts| accounts.get(name));
        let item = account.and_then(Item::as_table_like).and_then(|account| account.get(key));
        let item = item.ok_or_else(|| {
            malformed(path, &format!("account `{name}` has no `{key}`"))
                .hint(format!("add a line such as `{key} = \"...\"` under `[accounts.{name}]`"))
        })?;
        // Accept a project ID without quotes, which TOML parses as an integer.
        let text = item.as_str().map(str::to_owned).or_else(|| item.as_integer().map(|number| number.to_string()));
        let text = text.ok_or_else(|| {
            malformed(path, &format!("`{key}` of account `{name}` is not a string"))
                .hint(format!("put it in quotes under `[accounts.{name}]`: `{key} = \"...\"`"))
        })?;
        credential_text(text.as_bytes()).map_err(|reason| {
            malformed(path, &format!("`{key}` of account `{name}` {reason}")).hint("correct it in that file")
        })
    }

    /// Adds an account. The first one becomes the default.
    pub(crate) fn add(&mut self, name: &str, credentials: &Credentials) {
        let accounts = self.document.entry(ACCOUNTS).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let mut account = Table::new();
        let Credentials { username, secret, project_id, region } = credentials;
        let texts = [username.as_str(), secret.expose(), project_id.as_str(), region.as_str()];
        for (key, text) in ACCOUNT_KEYS.into_iter().zip(texts) {
            account.insert(key, value(text));
        }
        let account = if accounts.is_inline_table() {
            Item::Value(account.into_inline_table().into())
        } else {
            Item::Table(account)
        };
        if let Some(accounts) = accounts.as_table_like_mut() {
            accounts.insert(name, account);
        }
        if self.document.get(DEFAULT).is_none() {
            let first = self.names().first().map_or_else(|| name.to_owned(), |first| (*first).to_owned());
            self.set_default(&first);
        }
    }

    /// Changes an account. Its other keys and its comments stay.
    pub(crate) fn change(&mut self, name: &str, credentials: &Credentials) {
        let Credentials { username, secret, project_id, region } = credentials;
        let texts = [username.as_str(), secret.expose(), project_id.as_str(), region.as_str()];
        let accounts = self.document.get_mut(ACCOUNTS).and_then(Item::as_table_like_mut);
        let account = accounts.and_then(|accounts| accounts.get_mut(name)).and_then(Item::as_table_like_mut);
        let Some(account) = account else { return };
        for (key, text) in ACCOUNT_KEYS.into_iter().zip(texts) {
            match account.get_mut(key) {
                Some(item) if item.as_str() == Some(text) => {}
                Some(Item::Value(old)) => {
                    let mut new = toml_edit::Value::from(text);
                    *new.decor_mut() = old.decor().clone();
                    *old = new;
                }
                _ => {
                    account.insert(key, value(text));
                }
            }
        }
    }

    /// Makes an account the default.
    pub(crate) fn set_default(&mut self, name: &str) {
        let mut name = toml_edit::Value::from(name);
        match self.document.get_mut(DEFAULT) {
            Some(Item::Value(old)) => {
                // Keep the surrounding whitespace and comment.
                *name.decor_mut() = old.decor().clone();
                *old = name;
            }
            _ => {
                self.document.insert(DEFAULT, Item::Value(name));
            }
        }
    }

    /// Removes an account. If it was the default, the next one in the file becomes the default, wrapping around at the
    /// end.
    pub(crate) fn remove(&mut self, name: &str) {
        let was_default = self.default_name() == Some(name);
        let names = self.names();
        let position = names.iter().position(|other| *other == name).unwrap_or(0);
        let next = names
            .get(position + 1)
            .or_else(|| names.first())
            .filter(|next| **next != name)
            .map(|next| (*next).to_owned());
        if let Some(accounts) = self.document.get_mut(ACCOUNTS).and_then(Item::as_table_like_mut) {
            accounts.remove(name);
        }
        match next {
            Some(next) if was_default => self.set_default(&next),
            None => {
                self.document.remove(DEFAULT);
            }
            Some(_) => {}
        }
    }
}

/// Returns the failure for an unknown account, with a hint that lists the existing ones.
pub(crate) fn unknown_account(name: &str, names: &[&str]) -> Failure {
    let available = names.iter().map(|name| (*name).to_owned()).collect();
    let failure = Failure::not_found(format!("there is no account `{name}`"))
        .about(AccountProblem::Unknown { name: name.to_owned(), available });
    if names.is_empty() {
        return failure.hint("add it with `mp auth add`");
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    failure.hint(format!("existing accounts: {}", names.join(", ")))
}

fn malformed(path: &Path, reason: &str) -> Failure {
    Failure::new(format!("invalid config file `{}`: {reason}", path.display()))
}
