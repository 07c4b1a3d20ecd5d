//! The words of progress texts: a fetch of profiles has pages, and one of events has batches, which are date ranges.

use mixpanel_data::{BatchProgress, RunKind};

use crate::text::{counted, day_range, thousands};

/// What a fetch fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    Profiles,
    Events,
}

impl From<RunKind> for Records {
    fn from(kind: RunKind) -> Self {
        match kind {
            RunKind::Events => Self::Events,
            _ => Self::Profiles,
        }
    }
}

impl Records {
    /// Formats a number of pages or batches.
    pub(crate) fn parts(self, number: u64) -> String {
        counted(number, if self == Self::Profiles { "page" } else { "batch" })
    }

    /// Returns the name of pages or batches.
    pub(crate) fn plural(self) -> &'static str {
        if self == Self::Profiles { "pages" } else { "batches" }
    }

    /// Formats a number of profiles or events.
    pub(super) fn counted(self, number: u64) -> String {
        counted(number, if self == Self::Profiles { "profile" } else { "event" })
    }

    /// Returns the status before the first part.
    pub(super) fn beginning(self) -> &'static str {
        match self {
            Self::Profiles => "requesting the first page",
            Self::Events => "requesting the first batch",
        }
    }

    /// Returns the note about a fetch that requests one part at a time.
    pub(super) fn suggestion(self) -> &'static str {
        match self {
            Self::Profiles => {
                "pages are fetched one at a time; `--parallel` takes about a fifth of the time (MP_PARALLEL=1 makes it \
                 the default, MP_PARALLEL=0 hides this note)"
            }
            Self::Events => {
                "days are fetched one after another; `--parallel` fetches up to 10 at a time (MP_PARALLEL=1 makes it \
                 the default, MP_PARALLEL=0 hides this note)"
            }
        }
    }
}

/// Names a range of days, and the events if it is limited to some.
pub(super) fn range_of(batch: &BatchProgress) -> String {
    let days = day_range(&batch.from_date, &batch.to_date);
    match batch.events.len() {
        0 => days,
        names => format!("{days} ({})", counted(names as u64, "event name")),
    }
}

/// Describes what a fetch of profiles is about to request.
pub(super) fn planned_pages(pages: u32, rows: u64, workers: u32) -> Option<String> {
    let at_once = if workers > 1 { format!(", up to {workers} at a time") } else { String::new() };
    Some(format!("fetching {} in {}{at_once}", counted(rows, "profile"), counted(u64::from(pages), "page")))
}

/// Describes what a fetch of events is about to request.
pub(super) fn planned_batches(days: &str, batches: u32, staged: u32, workers: u32) -> String {
    let at_once = if workers > 1 && batches > 1 { format!(", up to {workers} at a time") } else { String::new() };
    let staged = if staged > 0 { format!(", {} already on disk", thousands(staged.into())) } else { String::new() };
    format!("fetching {days} in {}{at_once}{staged}", Records::Events.parts(batches.into()))
}

/// Formats a number of retries.
pub(super) fn retries(number: u64) -> String {
    if number == 1 { "1 retry".to_owned() } else { format!("{} retries", thousands(number)) }
}
