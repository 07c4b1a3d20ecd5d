//! Hints for library errors, by kind and by the purpose of the command, so that a hint never mentions an option that
//! was not given.

use mixpanel_data::{Error, ErrorKind, Fault};
use rustix::io::Errno;

use crate::cli::{AuthCommand, Command, FetchCommand, FetchProfilesArgs};
use crate::os_error::{errno_of, file_hint};
use crate::text::duration;

const REGION_AND_PROJECT: &str = "check the region (us, eu or in) and the project id";

const IN_BETWEEN: &str = "Mixpanel's API answers otherwise, so a proxy, a firewall or the log-in page of a network has probably answered: ask the administrator of the network, or try it from another one";

/// The purpose of a command, where hints depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Uses only local files.
    Local,
    /// Tests credentials.
    Test,
    /// Starts a fetch.
    Fetch(Asked),
    /// Resumes a fetch.
    Resume,
}

/// The parts of a fetch's query that the server may reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Everything,
    /// No filters, but options that become part of the request.
    Options,
    Filters,
}

impl Purpose {
    pub(crate) fn of(command: Option<&Command>) -> Self {
        match command {
            Some(Command::Auth(AuthCommand::Test { .. })) => Self::Test,
            Some(Command::Fetch(FetchCommand::Profiles(arguments))) => Self::Fetch(asked(arguments)),
            Some(Command::Fetch(FetchCommand::Resume(_))) => Self::Resume,
            _ => Self::Local,
        }
    }
}

fn asked(arguments: &FetchProfilesArgs) -> Asked {
    if !arguments.filters.are_none() {
        Asked::Filters
    } else if arguments.page_size.is_some() || arguments.since.is_some() {
        Asked::Options
    } else {
        Asked::Everything
    }
}

