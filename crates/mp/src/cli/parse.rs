//! Parses the command line. Values may begin with `-`, as some Mixpanel IDs do. An argument that is exactly one of the
//! command's options is never a value, so `--group-id --parallel` is an error.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::{Cli, help};

/// Why a command line could not be parsed.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// An error of clap, or the requested help or version.
    Clap(clap::Error),
    /// An option where another option's value is expected. Neither name includes a value.
    ValueMissing { option: String, next: String },
}

/// Parses the words of a command line, the program's name first. Wraps help at `width` columns.
///
/// # Errors
/// [`ParseError`], which also carries requested help.
pub(crate) fn parse(words: &[OsString], width: Option<u16>) -> Result<Cli, ParseError> {
    let has_text = words.iter().any(|word| is_text(&word.to_string_lossy()));
    let mut command = permissive(Cli::command(), has_text);
    if let Some(width) = width {
        command = command.term_width(width.into());
    }
    let mut command = help::complete(command);
    check_values(&command, words)?;
    let matches = command.try_get_matches_from_mut(words);
    let cli = matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    cli.map_err(|error| ParseError::Clap(error.format(&mut command)))
}

/// Returns the usage of the command that the words select, such as `mp fetch profiles [OPTIONS] [NAME]`.
pub(crate) fn usage_of(words: &[OsString]) -> String {
    let mut command = &mut help::complete(Cli::command());
    let names: Vec<_> = words.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    for name in names.iter().filter(|name| !name.starts_with('-')) {
        if command.find_subcommand(name.as_ref()).is_some() {
            command = command.find_subcommand_mut(name.as_ref()).expect("it was just found");
        }
    }
    let usage = command.render_usage().to_string();
    usage.trim().trim_start_matches("Usage: ").to_owned()
}

/// Returns whether the command line is valid if `--` makes values of `argument` and of all words after it.
pub(crate) fn is_valid_as_value(words: &[OsString], argument: &str) -> bool {
    let Some(position) = words.iter().position(|word| *word == *argument) else { return false };
    let (before, after) = words.split_at(position);
    parse(&[before, &["--".into()], after].concat(), None).is_ok()
}

/// Allows option values to begin with `-`, and a positional argument only if it cannot be a mistyped option.
fn permissive(command: Command, has_text: bool) -> Command {
    let command = command.mut_args(|argument| {
        let may =
            if argument.is_positional() { has_text && argument.get_id() == "query" } else { needs_value(&argument) };
        if may { argument.allow_hyphen_values(true) } else { argument }
    });
    command.mut_subcommands(|command| permissive(command, has_text))
}

/// Returns whether a word starts like an option but has whitespace in its name, such as SQL that starts with a comment.
fn is_text(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    word.starts_with('-') && name.contains(char::is_whitespace)
}

fn needs_value(argument: &Arg) -> bool {
    argument.get_action().takes_values() && argument.get_num_args().is_none_or(|number| number.min_values() > 0)
}

/// Checks that no option follows where another option's value is expected.
fn check_values(command: &Command, words: &[OsString]) -> Result<(), ParseError> {
    let mut command = command;
    let mut words = words.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if !word.starts_with('-') {
            command = command.find_subcommand(word.as_ref()).unwrap_or(command);
        }
        let Some(option) = awaits_value(command, &word) else { continue };
        if let Some(next) = words.next().filter(|next| is_option(command, next)) {
            let next = next.split('=').next().unwrap_or_default().to_owned();
            return Err(ParseError::ValueMissing { option, next });
        }
    }
    Ok(())
}

/// Returns the option whose value is the next word: the last letter of `-sF`, or a long option without `=`.
fn awaits_value(command: &Command, word: &str) -> Option<String> {
    if let Some(name) = word.strip_prefix("--") {
        return long(command, name).filter(|argument| needs_value(argument)).map(|_| word.to_owned());
    }
    let letters = word.strip_prefix('-')?;
    for (position, letter) in letters.char_indices() {
        let argument = short(command, letter)?;
        if needs_value(argument) {
            let is_last = position + letter.len_utf8() == letters.len();
            return is_last
                .then(|| argument.get_long().map_or_else(|| format!("-{letter}"), |name| format!("--{name}")));
        }
    }
    None
}

fn is_option(command: &Command, word: &str) -> bool {
    if let Some(name) = word.strip_prefix("--") {
        return name.is_empty() || long(command, name.split('=').next().unwrap_or(name)).is_some();
    }
    let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
    letters.next().is_some_and(|letter| short(command, letter).is_some()) && letters.next().is_none()
}

