//! Hints for library errors. They depend on the error's kind and on the command's purpose, so that a hint never blames
//! a filter or an option that was not given.

use mixpanel_data::{Error, ErrorKind, Fault};
use rustix::io::Errno;

use crate::cli::{AuthCommand, Command, FetchCommand, FetchEventsArgs, FetchProfilesArgs};
use crate::os_error::{errno_of, file_hint};
use crate::text::{duration, shell_quoted};

const REGION_AND_PROJECT: &str = "check the region (us, eu or in) and the project id";

const INTERMEDIARY_HINT: &str = "Mixpanel's API does not respond like this, but a proxy, a firewall or a network login page may: try another network, or ask your network administrator";

/// The purpose of a command, which determines its hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Uses only local files.
    Local,
    /// Tests credentials.
    Test,
    /// Starts a fetch.
    Fetch(QueryParts),
    /// Starts a fetch of events.
    FetchEvents(QueryParts),
    /// Starts a fetch of a sample of events.
    FetchSample(QueryParts),
    /// Resumes a fetch.
    Resume,
    /// Resumes a fetch of events.
    ResumeEvents,
}

/// The parts of a fetch's query that the server may reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryParts {
    Everything,
    /// No filters, but options that become part of the request.
    Options,
    Filters,
}

impl Purpose {
    pub(crate) fn of(command: Option<&Command>) -> Self {
        match command {
            Some(Command::Auth(AuthCommand::Test { .. } | AuthCommand::Add(_) | AuthCommand::Edit(_))) => Self::Test,
            Some(Command::Fetch(FetchCommand::Profiles(arguments))) => Self::Fetch(query_parts(arguments)),
            Some(Command::Fetch(FetchCommand::Events(arguments))) => {
                let parts = event_query_parts(arguments);
                if arguments.filters.limit.is_some() { Self::FetchSample(parts) } else { Self::FetchEvents(parts) }
            }
            Some(Command::Fetch(FetchCommand::Resume(_))) => Self::Resume,
            _ => Self::Local,
        }
    }

    /// Returns whether the command starts a fetch of events.
    pub(crate) fn is_new_fetch_of_events(self) -> bool {
        matches!(self, Self::FetchEvents(_) | Self::FetchSample(_))
    }
}

fn query_parts(arguments: &FetchProfilesArgs) -> QueryParts {
    if !arguments.filters.are_none() {
        QueryParts::Filters
    } else if arguments.page_size.is_some() || arguments.since.is_some() {
        QueryParts::Options
    } else {
        QueryParts::Everything
    }
}

fn event_query_parts(arguments: &FetchEventsArgs) -> QueryParts {
    match arguments.filters.filter.is_some() || !arguments.filters.events.is_empty() {
        true => QueryParts::Filters,
        false => QueryParts::Everything,
    }
}

