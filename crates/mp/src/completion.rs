//! Completes command lines for the shell: the script that `mp completions` prints calls `mp` with MP_COMPLETE set.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use mixpanel_data::{Region, UnfinishedRun, Workspace};

use crate::accounts::Accounts;
use crate::cli::Cli;
use crate::defaults::Defaults;
use crate::env::{Environment, MP_COMPLETE};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::settings::{Given, Settings};

/// Answers a request of a completion script: prints the words that may follow.
pub(crate) fn answer(words: &[OsString]) -> Result<Exit, Failure> {
    let hides_options = !completed_word(words).to_string_lossy().starts_with('-');
    let command = || {
        let command = with_candidates(Cli::command(), "", &Arc::from(words));
        if hides_options { without_options(command) } else { command }
    };
    let completion = CompleteEnv::with_factory(command).var(MP_COMPLETE);
    let directory = std::env::current_dir().ok();
    completion
        .try_complete(words, directory.as_deref())
        .map(|_| Exit::Success)
        .map_err(|error| Failure::usage("cannot complete the command line").caused_by(&error))
}

/// Returns the word that is being completed: the one whose position the script passes, or the last one.
fn completed_word(words: &[OsString]) -> OsString {
    let words: Vec<_> = words.iter().skip_while(|word| *word != "--").skip(1).collect();
    let position = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|position| position.parse::<usize>().ok());
    position.and_then(|position| words.get(position)).or(words.last()).copied().cloned().unwrap_or_default()
}

/// Hides the options: they are then offered only if there are no other candidates.
fn without_options(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.is_positional() {
        true => argument,
        false => argument.hide(true),
    });
    command.disable_help_flag(true).disable_version_flag(true).mut_subcommands(without_options)
}

/// Returns the completion script of a shell, or `None` for an unknown shell.
pub(crate) fn script(shell: &str) -> Option<String> {
    let mut script = Vec::new();
    Shells::builtins().completer(shell)?.write_registration(MP_COMPLETE, "mp", "mp", "mp", &mut script).ok()?;
    String::from_utf8(script).ok()
}

/// Adds the candidates for the values that depend on the user's files.
fn with_candidates(command: Command, path: &str, words: &Arc<[OsString]>) -> Command {
    let command = command.mut_args(|argument| match candidates(path, argument.get_id().as_str()) {
        Some(list) => {
            let words = Arc::clone(words);
            argument.add(ArgValueCandidates::new(move || list(&words)))
        }
        None => argument,
    });
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        with_candidates(below, path.trim_start(), words)
    })
}

/// Lists the candidates of an argument. The words of the command line so far may select an account and a database.
type List = fn(&[OsString]) -> Vec<CompletionCandidate>;

/// Returns the function that lists the candidates of an argument.
fn candidates(path: &str, argument: &str) -> Option<List> {
    match (path, argument) {
        (_, "account") => Some(accounts),
        ("auth edit" | "auth remove" | "auth switch" | "auth show" | "auth test", "name") => Some(accounts),
        (_, "region") => Some(regions),
        (_, "run") => Some(run_ids),
        ("fetch resume" | "fetch discard", "name") => Some(unfinished_tables),
        ("fetch profiles" | "fetch events", "name") | (_, "table" | "table_option") => Some(tables),
        _ => None,
    }
}

fn regions(_: &[OsString]) -> Vec<CompletionCandidate> {
    [Region::Us, Region::Eu, Region::In].into_iter().map(|region| CompletionCandidate::new(region.as_str())).collect()
}

fn accounts(_: &[OsString]) -> Vec<CompletionCandidate> {
    let environment = Environment::read(Vec::new());
    let output = quiet(&environment);
    let accounts = Accounts::load(&environment, &output);
    let names = accounts.iter().flat_map(|accounts| accounts.config().names());
    names.map(CompletionCandidate::new).collect()
}

fn tables(words: &[OsString]) -> Vec<CompletionCandidate> {
    let tables = workspace(words).and_then(|workspace| workspace.tables().ok()).unwrap_or_default();
    tables.into_iter().map(|table| CompletionCandidate::new(table.name)).collect()
}

fn unfinished_tables(words: &[OsString]) -> Vec<CompletionCandidate> {
    let mut tables: Vec<_> = runs(words).into_iter().filter_map(|run| run.table).collect();
    tables.sort();
    tables.dedup();
    tables.into_iter().map(CompletionCandidate::new).collect()
}

fn run_ids(words: &[OsString]) -> Vec<CompletionCandidate> {
    let described = |run: UnfinishedRun| {
        let table = run.table.map(|table| format!("unfinished run of {table}").into());
        CompletionCandidate::new(run.run_id).help(table)
    };
    runs(words).into_iter().map(described).collect()
}

fn runs(words: &[OsString]) -> Vec<UnfinishedRun> {
    workspace(words).and_then(|workspace| workspace.unfinished_runs().ok()).unwrap_or_default()
}

/// Returns the database that the command line so far selects.
fn workspace(words: &[OsString]) -> Option<Workspace> {
    let words: Vec<_> = words.iter().filter_map(|word| word.to_str().map(str::to_owned)).collect();
    let given = Given {
        account: value_of(&words, &["--account", "-a"]),
        project: value_of(&words, &["--project"]),
        db: value_of(&words, &["--db"]).map(PathBuf::from),
        base_url: None,
    };
    let environment = Environment::read(Vec::new());
    let output = quiet(&environment);
    let defaults = Defaults::read(&environment, &output).unwrap_or_default();
    let settings = Settings::new(environment, given).and_then(|it| it.with_default_database(defaults.db));
    let path = settings.and_then(|settings| settings.database(&output)).ok()?;
    path.is_file().then(|| Workspace::open(path))
}

fn value_of(words: &[String], options: &[&str]) -> Option<String> {
    let position = words.iter().rposition(|word| {
        options
            .iter()
            .any(|option| word.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    })?;
    match words[position].split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => words.get(position + 1).cloned(),
    }
    .filter(|value| !value.is_empty())
}

/// Messages would appear within the command line that is being typed.
fn quiet(environment: &Environment) -> Output {
    Output::new(environment, true).silent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_unfinished_command_line_are_found() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("mp -- mp --db a.db verify ", Some("a.db")),
            ("mp -- mp verify --db=a.db ", Some("a.db")),
            ("mp -- mp verify --db ", None),
            ("mp -- mp verify --dbx a.db", None),
            ("mp -- mp verify", None),
        ] {
            assert_eq!(value_of(&words(line), &["--db"]).as_deref(), expected, "{line}");
        }
    }
}
