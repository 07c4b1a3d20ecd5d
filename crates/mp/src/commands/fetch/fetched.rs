//! The result of a fetch into a table, of profiles or of events.

use std::path::Path;
use std::time::Duration;

use mixpanel_data::{EventFetchResult, FetchCounts, LoadedTable, ProfileFetchResult};
use serde_json::Value;

use crate::cli::ReportArgs;

/// What a fetch loaded.
#[derive(Debug, Clone)]
pub(super) enum Fetched {
    Profiles(ProfileFetchResult),
    Events(EventFetchResult),
}

impl From<ProfileFetchResult> for Fetched {
    fn from(result: ProfileFetchResult) -> Self {
        Self::Profiles(result)
    }
}

impl From<EventFetchResult> for Fetched {
    fn from(result: EventFetchResult) -> Self {
        Self::Events(result)
    }
}

impl Fetched {
    pub(super) fn table(&self) -> &str {
        match self {
            Self::Profiles(result) => result.table(),
            Self::Events(result) => result.table(),
        }
    }

    pub(super) fn database(&self) -> &Path {
        &self.loaded().database
    }

    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Profiles(result) => result.rows(),
            Self::Events(result) => result.rows(),
        }
    }

    pub(super) fn duration(&self) -> Duration {
        match self {
            Self::Profiles(result) => result.duration(),
            Self::Events(result) => result.duration(),
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        match self {
            Self::Profiles(result) => result.has_failures(),
            Self::Events(result) => result.has_failures(),
        }
    }

    pub(super) fn run_id(&self) -> &str {
        match self {
            Self::Profiles(result) => result.run_id(),
            Self::Events(result) => result.run_id(),
        }
    }

    pub(super) fn counts(&self) -> &FetchCounts {
        match self {
            Self::Profiles(result) => result.counts(),
            Self::Events(result) => result.counts(),
        }
    }

    pub(super) fn loaded(&self) -> &LoadedTable {
        match self {
            Self::Profiles(result) => result.loaded(),
            Self::Events(result) => result.loaded(),
        }
    }

    /// Returns the pages that failed for good; none for events.
    pub(super) fn failed_pages(&self) -> &[u32] {
        match self {
            Self::Profiles(result) => result.failed_page_indices(),
            Self::Events(_) => &[],
        }
    }

    /// Returns the date ranges that failed for good; none for profiles.
    pub(super) fn failed_ranges(&self) -> &[(String, String)] {
        match self {
            Self::Profiles(_) => &[],
            Self::Events(result) => result.failed_date_ranges(),
        }
    }

    /// Returns what a row is.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Profiles(_) => "profile",
            Self::Events(_) => "event",
        }
    }

    /// Returns the first and last day; `None` for profiles.
    pub(super) fn days(&self) -> Option<(String, String)> {
        match self {
            Self::Profiles(_) => None,
            Self::Events(result) => result.date_range().cloned(),
        }
    }

    /// Returns the number of days that may still change.
    pub(super) fn open_days(&self) -> usize {
        match self {
            Self::Profiles(_) => 0,
            Self::Events(result) => result.events().open_days.len(),
        }
    }

    /// Returns the number of rows that the fetched days replaced.
    pub(super) fn replaced_rows(&self) -> u64 {
        match self {
            Self::Profiles(_) => 0,
            Self::Events(result) => result.events().replaced_rows,
        }
    }

    /// Returns the result's fields, `has_failures`, and the reasons if the command fails.
    pub(super) fn as_record(&self, report: &ReportArgs) -> Value {
        let counts = self.counts();
        let reasons = [
            ("failed_pages", !self.failed_pages().is_empty()),
            ("failed_batches", !self.failed_ranges().is_empty()),
            ("missing_profiles", counts.shortfall > 0),
            ("rejected_records", counts.rejected > 0 && !report.allow_rejects),
        ];
        let reasons: Vec<_> = reasons.into_iter().filter(|(_, applies)| *applies).map(|(reason, _)| reason).collect();
        let record = match self {
            Self::Profiles(result) => serde_json::to_value(result),
            Self::Events(result) => serde_json::to_value(result),
        };
        let mut record = record.expect("a result is plain data");
        if let Value::Object(fields) = &mut record {
            fields.insert("has_failures".to_owned(), (self.has_failures() || !reasons.is_empty()).into());
            if !reasons.is_empty() {
                fields.insert("failure_reasons".to_owned(), reasons.into());
            }
        }
        record
    }
}
