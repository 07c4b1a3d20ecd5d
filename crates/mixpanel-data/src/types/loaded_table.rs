//! What the result of every fetch says about its table.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// What the result of every fetch says about its table, whatever the mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LoadedTable {
    /// The database file, as an absolute path. In JSON, bytes that are not UTF-8 are replaced.
    #[serde(serialize_with = "as_text")]
    pub database: PathBuf,
    /// All rows in the table after the load.
    pub table_rows: u64,
    /// How many of the result's `rows` replaced older rows of the table; the others are new. `None` if unknown: for an
    /// upsert that was loaded in several steps, for a completed append of events, and for a load that an earlier
    /// process committed.
    pub updated_rows: Option<u64>,
    /// Fetched profiles that are not in the table because it keeps its own row with the same id; `None` if unknown, as
    /// above. They are also among the `duplicates`.
    pub unchanged_rows: Option<u64>,
    /// The page among the failed ones of which it is unknown whether it exists: nothing announced it, and the fetch
    /// ended before it could be requested, or its requests failed.
    pub unchecked_page: Option<u32>,
    /// Seconds that the whole run waited, including earlier processes: like `waited_seconds`, which covers this process
    /// only. Waits of earlier processes for the database are not included.
    pub run_waited_seconds: f64,
}

pub(super) fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
