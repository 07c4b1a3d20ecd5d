//! Which profiles to ask for, how, and what to do with a table that exists: the part of a request that the API, the stage
//! and the store all understand.

use serde::{Deserialize, Serialize};

/// Which profiles to ask for. The default is all of them, with all properties.
///
/// The same filters go with every page of a fetch. They are checked, by the same code for sequential and parallel
/// fetches, before the first request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileQuery {
    /// A filter in Mixpanel's expression language, such as `properties["plan"] == "pro"`.
    pub where_: Option<String>,
    /// The id of a saved cohort. Not together with `behaviors`.
    pub cohort_id: Option<String>,
    /// Return only these properties; `None` returns all.
    pub output_properties: Option<Vec<String>>,
    /// Only the profile with this id. Not together with `distinct_ids`.
    pub distinct_id: Option<String>,
    /// Only the profiles with these ids, each named once; an empty list asks for nothing and sends no request.
    pub distinct_ids: Option<Vec<String>>,
    /// Profiles of this group instead of users; the numeric data group id of the project's settings.
    pub group_id: Option<String>,
    /// A JSON array of objects with `window`, `name` and `event_selectors`. Needs `where_`.
    pub behaviors: Option<String>,
    /// The moment `behaviors` count back from, in seconds since 1970, not in the future. Default with `behaviors`: now,
    /// once for the whole run (`docs/mixpanel-api.md#engage-request`).
    pub as_of_timestamp: Option<i64>,
    /// With a cohort: also ids that have no profile. Always sent with a cohort, for the server's own default differs.
    pub include_all_users: IncludeUsers,
    /// Requested number of profiles per page, 1 to 40,000; the server decides, and its response says what it chose
    /// (`docs/mixpanel-api.md#page-size`).
    pub page_size: Option<u32>,
    /// Only profiles whose `$last_seen` is not before this moment, written as the API writes it, such as
    /// `2026-11-23T10:00:00`; added to `where_` (`docs/mixpanel-api.md#engage-request`).
    #[serde(default)]
    pub since: Option<String>,
}

/// Whether a cohort's members without a profile are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncludeUsers {
    /// Only members that have a profile.
    #[default]
    WithProfile,
    /// All members; those without a profile come with empty properties.
    All,
}

/// What to do when the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Refuse, before any request.
    #[default]
    Fail,
    /// Add profiles whose id the table does not have; known ids are skipped.
    Append,
    /// Add profiles whose id the table does not have, and put the others in the place of the table's. Profiles that were
    /// not fetched stay, and so do those whose last activity in the table is later than in the fetch.
    Upsert,
    /// Replace the table in one step once the new one is complete. Until then, and on any failure, the old one stays.
    Replace,
}

/// How pages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchMode {
    /// One after the other.
    Sequential,
    /// Several at a time.
    Parallel {
        /// How many at most: 1 to 5, default 5. More is capped at 5 with a warning; 0 is refused.
        max_workers: Option<u32>,
    },
}

/// What becomes of the pages that are missing from an unfinished run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MissingPages {
    /// They are asked for.
    #[default]
    Fetch,
    /// They are done without, also in a table that replaces another.
    Accept,
}
