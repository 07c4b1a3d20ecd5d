//! The defaults of options: MP_FORMAT, MP_DB and MP_PARALLEL, then `[defaults]` in the config file.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use mixpanel_data::Secret;
use toml_edit::Item;

use crate::accounts::Accounts;
use crate::cli::{
    Command, ConfiguredRules, EventWorkerArgs, FetchCommand, Format, QueryCommand, WorkerArgs, is_page_size,
    parse_memory, parse_workers,
};
use crate::config_keys::DEFAULTS_KEYS;
use crate::credential_text::credential_text;
use crate::env::{Environment, MP_FORMAT, MP_PARALLEL};
use crate::failure::Failure;
use crate::hash_key::ConfiguredKey;
use crate::output::Output;

const FORMATS: &str = "json, jsonl, table, csv or plain";

/// Values for options that are not given.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) format: Option<Format>,
    pub(crate) db: Option<PathBuf>,
    parallel: Option<bool>,
    workers: Option<u32>,
    page_size: Option<u32>,
    pub(crate) memory: Option<u64>,
    pub(crate) rules: ConfiguredRules,
    pub(crate) hash_key: ConfiguredKey,
}

impl Defaults {
    /// Reads the defaults. Without a config file there are only those of the environment.
    pub(crate) fn read(environment: &Environment, output: &Output) -> Result<Self, Failure> {
        let mut defaults = Self::default();
        let has_place = environment.directory().is_some() || environment.config_path.is_some();
        if has_place {
            // The command shows the notes and warnings itself when it reads the accounts.
            let accounts = Accounts::load(environment, &output.silent())?;
            if let Some(table) = accounts.config().defaults() {
                defaults = Self::parse(table).map_err(|reason| invalid(accounts.path(), &reason))?;
            }
        }
        if let Some(text) = &environment.format {
            defaults.format = Some(format(text).ok_or_else(|| wrong_variable(MP_FORMAT, text, FORMATS))?);
        }
        if let Some(text) = &environment.parallel {
            defaults.parallel = Some(switch(text).ok_or_else(|| wrong_variable(MP_PARALLEL, text, "1 or 0"))?);
        }
        defaults.db = environment.db.clone().or(defaults.db);
        Ok(defaults)
    }

    /// Parses the table `[defaults]`.
    fn parse(table: &Item) -> Result<Self, String> {
        let table = table.as_table_like().ok_or("`defaults` is not a table")?;
        let mut defaults = Self::default();
        for (key, item) in table.iter() {
            let expected = |what: &str| format!("`{key}` in `[defaults]` must be {what}");
            match key {
                "format" => {
                    let found = item.as_str().and_then(format);
                    defaults.format = Some(found.ok_or_else(|| expected(FORMATS))?);
                }
                "db" => {
                    let found = item.as_str().filter(|path| !path.is_empty());
                    defaults.db = Some(found.ok_or_else(|| expected("the path of a file, in quotes"))?.into());
                }
                "parallel" => defaults.parallel = Some(item.as_bool().ok_or_else(|| expected("true or false"))?),
                "workers" => {
                    let found = item.as_integer().and_then(|number| parse_workers(&number.to_string()).ok());
                    defaults.workers = Some(found.ok_or_else(|| expected("a whole number from 1"))?);
                }
                "page_size" => {
                    let found = item.as_integer().and_then(|number| u32::try_from(number).ok());
                    let found = found.filter(|size| is_page_size(*size));
                    defaults.page_size = Some(found.ok_or_else(|| expected("a whole number from 1 to 40000"))?);
                }
                "memory" => {
                    let found = item.as_str().and_then(|text| parse_memory(text).ok());
                    defaults.memory = Some(found.ok_or_else(|| expected("a size such as \"400MB\", from 200MB"))?);
                }
                "drop" | "hash" => {
                    let found = names(item).ok_or_else(|| expected("a list of properties, such as [\"$email\"]"))?;
                    let list = if key == "drop" { &mut defaults.rules.drop } else { &mut defaults.rules.hash };
                    *list = found;
                }
                "hash_key" | "hash_key_file" if !matches!(defaults.hash_key, ConfiguredKey::None) => {
                    return Err("`[defaults]` has both `hash_key` and `hash_key_file`".to_owned());
                }
                "hash_key" => {
                    let found = item.as_str().ok_or_else(|| expected("a text, in quotes"))?;
                    let found = credential_text(found.as_bytes()).map_err(|reason| format!("`{key}` {reason}"))?;
                    defaults.hash_key = ConfiguredKey::Text(Secret::new(found));
                }
                "hash_key_file" => {
                    let found = item.as_str().filter(|path| !path.is_empty());
                    let found = found.ok_or_else(|| expected("the path of a file, in quotes"))?;
                    defaults.hash_key = ConfiguredKey::File(found.into());
                }
                _ => {
                    return Err(format!(
                        "unknown key `{key}` in `[defaults]`; the keys are {}",
                        DEFAULTS_KEYS.join(", ")
                    ));
                }
            }
        }
        Ok(defaults)
    }

