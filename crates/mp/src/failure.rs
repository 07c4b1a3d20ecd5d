//! Failures as they are shown: headline, causes, hints, exit code. [`render`](Failure::render) is the one printer.

use std::error::Error as StdError;
use std::process::ExitCode;

use mixpanel_data::{Error, ErrorKind};
use rustix::io::Errno;

use crate::os_error::{errno_of, file_hint};
use crate::text::{duration, indented, printable};

/// How the command ends. The numbers are part of the command's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Success,
    /// 1: a failure that has no code of its own, or a fetch that lacks pages or left records out.
    Failure,
    /// 2: the credentials were refused.
    Auth,
    /// 3: wrong arguments, or a query that the server or the database refused.
    Usage,
    /// 4: no such table, database, account, run or file.
    NotFound,
    /// 5: a limit of the server.
    RateLimit,
    /// 128 and the signal's number.
    Signal(u8),
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
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    headline: String,
    causes: Vec<String>,
    hints: Vec<String>,
    silent: bool,
}

impl Failure {
    /// A failure with exit code 1, unless changed by [`exit`](Self::exit).
    pub(crate) fn new(headline: impl Into<String>) -> Self {
        Self { exit: Exit::Failure, headline: headline.into(), causes: Vec::new(), hints: Vec::new(), silent: false }
    }

    /// Wrong arguments.
    pub(crate) fn usage(headline: impl Into<String>) -> Self {
        Self::new(headline).exit(Exit::Usage)
    }

    /// Something named does not exist.
    pub(crate) fn not_found(headline: impl Into<String>) -> Self {
        Self::new(headline).exit(Exit::NotFound)
    }

    /// Whoever read our output went away, which is no failure: `mp ... | head`.
    pub(crate) fn reader_gone() -> Self {
        Self { silent: true, ..Self::new("the reader of the output went away").exit(Exit::Success) }
    }

