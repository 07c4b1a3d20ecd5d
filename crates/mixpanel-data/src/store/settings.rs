//! DuckDB's settings for writing.

use crate::limits::ROW_GROUP_ROWS;

/// The settings of one attempt at a load. When it runs out of memory, the next one is tried, which is slower or takes
/// more of the process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// All threads, and row groups of the best size.
    Usual,
    /// One thread, which writes every row group at once and never merges small ones.
    Frugal,
    /// The same, with all the memory that the process can spare.
    Last,
}

impl Effort {
    /// Returns the effort to try next.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::Usual => Some(Self::Frugal),
            Self::Frugal => Some(Self::Last),
            Self::Last => None,
        }
    }
}

/// DuckDB's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuning {
    /// DuckDB's memory limit, in megabytes. It uses some more beyond that.
    pub(crate) memory_mb: u64,
    pub(crate) threads: u32,
    /// The rows of one row group, a multiple of 2,048.
    pub(crate) row_group_rows: u64,
    pub(crate) effort: Effort,
}

impl Tuning {
    /// For changes that move no rows.
    pub(crate) const SMALL: Self =
        Self { memory_mb: 128, threads: 1, row_group_rows: *ROW_GROUP_ROWS.end(), effort: Effort::Usual };
}
