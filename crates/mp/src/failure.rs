//! Failures as shown to the user: headline, causes, hints and exit code. Only [`render`](Failure::render) formats them.

use std::error::Error as StdError;

use mixpanel_data::{Error, ErrorKind};

use crate::hints::{Purpose, hint_of};
use crate::os_error::{errno_of, file_hint};
use crate::text::indented;

/// The exit codes, which are part of the command's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Success,
    /// 1: any other failure, or a fetch with missing pages or rejected records.
    Failure,
    /// 2: the credentials were rejected, or have no access to the project.
    Auth,
    /// 3: wrong arguments, or a query that the server or the database rejected.
    Usage,
    /// 4: no such table, database, account, run or file, or no credentials.
    NotFound,
    /// 5: rate limited by the server.
    RateLimit,
    /// 128 plus the signal number.
    Signal(u8),
    /// The exit code of the command that `mp simulate` ran, or 126 or 127 if it could not be run.
    Command(u8),
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Auth => 2,
            Self::Usage => 3,
            Self::NotFound => 4,
            Self::RateLimit => 5,
            Self::Signal(number) => 128 + number,
            Self::Command(code) => code,
        }
    }
}

/// Commands that hints suggest and that use the database or the account of this call.
const SUGGESTED: [&[&str]; 7] = [
    &["auth", "test"],
    &["fetch", "discard"],
    &["fetch", "events"],
    &["fetch", "profiles"],
    &["fetch", "status"],
    &["inspect", "tables"],
    &["query", "sql"],
];

/// Options that complete a suggested command, so one that has them is complete.
const COMPLETING: [&str; 4] = ["--account", "--base-url", "--db", "--project"];

/// What is wrong with the name of an account, for callers that distinguish such failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountProblem {
    Unknown { name: String, available: Vec<String> },
    Exists { name: String },
}

/// Why a command failed, ready for display.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    headline: String,
    causes: Vec<String>,
    hints: Vec<String>,
    silent: bool,
    account_problem: Option<Box<AccountProblem>>,
}