    /// A failure to read or write a file or a stream, with what helps against its cause.
    pub(crate) fn io(headline: impl Into<String>, error: &std::io::Error) -> Self {
        let failure = Self::new(headline).caused_by(error);
        match errno_of(error).and_then(file_hint) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// The exit code, the causes and the hint follow from the error.
    pub(crate) fn library(headline: impl Into<String>, error: &Error) -> Self {
        let failure = Self::unexplained(headline, error);
        match hint_of(error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// As [`library`](Self::library), without the hint: the caller knows a better one.
    pub(crate) fn unexplained(headline: impl Into<String>, error: &Error) -> Self {
        Self::new(headline).exit(exit_of(error.kind())).caused_by(error)
    }

    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds an error and its sources, but no text twice.
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

    /// Says whether there is anything to show.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Returns the lines to show, with labels in the given style.
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

/// What a label means, and so which colour it has.
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
        ErrorKind::Unauthorized => Exit::Auth,
        ErrorKind::PaymentRequired
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::Rejected
        | ErrorKind::InvalidInput
        | ErrorKind::Query => Exit::Usage,
        ErrorKind::TableNotFound | ErrorKind::DatabaseNotFound | ErrorKind::RunNotFound => Exit::NotFound,
        ErrorKind::RateLimited => Exit::RateLimit,
        ErrorKind::Cancelled => Exit::Signal(2),
        _ => Exit::Failure,
    }
}

/// What to do about an error, by its kind. Errors whose message says it have no entry, and where pages are on disk, going
/// on with them is somebody else's hint.
fn hint_of(error: &Error) -> Option<String> {
    if let Some(hint) =
        error.detail("fault").and_then(serde_json::Value::as_str).and_then(|fault| fault_hint(fault, error))
    {
        return Some(hint);
    }
    let pages_remain = error.run_id().is_some();
    let hint = match error.kind() {
        ErrorKind::SessionLost | ErrorKind::Incomplete if pages_remain => return None,
        ErrorKind::DiskFull if errno_of(error) == Some(Errno::DQUOT) => return file_hint(Errno::DQUOT),
        ErrorKind::DiskFull if pages_remain => "make room on the disk first",
        ErrorKind::ServerError if pages_remain => "the server has trouble: go on later",
        ErrorKind::Unauthorized => {
            "check the user name, the secret and the region, then try `mp auth test`; a service account needs a role in the project"
        }
        ErrorKind::PaymentRequired => "the project's plan does not include this API: ask its owner",
        ErrorKind::Forbidden => {
            "give the service account a role in this project, in the project's settings, or name another project"
        }
        ErrorKind::NotFound => "check the region (us, eu or in) and the ids",
        ErrorKind::Rejected => "correct the filter; `mp fetch profiles --help` shows the accepted forms",
        ErrorKind::RateLimited => return Some(rate_limit_hint(error)),
        ErrorKind::ServerError => "the server has trouble: try again later",
        ErrorKind::Unreachable => "check the network, and HTTPS_PROXY if there is a proxy; the region decides the host",
        ErrorKind::UnexpectedReply => {
            "something between this machine and Mixpanel may have answered, such as a proxy or a log-in page of the network"
        }
        ErrorKind::SessionLost => "run the same command again",
        ErrorKind::TableExists => {
            "use `--append` to add to it, `--replace` to replace it once the new one is complete, or another table name"
        }
        ErrorKind::TableNotFound => return Some(tables_hint(error)),
        ErrorKind::DatabaseNotFound => "fetch first with `mp fetch profiles`, or name another file with `--db`",
        ErrorKind::DatabaseLocked => return Some(lock_hint(error)),
        ErrorKind::DatabaseUnusable => {
            "name another database with `--db`; keep this file as it is, together with its `.wal` file if it has one"
        }
        ErrorKind::DiskFull => "make room, or name a file on another disk with `--db`; then run the same command again",
        ErrorKind::Storage if error.detail("reading").is_some() => {
            "install the certificates of the authorities, such as the package `ca-certificates`, or name a file that has them in SSL_CERT_FILE"
        }
        ErrorKind::Storage => return Some(storage_hint(error)),
        ErrorKind::ConstraintViolated => "drop the index or constraint of the table that says so, then load again",
        ErrorKind::Incomplete => "run the same command again for a complete table",
        ErrorKind::InvalidInput if error.detail("difference").is_some() => {
            "a run knows its own filters, so leave them out to go on with it, or give it up with `mp fetch discard`"
        }
        ErrorKind::RunNotFound => "`mp fetch status` lists the unfinished runs",
        ErrorKind::RunBusy => return Some(busy_hint(error)),
        ErrorKind::Internal => "this is a bug: please report it with the output of the same command and `--verbose`",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Where the cause is not known, the commonest ones are named.
fn storage_hint(error: &Error) -> String {
    let hint = errno_of(error).and_then(file_hint);
    hint.unwrap_or_else(|| {
        "check that the directory exists and that you may write to it, or name another file with `--db`".to_owned()
    })
}

/// What to do about an error that names what is at fault.
fn fault_hint(fault: &str, error: &Error) -> Option<String> {
    let variable = error.detail("variable").and_then(serde_json::Value::as_str).unwrap_or("HTTPS_PROXY");
    Some(match fault {
        "proxy_setting" if variable.eq_ignore_ascii_case("NO_PROXY") => {
            format!("correct {variable}, such as `localhost,.example.org`, or unset it")
        }
        "proxy_setting" => format!(
            "correct {variable}, such as `http://user:password@proxy.example.org:3128`, or unset it if no proxy is needed; in a user name or password `@` is written %40, `:` %3A and `/` %2F"
        ),
        "proxy" => "check that the proxy is running and may connect to Mixpanel, and its setting (HTTPS_PROXY, ALL_PROXY, NO_PROXY)".to_owned(),
        "proxy_credentials" => {
            "check the user name and password in the proxy's setting; `@` is written %40 there, `:` %3A and `/` %2F".to_owned()
        }
        "clock" => {
            "check the date and time of this machine; if they are right, whoever runs the server has to renew its certificate".to_owned()
        }
        "issuer" => "if a proxy of your network opens TLS, name a file with the certificate of its authority in SSL_CERT_FILE; otherwise do not go on: somebody else may have answered".to_owned(),
        "certificate" => "check which server answers under this name: a proxy, a log-in page of the network or a wrong entry in DNS may be in between".to_owned(),
        "certificate_file" => format!("correct {variable}, or unset it to use the certificates of this machine"),
        _ => return None,
    })
}

fn rate_limit_hint(error: &Error) -> String {
    match error.retry_after() {
        Some(pause) => format!("try again in {}", duration(pause)),
        None => "Mixpanel allows 60 counted queries an hour and 5 at once for a project: try again later".to_owned(),
    }
}

fn tables_hint(error: &Error) -> String {
    let names: Vec<&str> = error
        .detail("available_tables")
        .and_then(serde_json::Value::as_array)
        .map(|names| names.iter().filter_map(serde_json::Value::as_str).collect())
        .unwrap_or_default();
    if names.is_empty() {
        return "`mp inspect tables` lists the tables".to_owned();
    }
    format!("the database has {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
}

fn lock_hint(error: &Error) -> String {
    match error.detail("holding_pid").filter(|pid| !pid.is_null()) {
        Some(pid) => format!("process {} has it open: close it there, or wait", printable(&pid.to_string())),
        None => "another process has it open: close it there, or wait".to_owned(),
    }
}

fn busy_hint(error: &Error) -> String {
    match error.detail("holding_pid").filter(|pid| !pid.is_null()) {
        Some(pid) => format!("wait for process {}, or stop it", printable(&pid.to_string())),
        None => "wait for the process that works on it, or stop it".to_owned(),
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
             hint: the server has trouble: try again later\n"
        );
    }

    #[test]
    fn texts_of_servers_cannot_play_tricks() {
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
        let table = [
            (Error::new(ErrorKind::RunNotFound, "m"), 4, "hint: `mp fetch status` lists the unfinished runs\n"),
            (busy, 1, "hint: wait for process 4711, or stop it\n"),
            (unknown, 1, "hint: another process has it open: close it there, or wait\n"),
            (kept(ErrorKind::Incomplete), 1, ""),
            (kept(ErrorKind::SessionLost), 1, ""),
            (kept(ErrorKind::DiskFull), 1, "hint: make room on the disk first\n"),
            (kept(ErrorKind::Cancelled), 130, ""),
        ];
        for (error, code, hint) in table {
            let failure = Failure::library("could not fetch", &error);
            let expected = format!("error: could not fetch\n  caused by: m\n{hint}");
            assert_eq!((failure.exit.code(), shown(&failure)), (code, expected), "{error:?}");
        }
    }
}
