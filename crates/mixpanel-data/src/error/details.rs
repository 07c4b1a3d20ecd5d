//! Typed access to the error fields that depend on the kind.

use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;

/// What needs to be corrected, in more detail than the error kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// The proxy, or its setting.
    Proxy,
    /// The proxy setting, which is invalid; [`Error::variable`] names it.
    ProxySetting,
    /// The user name or password in the proxy setting.
    ProxyCredentials,
    /// The region of the credentials.
    Region,
    /// The clock of this machine, or a certificate that has expired or is not yet valid.
    Clock,
    /// The set of trusted certificate authorities.
    Issuer,
    /// The server's certificate, or the server that presented it.
    Certificate,
    /// The file or directory of certificates that [`Error::variable`] names.
    CertificateFile,
    /// The network requires a login.
    NetworkLogin,
    /// An intermediary that answered instead of Mixpanel.
    Intermediary,
    /// Name resolution: this machine resolves host names for a proxy that could resolve them itself.
    NameResolution,
    /// The requested number of profiles per page.
    PageSize,
    /// The clock of this machine or the time zone of the project: the server says that a day is in the future.
    FutureDay,
    /// The query, which accesses files; it may access only the database.
    FileAccess,
    /// The key for hashing properties, which is missing or is not that of the run or the table.
    HashKey,
    /// The properties to drop or hash, which are not those of the table's last load; see
    /// [`Error::dropped_properties`] and [`Error::hashed_properties`].
    PropertyRules,
    /// The database file, which is damaged by an interrupted write and must be writable to be repaired.
    InterruptedWrite,
    /// The write-ahead log of a database that is gone, which DuckDB would apply to a new one; [`Error::path`] is the log.
    StrayLog,
    /// A file whose name this library needs for its own file; [`Error::path`] names it.
    NameTaken,
    /// Another library in this process, such as the `duckdb` module of Python, which has the database open: close its
    /// connection. [`Error::holding_pid`] is this process.
    AnotherEngine,
}

impl Error {
    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        self.with_detail("fault", serde_json::to_value(fault).unwrap_or_default())
    }

    /// Returns what needs to be corrected, if known.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        Fault::deserialize(self.detail("fault")?).ok()
    }

    /// Returns the name of the environment variable that has an unusable value.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        self.text("variable")
    }

    /// Returns the path that the error concerns, if any.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.text("path").map(PathBuf::from)
    }

    /// Returns the operating system's error number (`errno`), if a file or a device failed.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        self.detail("os_error").and_then(Value::as_i64).and_then(|number| number.try_into().ok())
    }

    /// Returns the status code of the server's response.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        self.number("status_code").and_then(|status| status.try_into().ok())
    }

    /// Returns how many days of events the project keeps, if a request went back further than that.
    #[must_use]
    pub fn history_days(&self) -> Option<u32> {
        self.number("max_history_days").and_then(|days| days.try_into().ok())
    }

    /// Returns the first day that a fetch of events can request, if it went back further than the project's history.
    #[must_use]
    pub fn first_day(&self) -> Option<Date> {
        self.text("first_day").and_then(|day| day.parse().ok())
    }

    /// Returns how long to wait before retrying, for `RateLimited`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.detail("retry_after").and_then(Value::as_f64).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// Returns the id of the process that has the database open or is working on the run, if known, for
    /// `DatabaseLocked` and `RunBusy`. It can be this process.
    #[must_use]
    pub fn holding_pid(&self) -> Option<u32> {
        self.number("holding_pid").and_then(|pid| pid.try_into().ok())
    }

    /// Returns the tables that exist, for `TableNotFound`.
    #[must_use]
    pub fn available_tables(&self) -> Option<Vec<&str>> {
        let tables = self.detail("available_tables")?.as_array()?;
        Some(tables.iter().filter_map(Value::as_str).collect())
    }

    /// Returns what differs between a run and the request to resume it, such as `project` or a filter, for
    /// `InvalidInput`.
    #[must_use]
    pub fn difference(&self) -> Option<&str> {
        self.text("difference")
    }

    /// Returns the properties that the table's last load dropped, for [`Fault::PropertyRules`].
    #[must_use]
    pub fn dropped_properties(&self) -> Vec<&str> {
        self.texts("dropped")
    }

    /// Returns the properties that the table's last load hashed, for [`Fault::PropertyRules`].
    #[must_use]
    pub fn hashed_properties(&self) -> Vec<&str> {
        self.texts("hashed")
    }

    /// Returns whether the table has no load of events that a fetch could continue, such as one of the Python package,
    /// for `TableExists`.
    #[must_use]
    pub fn has_no_load(&self) -> bool {
        self.detail("has_no_load").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns the rule for duplicates with which the table was loaded, as [`Dedupe`](crate::Dedupe) displays it, if a
    /// fetch has another one.
    #[must_use]
    pub fn dedupe(&self) -> Option<&str> {
        self.text("dedupe")
    }

    /// Returns the number of pages that remain staged, if any.
    #[must_use]
    pub fn staged_pages(&self) -> Option<u64> {
        self.number("staged_pages")
    }

    /// Returns how many of the announced profiles are missing, for `Incomplete`.
    #[must_use]
    pub fn shortfall(&self) -> Option<u64> {
        self.number("shortfall")
    }

    /// Returns the number of rows in the table that was kept because its replacement is empty, for `Incomplete`.
    #[must_use]
    pub fn emptied_rows(&self) -> Option<u64> {
        self.number("emptied_rows")
    }

    /// Returns whether the table was loaded after the run began, so that resuming it could replace newer records by older
    /// ones; see [`ResumeFetch::replace_newer`](crate::ResumeFetch::replace_newer).
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.detail("superseded").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns what the caller chose to do with the existing table, as [`IfExists`](crate::IfExists) is serialized, if a
    /// run was not resumed because [its table is newer](Self::is_superseded).
    #[must_use]
    pub fn resumed_with(&self) -> Option<&str> {
        self.text("resumed_with")
    }

    /// Returns whether the run fetches only profiles seen since the table's last load, for `TableChanged`.
    #[must_use]
    pub fn is_of_update(&self) -> bool {
        self.detail("since").is_some()
    }

    /// Returns a sufficient memory budget in bytes, for `OutOfMemory`.
    #[must_use]
    pub fn memory_needed(&self) -> Option<u64> {
        let megabytes: u64 = self.text("memory_needed")?.strip_suffix("MB")?.parse().ok()?;
        megabytes.checked_mul(1_000_000)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.detail(name).and_then(Value::as_str)
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.detail(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.detail(name).and_then(Value::as_u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn details_keep_their_names_and_have_types() {
        let error = Error::new(ErrorKind::Tls, "m")
            .with_fault(Fault::CertificateFile)
            .with_detail("holding_pid", Value::Null)
            .with_detail("memory_needed", "600MB")
            .with_detail("retry_after", 1.5)
            .with_detail("since", Value::Null);
        assert_eq!(error.detail("fault"), Some(&Value::from("certificate_file")));
        assert_eq!(error.fault(), Some(Fault::CertificateFile));
        assert_eq!((error.holding_pid(), error.memory_needed()), (None, Some(600_000_000)));
        assert!(error.is_of_update());
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1_500)));
        for seconds in [-1.0, 1e300] {
            assert_eq!(Error::new(ErrorKind::RateLimited, "m").with_detail("retry_after", seconds).retry_after(), None);
        }
        assert_eq!(Error::new(ErrorKind::Tls, "m").fault(), None);
    }
}
