//! What to load, into which table, and how.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use super::load_stop::LoadStop;
use super::seen::{Found, Seen};
use crate::error::Error;
use crate::load::package::{LoadKind, LoadPackage};
use crate::profile_query::{IfExists, MissingPages};
use crate::store::table_name::TableName;

/// A request to load a package into a database.
#[derive(Debug)]
pub(crate) struct LoadRequest {
    /// The database; created if missing, with its parent directories.
    pub(crate) database: PathBuf,
    pub(crate) package: LoadPackage,
    pub(crate) options: LoadOptions,
}

/// The options of a load.
#[derive(Debug)]
pub(crate) struct LoadOptions {
    /// The table.
    pub(crate) table: TableName,
    /// What to do if it exists.
    pub(crate) if_exists: IfExists,
    /// The state of the database before the first request. The load fails if it has changed in a way that matters.
    pub(crate) seen: Option<Seen>,
    /// Whether a table may be replaced by one that lacks pages.
    pub(crate) missing: MissingPages,
    /// Whether a table with rows may be replaced by an empty one.
    pub(crate) allow_empty: bool,
    /// How long to wait for another process that has the database open.
    pub(crate) lock_wait: Duration,
    /// The memory that the process may use, in bytes.
    pub(crate) memory: u64,
    /// Stops the load from another thread before its commit.
    pub(crate) stop: LoadStop,
}

impl LoadRequest {
    /// Returns whether the load makes a table of the staged rows alone.
    pub(super) fn makes_table(&self) -> bool {
        let is_new = || self.options.seen.as_ref().is_none_or(|seen| seen.found == Found::Nothing);
        self.package.kind == LoadKind::First && (self.options.if_exists == IfExists::Replace || is_new())
    }

    /// Returns whether the load replaces an existing table, whichever run created it.
    pub(super) fn replaces(&self) -> bool {
        self.options.if_exists == IfExists::Replace && self.package.kind == LoadKind::First
    }
}

/// Called while another process has the database open, with the error that names that process; can end the wait.
pub(crate) type OnLockWait<'a> = dyn FnMut(&Error) -> ControlFlow<()> + 'a;