impl Failure {
    /// Creates a failure with exit code 1; [`exit`](Self::exit) changes it.
    pub(crate) fn new(headline: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failure,
            headline: headline.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            silent: false,
            account_problem: None,
        }
    }

    /// Creates a failure about wrong arguments.
    pub(crate) fn usage(headline: impl Into<String>) -> Self {
        Self::new(headline).exit(Exit::Usage)
    }

    /// Creates the failure for a config file without an account, where one is needed.
    pub(crate) fn no_accounts() -> Self {
        Self::not_found("there are no accounts").hint("add one with `mp auth add`")
    }

    /// Creates a failure about something that does not exist.
    pub(crate) fn not_found(headline: impl Into<String>) -> Self {
        Self::new(headline).exit(Exit::NotFound)
    }

    /// Completes the commands that the hints suggest, so that they can be typed as they are: `command` adds the
    /// program and the global options of this call.
    pub(crate) fn with_commands(mut self, command: impl Fn(&[&str]) -> String) -> Self {
        for hint in &mut self.hints {
            let completed = hint.split('`').enumerate().map(|(index, part)| {
                let words: Vec<&str> = part.strip_prefix("mp ").unwrap_or_default().split(' ').collect();
                let is_code = index % 2 == 1;
                // A quoted argument is more than one of these words.
                let is_plain = !part.contains(['"', '\'']) && !words.contains(&"--help");
                let is_complete = words.iter().any(|word| COMPLETING.contains(word));
                let is_suggested = is_plain && !is_complete && SUGGESTED.iter().any(|start| words.starts_with(start));
                if is_code && is_suggested { command(&words) } else { part.to_owned() }
            });
            *hint = completed.collect::<Vec<_>>().join("`");
        }
        self
    }

    /// Creates the silent outcome for a closed pipe (`mp ... | head`), with exit code 0.
    pub(crate) fn closed_pipe() -> Self {
        Self { silent: true, ..Self::new("the program that reads the output has exited").exit(Exit::Success) }
    }

    /// Creates a failure to read or write a file or a stream, with a hint for its cause.
    pub(crate) fn io(headline: impl Into<String>, error: &std::io::Error) -> Self {
        let failure = Self::new(headline).caused_by(error);
        match errno_of(error).and_then(file_hint) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Creates a failure from a library error, with its exit code, causes and hint, for a command that sends no
    /// requests.
    pub(crate) fn library(headline: impl Into<String>, error: &Error) -> Self {
        Self::of_command(headline, error, Purpose::Local)
    }

    /// Like [`library`](Self::library), but for a command with this purpose.
    pub(crate) fn of_command(headline: impl Into<String>, error: &Error, purpose: Purpose) -> Self {
        let failure = Self::without_hint(headline, error);
        match hint_of(error, purpose) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Like [`library`](Self::library), but without a hint, for callers that add a better one.
    pub(crate) fn without_hint(headline: impl Into<String>, error: &Error) -> Self {
        // A 403 of a proxy or a login page says nothing about the credentials.
        let exit = match error.fault() {
            Some(_) if error.kind() == ErrorKind::Forbidden => Exit::Usage,
            _ => exit_of(error.kind()),
        };
        Self::new(headline).exit(exit).caused_by(error)
    }

    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds an error and its sources as causes, skipping repeated text.
    #[must_use]
    pub(crate) fn caused_by(mut self, error: &dyn StdError) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            let shown = self.causes.last().unwrap_or(&self.headline);
            if !text.is_empty() && !shown.contains(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks the failure as one about the name of an account.
    #[must_use]
    pub(crate) fn about(mut self, problem: AccountProblem) -> Self {
        self.account_problem = Some(Box::new(problem));
        self
    }

    pub(crate) fn account_problem(&self) -> Option<&AccountProblem> {
        self.account_problem.as_deref()
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Returns whether there is nothing to show.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Returns the headline and the causes as one sentence, for a warning.
    pub(crate) fn summary(&self) -> String {
        std::iter::once(&self.headline).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// Returns the lines to show. `label` styles the labels.
    pub(crate) fn render(&self, label: impl Fn(&str, Label) -> String) -> String {
        let mut text = format!("{} {}\n", label("error:", Label::Error), indented(&self.headline, 2));
        for cause in &self.causes {
            text.push_str(&format!("  {} {}\n", label("caused by:", Label::Cause), indented(cause, 4)));
        }
        for hint in &self.hints {
            text.push_str(&format!("{} {}\n", label("hint:", Label::Hint), indented(hint, 2)));
        }
        text
    }
}

/// The kind of a label, which determines its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Error,
    Warning,
    Cause,
    Hint,
    Note,
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => Exit::Auth,
        ErrorKind::PaymentRequired
        | ErrorKind::NotFound
        | ErrorKind::Rejected
        | ErrorKind::InvalidInput
        | ErrorKind::DateRangeTooLarge
        | ErrorKind::Query => Exit::Usage,
        ErrorKind::TableNotFound | ErrorKind::DatabaseNotFound | ErrorKind::RunNotFound => Exit::NotFound,
        ErrorKind::RateLimited => Exit::RateLimit,
        ErrorKind::Cancelled => Exit::Signal(2),
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(failure: &Failure) -> String {
        failure.render(|label, _| label.to_owned())
    }

    #[test]
    fn no_text_is_shown_twice() {
        let error = Error::new(ErrorKind::ServerError, "page 0 failed after 4 attempts")
            .with_source(std::io::Error::other(std::io::Error::other("status 503")));
        let text = shown(&Failure::library("could not fetch profiles into `users`", &error));
        assert_eq!(
            text,
            "error: could not fetch profiles into `users`\n  \
             caused by: page 0 failed after 4 attempts\n  \
             caused by: status 503\n\
             hint: the server has a problem: try again later\n"
        );
    }

    #[test]
    fn server_text_in_errors_is_escaped() {
        let error = Error::new(ErrorKind::Rejected, "status 400: \u{1b}[2Jgone\r\nhint: run rm\u{202e}\u{9b}1m");
        let text = shown(&Failure::library("could not fetch", &error));
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}', '\u{9b}']), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("hint:")).count(), 1, "{text}");
    }

    #[test]
    fn the_exit_code_and_the_hint_follow_from_the_kind() {
        let kept = |kind| Error::new(kind, "m").with_run_id("r1");
        let busy = Error::new(ErrorKind::RunBusy, "m").with_detail("holding_pid", 4711);
        let unknown = Error::new(ErrorKind::DatabaseLocked, "m").with_detail("holding_pid", serde_json::Value::Null);
        let in_this_process = Error::new(ErrorKind::DatabaseLocked, "m")
            .with_detail("holding_pid", std::process::id())
            .with_detail("suggestion", "close that connection");
        let table = [
            (Error::new(ErrorKind::RunNotFound, "m"), 4, "hint: `mp fetch status` lists the unfinished runs\n"),
            (busy, 1, "hint: wait for process 4711, or stop it\n"),
            (unknown, 1, "hint: another process has it open: close it there, or wait\n"),
            (in_this_process, 1, "hint: close that connection\n"),
            (kept(ErrorKind::Incomplete), 1, ""),
            (kept(ErrorKind::SessionLost), 1, ""),
            (kept(ErrorKind::DiskFull), 1, "hint: free up disk space first\n"),
            (kept(ErrorKind::Cancelled), 130, ""),
        ];
        for (error, code, hint) in table {
            let failure = Failure::library("could not fetch", &error);
            let expected = format!("error: could not fetch\n  caused by: m\n{hint}");
            assert_eq!((failure.exit.code(), shown(&failure)), (code, expected), "{error:?}");
        }
    }
}
