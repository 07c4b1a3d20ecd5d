//! Runs the command line and determines the exit code.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::{AuthCommand, Cli, Command, GlobalArgs, ParseError, is_valid_as_value, overview, parse, usage_of};
use crate::commands;
use crate::completion;
use crate::context::Context;
use crate::defaults::Defaults;
use crate::env::Environment;
use crate::failure::{Exit, Failure};
use crate::format::check_filter;
use crate::hints::Purpose;
use crate::logging;
use crate::output::{Escape, Formulas, Output};
use crate::settings::{Given, Settings};
use crate::start::{check_clock, check_resources};
use crate::streams::stdout_was_closed;
use crate::text::shell_quoted;

/// Runs the command line and returns the exit code.
pub(crate) fn run(environment: Environment) -> Exit {
    if environment.is_completion {
        return conclude(completion::answer(&environment.words), &Output::new(&environment, true));
    }
    let cli = match parse(&environment.words, environment.help_width()) {
        Ok(cli) => cli,
        Err(ParseError::ValueMissing { option, next }) => {
            return conclude(Err(value_missing(&option, &next)), &Output::new(&environment, false));
        }
        Err(ParseError::Clap(error)) => {
            let output = Output::new(&environment, false);
            let wants_help = !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            let shown = match wants_help {
                true => help(&error.render(), &environment, &output),
                false => Err(usage_failure(&error, &environment.words)),
            };
            return conclude(shown.map(|()| Exit::Success), &output);
        }
    };
    if cli.is_bare() {
        let output = Output::new(&environment, false);
        return conclude(help(&overview(), &environment, &output).map(|()| Exit::Success), &output);
    }
    if let Err(failure) = check_streams(&cli, &Output::new(&environment, cli.global.quiet > 0)) {
        return conclude(Err(failure), &Output::new(&environment, false));
    }
    let formulas = if cli.global.csv_safe { Formulas::Escaped } else { Formulas::Kept };
    let output = Output::new(&environment, cli.global.quiet > 0).with_formulas(formulas).with_jq(cli.global.jq.clone());
    if cli.global.verbose > 0 {
        logging::install(&output);
    }
    let result = dispatch(cli, environment, &output);
    conclude(result, &output)
}

fn conclude(result: Result<Exit, Failure>, output: &Output) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

fn dispatch(cli: Cli, environment: Environment, output: &Output) -> Result<Exit, Failure> {
    let Cli { global, show_completion, install_completion, mut command } = cli;
    check_jq(&global, command.as_ref())?;
    check_scope(&global, command.as_ref(), &environment.words)?;
    let mut defaults = Defaults::default();
    if command.as_ref().is_some_and(Command::reads_environment) {
        environment.check()?;
        defaults = Defaults::read(&environment, output)?;
    }
    let purpose = Purpose::of(command.as_ref());
    if let Some(command) = &mut command {
        defaults.apply(command);
    }
    let Defaults { format: default_format, db, hash_key, .. } = defaults;
    // `mp auth add` and `edit` have their own option of this name.
    let is_entry = matches!(&command, Some(Command::Auth(AuthCommand::Add(_) | AuthCommand::Edit(_))));
    let project = global.project.filter(|_| !is_entry);
    let given = Given { account: global.account, project, db: global.db, base_url: global.base_url };
    let settings = Settings::new(environment, given)?.with_default_database(db)?;
    let (output, chosen_format) = (output.clone(), global.format);
    let context = Context { settings, output, purpose, chosen_format, default_format, hash_key };
    if let Some(shell) = show_completion {
        return commands::completions::show(&context, shell);
    }
    if let Some(shell) = install_completion {
        return commands::completions::install(&context, shell);
    }
    if matches!(command, Some(Command::Demo(_) | Command::Simulate(_))) {
        check_clock()?;
    }
    if let Some(needs) = command.as_ref().and_then(Command::needs) {
        check_resources(needs)?;
    }
    let result = match command {
        None => Ok(Exit::Success),
        Some(Command::Fetch(command)) => commands::fetch::run(&context, command),
        Some(Command::Query(command)) => commands::query::run(&context, command),
        Some(Command::Export(arguments)) => commands::export::run(&context, &arguments),
        Some(Command::Inspect(command)) => commands::inspect::run(&context, command),
        Some(Command::Models(command)) => commands::models::run(&context, &command),
        Some(Command::Verify(arguments)) => commands::verify::run(&context, &arguments),
        Some(Command::Auth(command)) => commands::auth::run(&context, command),
        Some(Command::Demo(arguments)) => commands::demo::run(&context, &arguments),
        Some(Command::Simulate(arguments)) => commands::simulate::run(&context, arguments),
        Some(Command::Info) => commands::info::run(&context),
        Some(Command::Completions { shell, install: false }) => commands::completions::show(&context, shell),
        Some(Command::Completions { shell, install: true }) => commands::completions::install(&context, shell),
        Some(Command::Man { directory }) => commands::man::run(&context, &directory),
    };
    result.map_err(|failure| failure.with_commands(|words| context.command(words)))
}

/// Checks that the command uses every global option that is given.
fn check_scope(global: &GlobalArgs, command: Option<&Command>, words: &[OsString]) -> Result<(), Failure> {
    let Some(option) = command.and_then(|command| command.ignored_option(global)) else { return Ok(()) };
    Err(Failure::usage(format!("this command does not use `{option}`"))
        .hint(format!("omit the option; usage: {}", usage_of(words))))
}

