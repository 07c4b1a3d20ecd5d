//! Which profiles to fetch, how, and what to do if the table exists: the request types shared by the API, the stage and
//! the store.

use serde::{Deserialize, Serialize};

/// Selects the profiles to fetch. The default is all of them, with all properties.
///
/// Every page of a fetch is requested with the same filters. They are checked before the first request, by the same
/// code for sequential and parallel fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileQuery {
    /// A filter in Mixpanel's expression language, such as `properties["plan"] == "pro"`.
    pub where_: Option<String>,
    /// The id of a saved cohort. Cannot be combined with `behaviors`.
    pub cohort_id: Option<String>,
    /// Only these properties; `None` means all.
    pub output_properties: Option<Vec<String>>,
    /// Only the profile with this id. Cannot be combined with `distinct_ids`.
    pub distinct_id: Option<String>,
    /// Only the profiles with these ids, each listed once. With an empty list the result is empty, and no request is
    /// sent.
    pub distinct_ids: Option<Vec<String>>,
    /// Profiles of this group instead of users: the numeric data group id from the project's settings.
    pub group_id: Option<String>,
    /// A JSON array of objects with `window`, `name` and `event_selectors`. Requires `where_`.
    pub behaviors: Option<String>,
    /// The time from which the windows of `behaviors` count back, in seconds since 1970; not in the future. With
    /// `behaviors`, the default is the current time, determined once for the whole run
    /// (`docs/mixpanel-api.md#engage-request`).
    pub as_of_timestamp: Option<i64>,
    /// With a cohort: whether to include ids without a profile. Always sent with a cohort, because the server's own
    /// default differs.
    pub include_all_users: IncludeUsers,
    /// Requested number of profiles per page, 1 to 40,000. The server may choose another size, which its response
    /// states (`docs/mixpanel-api.md#page-size`).
    pub page_size: Option<u32>,
    /// Only profiles whose `$last_seen` is not before this time, written as the API writes it, such as
    /// `2026-11-23T10:00:00`; added to `where_` (`docs/mixpanel-api.md#engage-request`).
    #[serde(default)]
    pub since: Option<String>,
    /// At most this many profiles, at least 1: a sample. Only as many pages as needed are requested, and which profiles
    /// they hold is up to the server. A sample replaces no table, and never counts as a complete load.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Whether to return members of a cohort that have no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncludeUsers {
    /// Only members that have a profile.
    #[default]
    WithProfile,
    /// All members; those without a profile have empty properties.
    All,
}

/// What to do if the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// Fail before any request.
    #[default]
    Fail,
    /// Add profiles whose id is not in the table; skip the others.
    Append,
    /// Add profiles whose id is not in the table, and replace the rows of the others. Rows of profiles that were not
    /// fetched are kept, as are rows whose last activity is later than in the fetch.
    Upsert,
    /// Replace the table atomically once the new one is complete. Until then, and on any failure, the old one is kept.
    Replace,
}

/// How pages of profiles, or date ranges of events, are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchMode {
    /// One at a time.
    Sequential,
    /// Several at a time.
    Parallel {
        /// Maximum number at a time; 0 is an error. Pages: 1 to 5, default 5; larger values are capped at 5 with a
        /// warning. Date ranges: 1 to [`EVENT_WORKERS_MAX`](crate::limits::EVENT_WORKERS_MAX), default
        /// [`EVENT_WORKERS_DEFAULT`](crate::limits::EVENT_WORKERS_DEFAULT), but not more than there is memory for.
        max_workers: Option<u32>,
    },
}

/// How to handle pages that are missing from an unfinished run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MissingPages {
    /// Fetch them.
    #[default]
    Fetch,
    /// Accept that they are missing, even when the table replaces another one.
    Accept,
}