/// Returns the hint for an error, by its kind. There is none if the message is sufficient. If pages are on disk, the
/// caller adds the hint to resume.
pub(crate) fn hint_of(error: &Error, purpose: Purpose) -> Option<String> {
    if let Some(hint) = error.fault().and_then(|fault| fault_hint(fault, error)) {
        return Some(hint);
    }
    let pages_remain = error.run_id().is_some();
    let hint = match error.kind() {
        ErrorKind::SessionLost | ErrorKind::Incomplete if pages_remain => return None,
        ErrorKind::DiskFull if errno_of(error) == Some(Errno::DQUOT) => return file_hint(Errno::DQUOT),
        ErrorKind::DiskFull if pages_remain => "make room on the disk first",
        ErrorKind::ServerError if pages_remain => "the server has trouble: go on later",
        ErrorKind::Unauthorized if purpose == Purpose::Test => {
            "check the user name, the secret, the project id and the region; a service account needs a role in the project"
        }
        ErrorKind::Unauthorized => {
            "check the user name, the secret and the region, then try `mp auth test`; a service account needs a role in the project"
        }
        ErrorKind::PaymentRequired => "the project's plan does not include this API: ask its owner",
        ErrorKind::Forbidden => {
            "give the service account a role in this project, in the project's settings, or name another project"
        }
        ErrorKind::NotFound if purpose == Purpose::Fetch(Asked::Filters) => {
            "check the region (us, eu or in), the project id, and the ids that the filter names"
        }
        ErrorKind::NotFound => REGION_AND_PROJECT,
        ErrorKind::Rejected => rejection_hint(error, purpose),
        ErrorKind::RateLimited => return Some(rate_limit_hint(error)),
        ErrorKind::ServerError => "the server has trouble: try again later",
        ErrorKind::Unreachable => "check the network, and HTTPS_PROXY if there is a proxy; the region decides the host",
        ErrorKind::UnexpectedReply => {
            "if it stays so, something between this machine and Mixpanel may be answering, such as a proxy or a log-in page of the network"
        }
        ErrorKind::SessionLost => "run the same command again",
        ErrorKind::TableExists if purpose == Purpose::Resume => {
            "use `--append` to add to it, `--upsert` to replace older profiles as well, or `--replace` to replace it"
        }
        ErrorKind::TableExists => {
            "use `--append` to add to it, `--replace` to replace it once the new one is complete, or another table name"
        }
        ErrorKind::TableNotFound => return Some(tables_hint(error)),
        ErrorKind::DatabaseNotFound => "fetch first with `mp fetch profiles`, or name another file with `--db`",
        ErrorKind::DatabaseLocked => return Some(lock_hint(error)),
        ErrorKind::DatabaseUnusable => {
            "name another database with `--db`; keep this file as it is, together with its `.wal` file if it has one"
        }
        ErrorKind::DiskFull if purpose == Purpose::Local => "make room on the disk",
        ErrorKind::DiskFull => "make room, or name a file on another disk with `--db`; then run the same command again",
        ErrorKind::Tls => {
            "install the certificates of the authorities, such as the package `ca-certificates`, or name a file that has them in SSL_CERT_FILE"
        }
        ErrorKind::Storage => return Some(storage_hint(error, purpose)),
        ErrorKind::ConstraintViolated => "drop the index or constraint of the table that says so, then load again",
        ErrorKind::Incomplete => "run the same command again for a complete table",
        ErrorKind::InvalidInput if error.difference().is_some() => {
            "a run knows its own filters, so leave them out to go on with it, or give it up with `mp fetch discard`"
        }
        ErrorKind::RunNotFound => "`mp fetch status` lists the unfinished runs",
        ErrorKind::RunBusy => return Some(busy_hint(error)),
        ErrorKind::Internal => "this is a bug: please report it with the output of the same command and `--verbose`",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Names the most common causes if the cause is unknown.
fn storage_hint(error: &Error, purpose: Purpose) -> String {
    let hint = errno_of(error).and_then(file_hint);
    hint.unwrap_or_else(|| match purpose {
        Purpose::Local => "check with `ls -ld` that you may read the file and write to its directory".to_owned(),
        _ => {
            "check that the directory exists and that you may write to it, or name another file with `--db`".to_owned()
        }
    })
}

/// Returns the hint for a rejected request. It only mentions what the user has given.
fn rejection_hint(error: &Error, purpose: Purpose) -> &'static str {
    let filtered = purpose == Purpose::Fetch(Asked::Filters);
    match error.status_code() {
        Some(413 | 414 | 431 | 494) if filtered => {
            "ask for less at a time: fewer ids or properties, or a shorter filter"
        }
        Some(410 | 426) => "Mixpanel does not offer this any more: look for a newer version of mp",
        Some(451) => "a law or a filter of the network is in the way: ask the administrator of the network",
        None | Some(400 | 422) => match purpose {
            Purpose::Fetch(Asked::Filters) => "correct the filter; `mp fetch profiles --help` shows the accepted forms",
            Purpose::Fetch(Asked::Options) => "try it without `--page-size` and `--since`",
            Purpose::Fetch(Asked::Everything) => {
                "no filter was given, so check the region (us, eu or in) and the project id; `mp auth test` tries them alone"
            }
            Purpose::Resume => {
                "a run keeps the filters that it began with; `mp fetch profiles` begins another one with others"
            }
            Purpose::Test | Purpose::Local => REGION_AND_PROJECT,
        },
        Some(_) => IN_BETWEEN,
    }
}

/// Returns the hint for an error that names a fault.
fn fault_hint(fault: Fault, error: &Error) -> Option<String> {
    let variable = error.variable().unwrap_or("HTTPS_PROXY");
    Some(match fault {
        Fault::ProxySetting if variable.eq_ignore_ascii_case("NO_PROXY") => {
            format!("correct {variable}, such as `localhost,.example.org`, or unset it")
        }
        Fault::ProxySetting => format!(
            "correct {variable}, such as `http://user:password@proxy.example.org:3128`, or unset it if no proxy is needed; in a user name or password `@` is written %40, `:` %3A and `/` %2F"
        ),
        Fault::Proxy => "check that the proxy is running and may connect to Mixpanel, and its setting (HTTPS_PROXY, ALL_PROXY, NO_PROXY)".to_owned(),
        Fault::ProxyCredentials => {
            "check the user name and password in the proxy's setting; `@` is written %40 there, `:` %3A and `/` %2F".to_owned()
        }
        Fault::Clock => {
            "check the date and time of this machine; if they are right, whoever runs the server has to renew its certificate".to_owned()
        }
        Fault::Issuer => "if a proxy of your network opens TLS, name a file with the certificate of its authority in SSL_CERT_FILE; otherwise do not go on: somebody else may have answered".to_owned(),
        Fault::Certificate => "check which server answers under this name: a proxy, a log-in page of the network or a wrong entry in DNS may be in between".to_owned(),
        Fault::NetworkLogin => "open any web page in a browser to log in to the network".to_owned(),
        Fault::InBetween => IN_BETWEEN.to_owned(),
        Fault::LocalNames => "write `socks5h://` instead of `socks5://` in the proxy's setting: then the proxy resolves names".to_owned(),
        Fault::PageSize => "ask for fewer profiles a page with `--page-size`".to_owned(),
        Fault::CertificateFile => format!("correct {variable}, or unset it to use the certificates of this machine"),
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
    let names = error.available_tables().unwrap_or_default();
    if names.is_empty() {
        return "`mp inspect tables` lists the tables".to_owned();
    }
    format!("the database has {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
}

fn lock_hint(error: &Error) -> String {
    match error.holding_pid() {
        Some(pid) => format!("process {pid} has it open: close it there, or wait"),
        None => "another process has it open: close it there, or wait".to_owned(),
    }
}

fn busy_hint(error: &Error) -> String {
    match error.holding_pid() {
        Some(pid) => format!("wait for process {pid}, or stop it"),
        None => "wait for the process that works on it, or stop it".to_owned(),
    }
}