fn long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| argument.get_long() == Some(name))
}

fn short(command: &Command, letter: char) -> Option<&Arg> {
    command.get_arguments().find(|argument| argument.get_short() == Some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns every subcommand with its path.
    fn commands(command: &Command, path: &[String]) -> Vec<(Vec<String>, Command)> {
        let mut all = vec![(path.to_vec(), command.clone())];
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let path: Vec<String> = path.iter().cloned().chain([below.get_name().to_owned()]).collect();
            all.extend(commands(below, &path));
        }
        all
    }

    fn words(path: &[String], more: &[&str]) -> Vec<OsString> {
        let path = path.iter().map(String::as_str);
        std::iter::once("mp").chain(path).chain(more.iter().copied()).map(OsString::from).collect()
    }

    /// Returns whether the parser accepts the value, that is, does not report an unknown argument.
    fn takes_it_for_a_value(words: &[OsString]) -> bool {
        match parse(words, None) {
            Ok(_) => true,
            Err(ParseError::Clap(error)) => !matches!(
                error.kind(),
                clap::error::ErrorKind::UnknownArgument | clap::error::ErrorKind::InvalidSubcommand
            ),
            Err(ParseError::ValueMissing { .. }) => false,
        }
    }

    #[test]
    fn the_value_of_every_option_of_every_command_may_begin_with_a_hyphen() {
        let mut root = Cli::command();
        root.build();
        let mut checked = 0;
        for (path, command) in commands(&root, &[]) {
            // Global options are only checked with a single command.
            let is_checked = |argument: &&Arg| path.len() < 2 || path[1] == "profiles" || !argument.is_global_set();
            let options = command.get_arguments().filter(|argument| !argument.is_positional() && needs_value(argument));
            for argument in options.filter(is_checked) {
                let name = format!("--{}", argument.get_long().expect("every option has a long name"));
                for value in ["-1405123841946871899", "-Mabc", "--not-an-option"] {
                    checked += 1;
                    assert!(takes_it_for_a_value(&words(&path, &[&name, value])), "{path:?} {name} {value}");
                    assert!(
                        takes_it_for_a_value(&words(&path, &[&format!("{name}={value}")])),
                        "{path:?} {name}={value}"
                    );
                    if let Some(letter) = argument.get_short() {
                        assert!(
                            takes_it_for_a_value(&words(&path, &[&format!("-{letter}"), value])),
                            "{path:?} -{letter}"
                        );
                        assert!(
                            takes_it_for_a_value(&words(&path, &[&format!("-{letter}{value}")])),
                            "-{letter}{value}"
                        );
                    }
                }
                for other in command.get_arguments().filter_map(Arg::get_long) {
                    for next in [format!("--{other}"), format!("--{other}=1")] {
                        let found = check_values(&root, &words(&path, &[&name, &next]));
                        let is_refused = matches!(&found, Err(ParseError::ValueMissing { option, next })
                            if *option == name && *next == format!("--{other}"));
                        assert!(is_refused, "{path:?} {name} {next}: {found:?}");
                    }
                }
            }
        }
        assert!(checked > 80, "{checked}");
    }

    #[test]
    fn sql_may_begin_with_a_comment_but_not_a_mistyped_option() {
        let path = ["query".to_owned(), "sql".to_owned()];
        for query in ["-- hi\nselect 1", "--hi\nselect 1", "-1 + 2", "- 1", "-- a=b\nselect 1", "--\tselect"] {
            for before in [&[][..], &["-s"], &["--format", "csv", "-q"], &["--"]] {
                let words = words(&path, &[before, &[query]].concat());
                assert!(parse(&words, None).is_ok(), "{before:?} {query}");
                let after = words.iter().cloned().chain(["--db".into(), "-x.db".into()]).collect::<Vec<_>>();
                assert!(before == ["--"] || parse(&after, None).is_ok(), "{before:?} {query}");
            }
        }
        for wrong in [&["--sclar", "select 1"][..], &["-y", "select 1"], &["--scalar=1", "select 1"], &["--sclar=a b"]]
        {
            assert!(matches!(parse(&words(&path, wrong), None), Err(ParseError::Clap(_))), "{wrong:?}");
        }
    }

    #[test]
    fn arguments_after_a_double_dash_are_values() {
        let path = ["auth".to_owned(), "show".to_owned()];
        assert!(parse(&words(&path, &["--", "--db"]), None).is_ok());
        assert!(matches!(parse(&words(&path, &["--db", "--"]), None), Err(ParseError::ValueMissing { .. })));
    }
}