/// Checks the filter of `--jq`, and that the command prints JSON that it can be applied to.
fn check_jq(global: &GlobalArgs, command: Option<&Command>) -> Result<(), Failure> {
    let Some(jq) = &global.jq else { return Ok(()) };
    if global.format.is_some_and(|format| !format.is_json()) {
        return Err(
            Failure::usage("`--jq` filters JSON").hint("omit `--format`, or use `--format json` or `--format jsonl`")
        );
    }
    match command {
        Some(Command::Fetch(command)) if command.is_to_stdout() => {
            Err(Failure::usage("`--jq` cannot be used with `--stdout`").hint("pipe the output into `jq`"))
        }
        Some(Command::Demo(_) | Command::Simulate(_)) if global.format.is_none() => {
            Err(Failure::usage("`--jq` filters JSON, which this command prints only on request")
                .hint("add `--format json`"))
        }
        Some(Command::Completions { .. } | Command::Man { .. }) => {
            Err(Failure::usage("`--jq` filters JSON, which this command does not print").hint("omit `--jq`"))
        }
        _ => check_filter(jq),
    }
}

/// If standard output is closed, rejects a command that only prints. Other commands run, with a warning.
fn check_streams(cli: &Cli, output: &Output) -> Result<(), Failure> {
    if !stdout_was_closed() {
        return Ok(());
    }
    if cli.only_prints() {
        return Err(stdout_is_closed());
    }
    output.warning("standard output is closed, so the result is not shown");
    Ok(())
}

fn stdout_is_closed() -> Failure {
    Failure::new("standard output is closed, so the result would be lost")
        .hint("redirect it to a file, a pipe or /dev/null")
}

/// Prints the requested help or version, the help of a command without a required subcommand, or the overview.
fn help(text: &StyledStr, environment: &Environment, output: &Output) -> Result<(), Failure> {
    if stdout_was_closed() {
        return Err(stdout_is_closed());
    }
    let styled = std::io::stdout().is_terminal() && !environment.no_color && !environment.dumb_terminal;
    if styled {
        return output.styled_help(&text.ansi().to_string());
    }
    let mut data = output.data(Escape::Text);
    data.text(&text.to_string())?;
    data.finish()
}

/// Returns whether the unexpected argument may be a secret, as after `--secret` or `mp auth add`. Such an argument is
/// not echoed.
fn may_show_secret(error: &clap::Error, words: &[OsString]) -> bool {
    let words = || words.iter().map(|word| word.to_string_lossy());
    let adds_account = words().any(|word| word == "auth") && words().any(|word| word == "add");
    let names_secret = adds_account || words().any(|word| word.starts_with("--secret"));
    let unexpected = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.as_str(),
        _ => "",
    };
    let is_word = error.kind() == ErrorKind::UnknownArgument && !unexpected.starts_with('-');
    names_secret && (is_word || unexpected.starts_with("--secret"))
}

fn value_missing(option: &str, next: &str) -> Failure {
    Failure::usage(format!("`{option}` needs a value, but the option `{next}` follows"))
        .hint(format!("put the value after `{option}`; if `{next}` is the value, write `{option}={next}`"))
}

/// Rewrites clap's `0 is not in 1..=9` as `0 is not between 1 and 9`.
fn plain_range(text: &str) -> String {
    match text.split_once(" is not in ").and_then(|(value, range)| Some((value, range.split_once("..=")?))) {
        Some((value, (least, most))) => format!("{value} is not between {least} and {most}"),
        None => text.to_owned(),
    }
}

/// Returns the hint for `mp query "SELECT ..."`, which lacks a subcommand.
fn sql_hint(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let place = |of: &str| words.iter().position(|word| word == of);
    let follows_query = place("query") < place(unknown) && place("query").is_some();
    let is_sql = follows_query && unknown.contains(char::is_whitespace);
    is_sql.then(|| format!("run SQL with `mp query sql {}`", shell_quoted(unknown)))
}

/// Returns the hint for `mp fetch profiles --output FILE`.
fn output_hint(error: &clap::Error, words: &[OsString]) -> Option<&'static str> {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return None };
    let is_output = error.kind() == ErrorKind::UnknownArgument && unknown == "--output";
    (is_output && words.iter().any(|word| word == "fetch"))
        .then_some("a fetch fills a table: `mp export TABLE FILE` then writes it to a file")
}

/// Converts a parser error into a [`Failure`].
fn usage_failure(error: &clap::Error, words: &[OsString]) -> Failure {
    if may_show_secret(error, words) {
        return Failure::usage("the secret cannot be given as an argument")
            .hint("arguments are visible to every user of the machine; pipe it into `mp auth add NAME --secret-stdin`, set MP_SECRET, or omit it to be prompted for it");
    }
    let rendered = error.render().to_string();
    let mut headline = String::new();
    let output_hint = output_hint(error, words);
    let mut hints: Vec<String> = sql_hint(error, words).into_iter().chain(output_hint.map(str::to_owned)).collect();
    let mut has_usage = false;
    for line in rendered.lines() {
        let text = line.trim();
        if let Some(tip) = text.strip_prefix("tip: ") {
            let unexpected = tip.strip_prefix("to pass '").and_then(|tip| tip.split('\'').next());
            if output_hint.is_none() && unexpected.is_none_or(|argument| is_valid_as_value(words, argument)) {
                hints.push(tip.to_owned());
            }
        } else if text.starts_with("Usage: ") {
            has_usage = true;
        } else if !has_usage && !text.is_empty() && !text.starts_with("For more information") {
            if !headline.is_empty() {
                headline.push('\n');
            }
            headline.push_str(&plain_range(text.strip_prefix("error: ").unwrap_or(text)));
        }
    }
    if has_usage {
        // The parser's own usage lists the given arguments only, and optional ones as required.
        hints.push(format!("usage: {}", usage_of(words)));
    }
    hints.into_iter().fold(Failure::usage(headline), Failure::hint)
}
