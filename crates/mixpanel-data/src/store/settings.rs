//! DuckDB's settings for writing.

use crate::limits::ROW_GROUP_ROWS;

/// How an attempt at a load uses memory. An attempt that runs out of memory is retried with the next effort, which is
/// slower or uses more of the process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// All threads, and row groups of the best size.
    Usual,
    /// One thread, which writes each row group immediately and never merges small ones.
    Frugal,
    /// Like `Frugal`, with all the memory that the process can spare.
    Last,
}

impl Effort {
    /// Returns the next effort to try.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::Usual => Some(Self::Frugal),
            Self::Frugal => Some(Self::Last),
            Self::Last => None,
        }
    }
}

/// DuckDB's resource settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuning {
    /// DuckDB's memory limit, in megabytes. Its actual use is somewhat higher.
    pub(crate) memory_mb: u64,
    pub(crate) threads: u32,
    /// The number of rows in a row group, a multiple of 2,048.
    pub(crate) row_group_rows: u64,
    /// Whether columns of repeated texts are stored as dictionaries. To find them, DuckDB hashes every text.
    pub(crate) dictionaries: bool,
    pub(crate) effort: Effort,
}

impl Tuning {
    /// Settings for changes that move no rows.
    pub(crate) const SMALL: Self = Self {
        memory_mb: 128,
        threads: 1,
        row_group_rows: *ROW_GROUP_ROWS.end(),
        dictionaries: true,
        effort: Effort::Usual,
    };
}