/// Returns the hint for an error, or `None` if the message is sufficient. If pages are on disk, the caller adds the
/// hint to resume.
pub(crate) fn hint_of(error: &Error, purpose: Purpose) -> Option<String> {
    if let Some(hint) = error.fault().and_then(|fault| fault_hint(fault, error)) {
        return Some(hint);
    }
    let pages_remain = error.run_id().is_some();
    let hint = match error.kind() {
        ErrorKind::SessionLost | ErrorKind::Incomplete if pages_remain => return None,
        ErrorKind::DiskFull if errno_of(error) == Some(Errno::DQUOT) => return file_hint(Errno::DQUOT),
        ErrorKind::DiskFull if pages_remain => "free up disk space first",
        ErrorKind::ServerError if pages_remain => "the server has a problem: resume later",
        ErrorKind::Unauthorized if purpose == Purpose::Test => {
            "check the user name, the secret, the project id and the region; a service account needs a role in the project"
        }
        ErrorKind::Unauthorized => {
            "check the user name, the secret and the region, then run `mp auth test`; a service account needs a role in the project"
        }
        ErrorKind::PaymentRequired => "the project's plan does not include this API: contact the project owner",
        ErrorKind::Forbidden => "give the service account a role in the project's settings, or use another project",
        ErrorKind::NotFound if purpose == Purpose::Fetch(QueryParts::Filters) => {
            "check the region (us, eu or in), the project id, and the ids in the filter"
        }
        ErrorKind::NotFound => REGION_AND_PROJECT,
        ErrorKind::Rejected if error.history_days().is_some() => {
            "the project's plan or settings limit its history: request only later days"
        }
        ErrorKind::Rejected => rejection_hint(error, purpose),
        ErrorKind::RateLimited => return Some(rate_limit_hint(error, purpose)),
        ErrorKind::ServerError => "the server has a problem: try again later",
        ErrorKind::Unreachable => {
            "check the network connection, HTTPS_PROXY if you use a proxy, and the region, which selects the host"
        }
        ErrorKind::UnexpectedReply => {
            "if this persists, a proxy or a network login page may be answering instead of Mixpanel"
        }
        ErrorKind::SessionLost => "run the same command again",
        ErrorKind::TableExists if error.has_no_load() && purpose.is_new_fetch_of_events() => {
            "fetch once with `--from`, `--to` and `--append` to add the events that the table does not have, or with `--replace` to replace it; or use another table name"
        }
        ErrorKind::TableExists if purpose.is_new_fetch_of_events() => {
            "use `--since last` to bring the table up to date, `--append` to add events that it does not have, `--replace` to replace the table, or another table name"
        }
        ErrorKind::DateRangeTooLarge if matches!(purpose, Purpose::FetchSample(_)) => {
            "use fewer days: `--limit` sends one request"
        }
        ErrorKind::DateRangeTooLarge => "use `--parallel`, which has no limit, or fewer days",
        ErrorKind::TableExists if purpose == Purpose::Resume => {
            "use `--append` to add new profiles, `--upsert` to also update existing ones, or `--replace` to replace the table"
        }
        ErrorKind::TableExists if purpose == Purpose::ResumeEvents => {
            "use `--append` to add events that the table does not have, or `--replace` to replace the table"
        }
        ErrorKind::TableExists => {
            "use `--append` to add new profiles, `--replace` to replace the table, or another table name"
        }
        ErrorKind::TableNotFound => return Some(tables_hint(error)),
        ErrorKind::OutOfMemory if errno_of(error) == Some(Errno::NOMEM) => return file_hint(Errno::NOMEM),
        ErrorKind::OutOfMemory if error.memory_needed().is_none() => {
            "use a larger memory budget, such as `--memory 1GB`"
        }
        ErrorKind::DatabaseNotFound => {
            "run `mp fetch profiles` or `mp fetch events` first, or specify another file with `--db`"
        }
        ErrorKind::DatabaseLocked => return Some(lock_hint(error)),
        ErrorKind::DatabaseUnusable if error.path().is_some_and(|path| path.is_dir()) => {
            "specify a file with `--db`, such as one in this directory"
        }
        ErrorKind::DatabaseUnusable => {
            "specify another database with `--db`; leave this file and its `.wal` file, if any, unchanged"
        }
        ErrorKind::DiskFull if purpose == Purpose::Local => "free up disk space",
        ErrorKind::DiskFull => {
            "free up disk space, or specify a file on another disk with `--db`, then run the command again"
        }
        ErrorKind::Tls => {
            "install CA certificates, such as the package `ca-certificates`, or set SSL_CERT_FILE to a file that contains them"
        }
        ErrorKind::Storage => return Some(storage_hint(error, purpose)),
        ErrorKind::ConstraintViolated => "drop the violated index or constraint, then load again",
        ErrorKind::Incomplete => "run the same command again to get a complete table",
        ErrorKind::InvalidInput if error.difference().is_some() => {
            "omit the filters to resume the run with its own, or discard the run with `mp fetch discard`"
        }
        ErrorKind::InvalidInput if let Some(rule) = error.dedupe() => {
            return Some(format!("use `--dedupe {rule}`, or replace the table with `--replace`"));
        }
        ErrorKind::RunNotFound => "`mp fetch status` lists the unfinished runs",
        ErrorKind::RunBusy => return Some(busy_hint(error)),
        ErrorKind::Internal => {
            "this is a bug: please report it with the output of the same command run with `--verbose`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns the hint for a storage error. Without an OS error number, it names the most common causes.
fn storage_hint(error: &Error, purpose: Purpose) -> String {
    let hint = errno_of(error).and_then(file_hint);
    hint.unwrap_or_else(|| match purpose {
        Purpose::Local => "check with `ls -ld` that the file is readable and its directory is writable".to_owned(),
        _ => "check that the directory exists and is writable, or specify another file with `--db`".to_owned(),
    })
}

/// Returns the hint for a rejected request. It mentions filters and options only if they were given.
fn rejection_hint(error: &Error, purpose: Purpose) -> &'static str {
    let filtered = purpose == Purpose::Fetch(QueryParts::Filters);
    let filters_events =
        matches!(purpose, Purpose::FetchEvents(QueryParts::Filters) | Purpose::FetchSample(QueryParts::Filters));
    match error.status_code() {
        Some(413 | 414 | 431 | 494) if filtered => "request less: fewer ids or properties, or a shorter filter",
        Some(413 | 414 | 431 | 494) if filters_events => {
            "the request is too long: use a shorter `--where` expression, or fewer names in `--events`"
        }
        Some(410 | 426) => "Mixpanel no longer offers this: check for a newer version of mp",
        Some(451) => "the request is blocked for legal reasons or by a network filter: ask your network administrator",
        None | Some(400 | 422) => match purpose {
            Purpose::Fetch(QueryParts::Filters) => {
                "correct the filter; `mp fetch profiles --help` shows the accepted forms"
            }
            Purpose::FetchEvents(QueryParts::Filters) | Purpose::FetchSample(QueryParts::Filters) => {
                "correct the filter or the event names; `mp fetch events --help` shows the accepted forms"
            }
            Purpose::Fetch(QueryParts::Options) => "try without `--page-size` and `--since`",
            Purpose::Fetch(QueryParts::Everything) | Purpose::FetchEvents(_) | Purpose::FetchSample(_) => {
                "no filter was given, so check the region (us, eu or in) and the project id with `mp auth test`"
            }
            Purpose::Resume => {
                "a run keeps its original filters; `mp fetch profiles` starts a new one with other filters"
            }
            Purpose::ResumeEvents => {
                "a run keeps its original filters; `mp fetch events` starts a new one with other filters"
            }
            Purpose::Test | Purpose::Local => REGION_AND_PROJECT,
        },
        Some(_) => INTERMEDIARY_HINT,
    }
}

/// Returns the hint for an error with a known fault.
fn fault_hint(fault: Fault, error: &Error) -> Option<String> {
    let variable = error.variable().unwrap_or("HTTPS_PROXY");
    Some(match fault {
        Fault::ProxySetting if variable.eq_ignore_ascii_case("NO_PROXY") => {
            format!("set {variable} to a list such as `localhost,.example.org`, or unset it")
        }
        Fault::ProxySetting => format!(
            "set {variable} to a URL such as `http://user:password@proxy.example.org:3128`, or unset it if no proxy is needed; in the user name and password, write `@` as %40, `:` as %3A and `/` as %2F"
        ),
        Fault::Proxy => "check that the proxy is running and allows connections to Mixpanel, and check HTTPS_PROXY, ALL_PROXY and NO_PROXY".to_owned(),
        Fault::ProxyCredentials => {
            "check the user name and password in the proxy URL; write `@` as %40, `:` as %3A and `/` as %2F".to_owned()
        }
        Fault::Clock => {
            "check the date and time of this machine; if they are correct, the server's certificate must be renewed".to_owned()
        }
        Fault::Issuer => "if a proxy in your network intercepts TLS, set SSL_CERT_FILE to a file with its CA certificate; otherwise stop: another server may be impersonating Mixpanel".to_owned(),
        Fault::Certificate => "check which server answers at this name: a proxy, a network login page or a wrong DNS entry may be in between".to_owned(),
        Fault::NetworkLogin => "open any web page in a browser to log in to the network".to_owned(),
        Fault::Intermediary => INTERMEDIARY_HINT.to_owned(),
        Fault::NameResolution => "use `socks5h://` instead of `socks5://` in the proxy URL, so that the proxy resolves names".to_owned(),
        Fault::FutureDay => "check the date and time of this machine; if the project was created before 2023, check its time zone and give it with `--project-timezone`".to_owned(),
        Fault::PageSize => "request fewer profiles per page with `--page-size`".to_owned(),
        Fault::FileAccess => "a query can access only the database: to write its result to a file, use `--output FILE`; to write a whole table, `mp export TABLE FILE`".to_owned(),
        Fault::HashKey if is_of_run(error) => "set MP_HASH_KEY to that key, or `hash_key_file` under `[defaults]` in the config file; without it, `--accept-partial` loads the pages fetched so far".to_owned(),
        Fault::HashKey => "set MP_HASH_KEY to that key, or `hash_key_file` under `[defaults]` in the config file; or reload the table with `--replace`".to_owned(),
        Fault::PropertyRules => property_rules_hint(error),
        Fault::InterruptedWrite => {
            "copy the database, with its `.undo` file and its `.wal` file, if any, to a writable directory and specify the copy with `--db`, or make the original writable".to_owned()
        }
        Fault::StrayLog => "if the database was moved, move the log along; if it was deleted, rename the log; or specify another file with `--db`".to_owned(),
        Fault::NameTaken => "rename that file, or specify another database with `--db`".to_owned(),
        Fault::CertificateFile => format!("correct {variable}, or unset it to use the system's certificates"),
        _ => return None,
    })
}

/// Returns whether the key is that of an unfinished run, not of a table.
fn is_of_run(error: &Error) -> bool {
    error.run_id().is_some() && error.hashed_properties().is_empty()
}

/// Returns the hint for a table whose last load dropped or hashed other properties: the options of that load.
fn property_rules_hint(error: &Error) -> String {
    let option = |option: &str, names: &[&str]| {
        (!names.is_empty()).then(|| format!("{option} {}", shell_quoted(&name_list(names))))
    };
    let options = [option("--drop", &error.dropped_properties()), option("--hash", &error.hashed_properties())];
    let options: Vec<String> = options.into_iter().flatten().collect();
    if options.is_empty() {
        return "omit `--drop` and `--hash` (and `drop` and `hash` in the config file), or reload the table with `--replace`"
            .to_owned();
    }
    format!("use `{}` as that load did, or reload the table with `--replace`", options.join(" "))
}

/// Writes names as an option takes them: separated by commas, and in quotes if they contain one.
pub(crate) fn name_list(names: &[&str]) -> String {
    let quoted = names.iter().map(|name| match name.contains([',', '"']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => (*name).to_owned(),
    });
    quoted.collect::<Vec<_>>().join(",")
}

fn rate_limit_hint(error: &Error, purpose: Purpose) -> String {
    match error.retry_after() {
        Some(pause) => format!("try again in {}", duration(pause)),
        None if purpose.is_new_fetch_of_events() || purpose == Purpose::ResumeEvents => {
            "Mixpanel allows 60 exports per hour and project: try again later".to_owned()
        }
        None => "Mixpanel allows 60 counted queries per hour and 5 at a time per project: try again later".to_owned(),
    }
}

fn tables_hint(error: &Error) -> String {
    let names = error.available_tables().unwrap_or_default();
    if names.is_empty() {
        return "`mp inspect tables` lists the tables".to_owned();
    }
    format!("existing tables: {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
}

fn lock_hint(error: &Error) -> String {
    let suggestion = error.detail("suggestion").and_then(serde_json::Value::as_str);
    match error.holding_pid() {
        // This command cannot be told to close the file itself.
        Some(pid) if pid == std::process::id() => suggestion.unwrap_or("try again").to_owned(),
        Some(pid) => format!("process {pid} has it open: close it there, or wait"),
        None => "another process has it open: close it there, or wait".to_owned(),
    }
}

fn busy_hint(error: &Error) -> String {
    match error.holding_pid() {
        Some(pid) => format!("wait for process {pid}, or stop it"),
        None => "wait for the process that is working on it, or stop it".to_owned(),
    }
}
