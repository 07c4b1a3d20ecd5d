//! Which profiles to fetch, how, and what to do if the table exists: the part of a request that the API, the stage and
//! the store share.

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
    /// Returns only these properties; `None` returns all.
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
    /// The time from which `behaviors` count back, in seconds since 1970, not in the future. The default with
    /// `behaviors` is the current time, determined once for the whole run (`docs/mixpanel-api.md#engage-request`).
    pub as_of_timestamp: Option<i64>,
    /// With a cohort: whether to include ids without a profile. Always sent with a cohort, because the server's own
    /// default differs.
    pub include_all_users: IncludeUsers,
    /// Requested number of profiles per page, 1 to 40,000. The server decides, and its response says what it chose
    /// (`docs/mixpanel-api.md#page-size`).
    pub page_size: Option<u32>,
    /// Only profiles whose `$last_seen` is not before this time, written as the API writes it, such as
    /// `2026-11-23T10:00:00`; added to `where_` (`docs/mixpanel-api.md#engage-request`).
    #[serde(default)]
    pub since: Option<String>,
}

/// Whether to return members of a cohort that have no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncludeUsers {
    /// Only members that have a profile.
    #[default]
    WithProfile,
    /// All members; those without a profile come with empty properties.
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
    /// Add profiles whose id is not in the table, and replace the rows of the others. Profiles that were not fetched
    /// stay. A row also stays if its last activity is later in the table than in the fetch.
    Upsert,
    /// Replace the table in one step once the new one is complete. Until then, and on any failure, the old one stays.
    Replace,
}

/// How pages are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchMode {
    /// One after the other.
    Sequential,
    /// Several at a time.
    Parallel {
        /// Maximum number of pages at a time: 1 to 5, default 5. Larger values are capped at 5 with a warning; 0 is an
        /// error.
        max_workers: Option<u32>,
    },
}

/// What to do about pages that are missing from an unfinished run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MissingPages {
    /// Fetch them.
    #[default]
    Fetch,
    /// Accept that they are missing, even when the table replaces another one.
    Accept,
}