    /// Sets the options of a command that were not given.
    pub(crate) fn apply(&self, command: &mut Command) {
        match command {
            Command::Fetch(FetchCommand::Profiles(arguments)) => {
                self.apply_to_workers(&mut arguments.workers, self.parallel);
                arguments.page_size = arguments.page_size.or(self.page_size);
                arguments.rules.configured = self.rules.clone();
            }
            Command::Fetch(FetchCommand::Events(arguments)) => {
                let mut workers = arguments.workers();
                // A sample is fetched with one request.
                let is_sample = arguments.filters.limit.is_some();
                let parallel = self.parallel.filter(|parallel| !(*parallel && is_sample));
                self.apply_to_workers(&mut workers, parallel);
                let WorkerArgs { parallel, workers, memory, parallel_is_off } = workers;
                arguments.how = EventWorkerArgs { parallel, workers, memory, parallel_is_off, ..arguments.how };
                arguments.rules.configured = self.rules.clone();
            }
            Command::Fetch(FetchCommand::Resume(arguments)) => {
                self.apply_to_workers(&mut arguments.workers, self.parallel);
            }
            Command::Export(arguments) => arguments.options.memory = arguments.options.memory.or(self.memory),
            Command::Query(QueryCommand::Sql(arguments)) if arguments.output.is_some() => {
                arguments.file_options.memory = arguments.file_options.memory.or(self.memory);
            }
            _ => {}
        }
    }

    /// Sets the options that were not given; `parallel` is the default of `--parallel`.
    fn apply_to_workers(&self, arguments: &mut WorkerArgs, parallel: Option<bool>) {
        arguments.parallel |= parallel == Some(true);
        arguments.parallel_is_off = parallel == Some(false);
        if arguments.parallel {
            arguments.workers = arguments.workers.or(self.workers);
        }
        arguments.memory = arguments.memory.or(self.memory);
    }
}

/// Returns the names in a list; `None` if one is not a text. The name of a property may be empty.
fn names(item: &Item) -> Option<Vec<String>> {
    let name = |value: &toml_edit::Value| value.as_str().map(str::to_owned);
    item.as_array()?.iter().map(name).collect()
}

fn format(text: &str) -> Option<Format> {
    Format::from_str(text, true).ok()
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn wrong_variable(name: &str, text: &str, expected: &str) -> Failure {
    Failure::usage(format!("the environment variable {name} is `{text}`, not {expected}"))
        .hint(format!("correct it, or remove it with `unset {name}`"))
}

fn invalid(path: &Path, reason: &str) -> Failure {
    Failure::new(format!("invalid config file `{}`: {reason}", path.display()))
        .hint("correct it under `[defaults]` in that file")
}

#[cfg(test)]
mod tests {
    use toml_edit::DocumentMut;

    use super::*;

    fn parse(text: &str) -> Result<Defaults, String> {
        let document: DocumentMut = text.parse().expect("TOML");
        Defaults::parse(&document["defaults"])
    }

    #[test]
    fn every_key_is_read() {
        let text = "[defaults]\nformat = \"CSV\"\ndb = \"~/x.db\"\nparallel = true\nworkers = 3\npage_size = 500\nmemory = \"1GB\"";
        let defaults = parse(text).expect("valid");
        assert_eq!((defaults.format, defaults.db), (Some(Format::Csv), Some("~/x.db".into())));
        assert_eq!((defaults.parallel, defaults.workers), (Some(true), Some(3)));
        assert_eq!((defaults.page_size, defaults.memory), (Some(500), Some(1_000_000_000)));
        let defaults =
            parse("[defaults]\ndrop = [\"$phone\", \"a,b\", \"\"]\nhash = []\nhash_key_file = \"~/k\"").expect("valid");
        assert_eq!(defaults.rules.drop, ["$phone", "a,b", ""]);
        assert!(matches!(defaults.hash_key, ConfiguredKey::File(path) if path == Path::new("~/k")));
        let defaults = parse("[defaults]\nhash = [\"$email\"]\nhash_key = \"a key of some length\"").expect("valid");
        assert_eq!(defaults.rules.hash, ["$email"]);
        assert!(matches!(defaults.hash_key, ConfiguredKey::Text(text) if text.expose() == "a key of some length"));
    }

    #[test]
    fn wrong_values_and_keys_are_rejected() {
        for line in [
            "format = \"xml\"",
            "format = 1",
            "db = \"\"",
            "db = 1",
            "parallel = \"yes\"",
            "parallel = 1",
            "workers = 0",
            "workers = \"3\"",
            "page_size = 0",
            "page_size = 40001",
            "page_size = 1.5",
            "memory = 400",
            "memory = \"1MB\"",
            "Format = \"csv\"",
            "quota = \"60/h\"",
            "drop = \"$email\"",
            "drop = [1]",
            "hash = [[]]",
            "hash_key = 7",
            "hash_key = \"\"",
            "hash_key_file = \"\"",
        ] {
            let key = line.split(' ').next().expect("a key");
            let reason = parse(&format!("[defaults]\n{line}")).expect_err(line);
            assert!(reason.contains(&format!("`{key}`")), "{reason}");
        }
        assert!(parse("[defaults]\nhash_key = \"k\"\nhash_key_file = \"f\"").is_err());
        assert!(parse("defaults = 1").is_err());
        assert!(parse("[defaults]").is_ok());
    }
}
