//! The error type of the library: a kind that says what the caller should do, a message, and the causes.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

mod details;

pub use details::Fault;

/// The result of every fallible call of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error, with a [`kind`](Error::kind) that says what the caller should do about it.
///
/// The message is a lowercase fragment that never repeats its source and never contains a secret or a URL with query
/// values. An error from a fetch means that nothing was loaded; [`run_id`](Error::run_id) is set when a stage with
/// fetched pages remains on disk.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    run_id: Option<String>,
    details: Vec<(&'static str, Value)>,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

/// The kinds of failure, by what the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server rejected the credentials: correct them. Not retried.
    Unauthorized,
    /// The project's plan does not include this API (status 402): a retry cannot help.
    PaymentRequired,
    /// The account may not access this project (status 403): get the permission, or use another project.
    Forbidden,
    /// The requested resource does not exist (status 404): check the region and the ids.
    NotFound,
    /// The server rejected the request as malformed (another 4xx): correct the filter.
    Rejected,
    /// A server limit was reached, and waiting did not help: try again later.
    RateLimited,
    /// The server failed (5xx) on every attempt: try again later.
    ServerError,
    /// The server could not be reached, or the connection broke on every attempt.
    Unreachable,
    /// There are no usable CA certificates: install them, or name a file that contains them. Nothing was sent.
    Tls,
    /// Every attempt received a response that the API does not document.
    UnexpectedReply,
    /// The server lost the session that the pages belong to: fetch again.
    SessionLost,
    /// An argument is wrong: correct it. Nothing was sent.
    InvalidInput,
    /// A sequential fetch of events has too many days: fetch in parallel, or fewer days. Nothing was sent.
    DateRangeTooLarge,
    /// The table exists, and the fetch does not append, upsert or replace.
    TableExists,
    /// The table or its database has changed since the fetch began: check it, then resume the run, which accepts the
    /// table in its current state.
    TableChanged,
    /// The table does not exist.
    TableNotFound,
    /// The database file to read does not exist.
    DatabaseNotFound,
    /// Another process has the database open, or this one has in a way that excludes the call: close it there, or wait.
    /// [`Error::holding_pid`] says which process, and [`Fault::AnotherEngine`] that another library of this one has it
    /// open.
    DatabaseLocked,
    /// The file cannot be used as a database: it is corrupt, not a DuckDB file, or written by a newer version.
    DatabaseUnusable,
    /// The SQL statement failed.
    Query,
    /// The rows violate an index or a constraint of the table: drop the constraint, or load into another table.
    ConstraintViolated,
    /// The disk is full: free some space and resume.
    DiskFull,
    /// The load needs more memory than its budget; [`Error::memory_needed`] says how much.
    OutOfMemory,
    /// Reading or writing a file failed for another reason, such as permissions.
    Storage,
    /// The unfinished run does not exist.
    RunNotFound,
    /// Another process is working on the run: wait for it, or stop it.
    RunBusy,
    /// Pages are missing, and the table was left unchanged because a replacement must be complete.
    Incomplete,
    /// The caller requested a stop.
    Cancelled,
    /// A bug in this library: report it.
    Internal,
}

impl ErrorKind {
    /// Returns the stable error code of this kind: the Python package's code, where it has one.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "AUTH_FAILED",
            Self::RateLimited => "RATE_LIMITED",
            Self::Forbidden | Self::NotFound | Self::Rejected | Self::PaymentRequired | Self::Query => "QUERY_FAILED",
            Self::ServerError => "SERVER_ERROR",
            Self::Unreachable => "HTTP_ERROR",
            Self::Tls => "TLS_ERROR",
            Self::UnexpectedReply | Self::SessionLost => "API_ERROR",
            Self::InvalidInput => "INVALID_INPUT",
            Self::DateRangeTooLarge => "DATE_RANGE_TOO_LARGE",
            Self::TableExists => "TABLE_EXISTS",
            Self::TableChanged => "TABLE_CHANGED",
            Self::TableNotFound => "TABLE_NOT_FOUND",
            Self::DatabaseNotFound => "DATABASE_NOT_FOUND",
            Self::DatabaseLocked => "DATABASE_LOCKED",
            Self::DatabaseUnusable => "DATABASE_UNUSABLE",
            Self::ConstraintViolated => "CONSTRAINT_VIOLATED",
            Self::DiskFull => "DISK_FULL",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::Storage => "STORAGE_ERROR",
            Self::RunNotFound => "RUN_NOT_FOUND",
            Self::RunBusy => "RUN_BUSY",
            Self::Incomplete => "INCOMPLETE",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "UNKNOWN_ERROR",
        }
    }
}

impl Error {
    /// Creates an error of `kind` with a lowercase message that names what failed and why.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), run_id: None, details: Vec::new(), source: None }))
    }

    /// Adds the cause. The message must not repeat its text.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync + 'static>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds a field to [`details`](Error::details).
    #[must_use]
    pub fn with_detail(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.details.push((name, value.into()));
        self
    }

    /// Sets the run whose stage remains on disk.
    #[must_use]
    pub fn with_run_id(mut self, run_id: impl Into<String>) -> Self {
        self.0.run_id = Some(run_id.into());
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the run whose fetched pages remain on disk, if any.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.0.run_id.as_deref()
    }

    /// Returns the message without its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns one field of [`details`](Error::details).
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&Value> {
        self.0.details.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Returns the extra fields of this error as a JSON object, such as `table_name` or `status_code`.
    #[must_use]
    pub fn details(&self) -> Value {
        let fields = self.0.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Object(fields.collect())
    }

    /// Returns the error as a JSON object: `{code, message, details}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "code": self.0.kind.code(), "message": self.0.message, "details": self.details() })
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Creates an error for an I/O failure on `path` while doing `what` ("write", "create").
    pub(crate) fn io(what: &str, path: &Path, source: std::io::Error) -> Self {
        let kind = if matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            ErrorKind::DiskFull
        } else {
            ErrorKind::Storage
        };
        let error = Self::new(kind, format!("cannot {what} `{}`", path.display())).with_path(path);
        let error = match source.raw_os_error() {
            Some(number) => error.with_detail("os_error", number),
            None => error,
        };
        error.with_source(source)
    }

    pub(crate) fn with_path(self, path: &Path) -> Self {
        self.with_detail("path", path.display().to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("run_id", &self.0.run_id)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
