//! The context that every command receives.

use std::future::Future;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use mixpanel_data::{Error, ErrorKind, Fault, Region, Workspace};
use serde_json::{Map, Value};

use crate::accounts::Accounts;
use crate::cli::Format;
use crate::env::{Environment, MP_REGION};
use crate::failure::Failure;
use crate::first_day::{from_day, is_before, last_day};
use crate::format::{print_record, print_records};
use crate::hash_key::ConfiguredKey;
use crate::hints::Purpose;
use crate::home::expanded;
use crate::output::Output;
use crate::settings::Settings;
use crate::text::{indented, printable, shell_quoted, wrapped};

/// The settings, the output and the requested output format.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) output: Output,
    /// The purpose of the command, on which hints depend.
    pub(crate) purpose: Purpose,
    /// The format given with `--format`, if any.
    pub(crate) chosen_format: Option<Format>,
    /// The format in MP_FORMAT or the config file, if any.
    pub(crate) default_format: Option<Format>,
    /// The key for hashing properties in the config file, if any.
    pub(crate) hash_key: ConfiguredKey,
}

impl Context {
    pub(crate) fn environment(&self) -> &Environment {
        &self.settings.environment
    }

    /// Expands a leading `~` in a path given as an option.
    pub(crate) fn path(&self, path: &Path) -> Result<PathBuf, Failure> {
        expanded(path, self.environment().home.as_deref())
    }

    /// Returns the format of `--format`, MP_FORMAT or the config file; with `--jq`, always a JSON format.
    pub(crate) fn requested_format(&self) -> Option<Format> {
        let format = self.chosen_format.or(self.default_format);
        match self.output.jq() {
            Some(_) => Some(format.filter(|format| format.is_json()).unwrap_or(Format::Json)),
            None => format,
        }
    }

    /// Returns the output format. The default is for people on a terminal, and for programs elsewhere.
    pub(crate) fn format(&self) -> Format {
        let default = if self.output.stdout_is_terminal() { Format::Table } else { Format::Json };
        self.requested_format().unwrap_or(default)
    }

    /// Returns whether results are sentences: on a terminal, unless a format is requested.
    pub(crate) fn is_for_people(&self) -> bool {
        self.output.stdout_is_terminal() && self.requested_format().is_none()
    }

    /// Prints a result: the text for people, the record otherwise.
    pub(crate) fn report(&self, record: Value, text: &str) -> Result<(), Failure> {
        if !self.is_for_people() {
            return self.print(record);
        }
        self.show(text)
    }

    /// Prints text for people, wrapped to the terminal.
    pub(crate) fn show(&self, text: &str) -> Result<(), Failure> {
        let text = indented(&wrapped(text, self.output.width().into(), 2), 0);
        self.output.show(&format!("{text}\n"))
    }

    /// Formats a path for people: with `~` for the home directory.
    pub(crate) fn shown_path(&self, path: &Path) -> String {
        let in_home = self.environment().home.as_deref().and_then(|home| path.strip_prefix(home).ok());
        let shown = in_home.map_or_else(|| path.display().to_string(), |rest| format!("~/{}", rest.display()));
        printable(&shown).into_owned()
    }

    /// Returns a workspace for the database alone, without credentials.
    pub(crate) fn database(&self) -> Result<Workspace, Failure> {
        let workspace = Workspace::open(self.settings.database(&self.output)?);
        self.repair(&workspace);
        Ok(workspace)
    }

    /// Restores what a process that was stopped had overwritten in the database, and says so. If that fails, using the
    /// database fails with the same error.
    pub(crate) fn repair(&self, workspace: &Workspace) {
        if let Ok(Some(warning)) = workspace.repair_database() {
            self.output.warning(&warning.to_string());
        }
    }

