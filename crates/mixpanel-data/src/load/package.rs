//! The input of a load, and its report.

use std::path::PathBuf;

use jiff::civil::Date;

use super::run_record::RunRecord;
use crate::drift::allowed_drift;

/// A finished stage, and what to record about it. Independent of the destination.
#[derive(Debug, Clone)]
pub(crate) struct LoadPackage {
    /// The stage: the only directory that the load can access. It spills to the subdirectory `spill`, which is removed
    /// afterwards.
    pub(crate) directory: PathBuf,
    /// Parquet files in the order of their part numbers, with the columns of the dataset and JSON as text. If there are
    /// none, the table is empty.
    pub(crate) pages: Vec<PathBuf>,
    /// Parquet files with `page INTEGER`, `position INTEGER`, `reason VARCHAR`, `raw VARCHAR`, one for each page with
    /// rejects. Together they hold all rejects of the run.
    pub(crate) rejects: Vec<PathBuf>,
    /// Pages that an earlier load of the same run put into the table: a subset of `pages`, or pages of a session that
    /// the server lost. Empty for the first load of a run; otherwise this load completes the run.
    pub(crate) previous: Vec<PathBuf>,
    /// Whether this is the first load of the run.
    pub(crate) kind: LoadKind,
    /// What the server announced; `None` if pages are missing, or if any number of profiles is accepted.
    pub(crate) announced: Option<Announced>,
    /// The run that this load finishes: its dataset, load id and counts.
    pub(crate) run: RunRecord,
}

/// Whether a load is the first of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadKind {
    /// No pages of the run are in the table yet.
    First,
    /// The run was partial and has pages in the table, which it may have created.
    Completing,
}

/// What the server announced, for a run that received all pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    /// The number of profiles, if the server announced one.
    pub(crate) total: Option<u64>,
    /// The percentage of profiles that may be missing.
    pub(crate) allow_drift: f64,
    /// Whether a shortfall leaves the table unchanged even if the load does not replace it.
    pub(crate) is_strict: bool,
}

impl Announced {
    /// Returns whether `profiles` out of an expected `total` are enough.
    pub(crate) fn accepts(self, profiles: u64, total: u64) -> bool {
        total.saturating_sub(profiles) <= allowed_drift(total, self.allow_drift)
    }

    /// Returns the shortfall, or 0 if it is accepted.
    pub(crate) fn lacks(self, shortfall: u64) -> u64 {
        let total = self.total.unwrap_or(0);
        if self.accepts(total.saturating_sub(shortfall), total) { 0 } else { shortfall }
    }
}

/// The result of a load. For a load that completes a run, the combined result of all its loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadReport {
    /// Rows in the table that the run put there.
    pub(crate) rows: u64,
    /// Staged rows that are not in the table because another row has the same id.
    pub(crate) duplicates: u64,
    /// Profiles that the server announced but did not send; 0 if the shortfall is accepted.
    pub(crate) shortfall: u64,
    /// Rows of earlier loads of the run that others have changed or removed since; they are left unchanged.
    pub(crate) altered: u64,
}

/// How a load changed its table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableChange {
    /// All rows in the table now.
    pub(crate) table_rows: u64,
    /// Rows of the table that fetched rows replaced; `None` if unknown, as for a load that an earlier process committed.
    pub(crate) updated: Option<u64>,
    /// Fetched rows that are not in the table because it keeps its own row with the same id; `None` if unknown.
    pub(crate) unchanged: Option<u64>,
    /// What a load of events reports in addition.
    pub(crate) days: Option<DayChange>,
}

/// How a load of events changed the days of its table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DayChange {
    /// Duplicates whose properties differ from those of the row that was kept.
    pub(crate) conflicting_duplicates: u64,
    /// Rows of the table that are gone because their days were replaced.
    pub(crate) replaced_rows: u64,
    /// Staged rows whose insert id was generated.
    pub(crate) without_insert_id: u64,
    /// Staged rows without a distinct id.
    pub(crate) without_distinct_id: u64,
    /// Staged rows of days that their slices did not ask for.
    pub(crate) outside: u64,
    /// Staged rows whose local time occurred twice.
    pub(crate) repeated_hour: u64,
    /// Staged rows whose local time did not exist.
    pub(crate) skipped_hour: u64,
    /// The size of the decoded responses, in bytes.
    pub(crate) bytes: u64,
    /// The fetched days that may still change, in order.
    pub(crate) open_days: Vec<Date>,
}
