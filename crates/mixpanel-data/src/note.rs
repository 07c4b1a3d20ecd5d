//! Notes about a fetch: what it does differently from what the arguments alone suggest.

use std::fmt;

use jiff::Timestamp;

use crate::text::{counted, thousands};

/// A note about a fetch. Unlike a [`Warning`](crate::Warning), it needs no attention. `Display` writes it as one
/// sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The last full load is too old, so all profiles are fetched and the table is replaced.
    FullLoadDue {
        /// The table.
        table: String,
        /// When the load that created the table began; `None` if that load was not complete.
        last_full_at: Option<Timestamp>,
    },
    /// The name of the new table is an SQL keyword.
    Keyword {
        /// The table.
        table: String,
    },
    /// No profile was seen since the start time of the fetch.
    NothingNew {
        /// The start time, in the form `2026-11-23T10:00:00`.
        since: String,
    },
    /// The last day of the fetch has not begun in the project's time zone, so it is left out.
    DayNotBegun {
        /// The day.
        day: String,
    },
    /// The last day of a fetch of events is after the project's today, so the fetch ends today.
    LastDayReduced {
        /// The requested day.
        requested: String,
        /// The project's today.
        today: String,
    },
    /// A refresh resumes an unfinished run.
    Resuming {
        /// The run.
        run_id: String,
        /// The number of its pages on disk.
        pages_done: u32,
    },
    /// A refresh of events resumes an unfinished run.
    ResumingEvents {
        /// The run.
        run_id: String,
        /// The number of its date ranges on disk.
        batches_done: u32,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullLoadDue { table, last_full_at: Some(at) } => write!(
                f,
                "the last full load of `{table}` began at {}; fetching all profiles to replace it",
                at.strftime("%Y-%m-%d %H:%M:%S UTC")
            ),
            Self::FullLoadDue { table, last_full_at: None } => {
                write!(f, "`{table}` was not created by a full load; fetching all profiles to replace it")
            }
            Self::Keyword { table } => {
                write!(f, "`{table}` is an SQL keyword: in queries, write \"{table}\" in double quotes")
            }
            Self::NothingNew { since } => write!(f, "no profile was seen since {} UTC", since.replace('T', " ")),
            Self::DayNotBegun { day } => {
                write!(f, "{day} has not begun yet in the project's time zone; fetching the days before it")
            }
            Self::LastDayReduced { requested, today } => {
                write!(
                    f,
                    "{requested} is in the future; fetching up to {today}, which is today in the project's time zone"
                )
            }
            Self::Resuming { run_id, pages_done } => {
                write!(f, "resuming run {run_id}, which has {}", counted(*pages_done, "page"))
            }
            Self::ResumingEvents { run_id, batches_done: 1 } => write!(f, "resuming run {run_id}, which has 1 batch"),
            Self::ResumingEvents { run_id, batches_done } => {
                write!(f, "resuming run {run_id}, which has {} batches", thousands(u64::from(*batches_done)))
            }
        }
    }
}