    /// Returns a command line to suggest: these words and the global options of the current call.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        // Commands reject options that they would ignore.
        let ignored = match words.first() {
            Some(&"verify") if words.contains(&"--against") => "",
            Some(&("query" | "export" | "inspect" | "models" | "verify")) => "--base-url",
            Some(&"auth") => "--db",
            _ => "",
        };
        let given = self.settings.given.iter().filter(|[option, _]| option != ignored);
        let given = given.flatten().map(String::as_str);
        let words = std::iter::once(self.program()).chain(words.iter().copied()).chain(given);
        words.map(shell_quoted).collect::<Vec<_>>().join(" ")
    }

    fn program(&self) -> &str {
        let program = self.environment().program();
        if program.contains('/') { program } else { "mp" }
    }

    /// Returns the hint for a fetch of events that goes back further than `first`, the first day that can be fetched:
    /// this many days before today.
    fn later_days_hint(&self, first: Date, days: u32) -> String {
        match self.environment().arguments().filter(|_| self.purpose.is_new_fetch_of_events()) {
            Some(words) if is_before(last_day(&words), first, days) => {
                format!("earlier days cannot be fetched: use {first} as the first day, or a later one")
            }
            Some(words) => {
                let words = from_day(words, first);
                let words = std::iter::once(self.program()).chain(words.iter().map(String::as_str));
                format!(
                    "`{}` fetches all days that the project keeps",
                    words.map(shell_quoted).collect::<Vec<_>>().join(" ")
                )
            }
            None => format!("earlier days cannot be fetched: start a new fetch with `--from {first}`"),
        }
    }

    /// Converts a library error into a failure, with a hint that depends on the server in use.
    pub(crate) fn failed(&self, headline: impl Into<String>, error: &Error) -> Failure {
        self.failed_to(self.purpose, headline, error)
    }

    /// Like [`failed`](Self::failed), for work of which more is known than the command.
    pub(crate) fn failed_to(&self, purpose: Purpose, headline: impl Into<String>, error: &Error) -> Failure {
        if error.fault() == Some(Fault::Region) {
            return Failure::without_hint(headline, error).hint(self.region_hint(None));
        }
        if let Some(day) = error.first_day() {
            return Failure::without_hint(headline, error)
                .hint(self.later_days_hint(day, error.history_days().unwrap_or(0)));
        }
        match &self.settings.base_url {
            Some(base_url) if error.kind() == ErrorKind::Unreachable && error.fault().is_none() => {
                Failure::without_hint(headline, error)
                    .hint(format!("check that a server is running at {base_url} (from `--base-url` or MP_BASE_URL)"))
            }
            Some(base_url) if error.kind() == ErrorKind::ServerError && error.fault().is_none() => {
                Failure::without_hint(headline, error).hint(format!(
                    "the server at {base_url} (from `--base-url` or MP_BASE_URL) has a problem: check it, or try again later"
                ))
            }
            // Mixpanel's region does not matter there.
            Some(base_url) if error.kind() == ErrorKind::NotFound => Failure::without_hint(headline, error).hint(format!(
                "check the address {base_url} (from `--base-url` or MP_BASE_URL), the project id, and the ids in the filter"
            )),
            _ => Failure::of_command(headline, error, purpose),
        }
    }

    /// Returns the hint on how to correct the project's region, for `account` or for the credentials in use.
    pub(crate) fn region_hint(&self, account: Option<&str>) -> String {
        let (settings, environment) = (&self.settings, self.environment());
        let why = "the project seems to be in another region (see data residency in its Mixpanel settings)";
        let others = |region: Option<Region>| {
            let regions = [Region::Eu, Region::In, Region::Us].into_iter().filter(|other| Some(*other) != region);
            regions.map(Region::as_str).collect::<Vec<_>>()
        };
        let account = account.map(str::to_owned).or_else(|| settings.account.clone());
        if account.is_none() && environment.username.is_some() {
            let region = environment.region.as_deref().and_then(|region| region.parse().ok());
            return format!("{why}: set {MP_REGION} to {}", others(region).join(" or "));
        }
        let accounts = Accounts::load(environment, &self.output).ok();
        let name = account.or_else(|| accounts.as_ref()?.config().default_name().map(str::to_owned));
        let found = name.and_then(|name| Some((accounts?.get(&name).ok()?, name)));
        let Some((credentials, name)) = found else { return format!("{why}: specify it with `--region`") };
        let regions = others(Some(credentials.region));
        let name = shell_quoted(&name);
        format!("{why}: `mp auth edit {name} --region {}` (or `--region {}`)", regions[0], regions[1])
    }

    /// Prints a single record.
    pub(crate) fn print(&self, record: Value) -> Result<(), Failure> {
        print_record(&self.output, self.format(), &fields(record))
    }

    /// Prints records that all have these columns.
    pub(crate) fn print_all(&self, columns: &[&str], records: Vec<Value>) -> Result<(), Failure> {
        print_records(&self.output, self.format(), columns, records.into_iter().map(fields).collect())
    }

    /// Runs a future on a new tokio runtime.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        // Two threads are enough for five concurrent requests, and every thread costs memory (decision 0008).
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new("could not start").caused_by(&error))?;
        let result = runtime.block_on(work);
        // Do not wait for abandoned work, such as a pending name lookup.
        runtime.shutdown_background();
        result
    }
}

fn fields(record: Value) -> Map<String, Value> {
    match record {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
