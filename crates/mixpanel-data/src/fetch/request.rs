//! Builders for a new fetch ([`ProfileFetch`]) and for resuming a run ([`ResumeFetch`]).

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::callbacks::Callbacks;
use super::options::RunOptions;
use super::progress::FetchEvent;
use crate::hash_key::HashKey;
use crate::profile_query::{FetchMode, IfExists, MissingPages, ProfileQuery};
use crate::property_rules::RequestedRules;
use crate::types::ProfileProgress;

/// Builder for a fetch of profiles into a table; pass it to `Workspace::fetch_profiles`.
///
/// ```
/// use mixpanel_data::{IfExists, ProfileFetch};
///
/// let fetch = ProfileFetch::new("profiles")
///     .where_(r#"properties["plan"] == "pro""#)
///     .if_exists(IfExists::Replace)
///     .parallel()
///     .max_workers(3)
///     .on_page_complete(|page| println!("page {}: {} profiles", page.page_index, page.rows));
/// # let _ = fetch;
/// ```
pub struct ProfileFetch {
    pub(crate) table: String,
    pub(crate) query: ProfileQuery,
    pub(crate) if_exists: IfExists,
    pub(crate) mode: FetchMode,
    pub(crate) batch_size: Option<u32>,
    pub(crate) since: Since,
    pub(crate) rules: RequestedRules,
    pub(crate) full_every: Option<Duration>,
    pub(crate) control: Control,
}

/// Which profiles a fetch skips because an earlier load has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Since {
    /// None.
    #[default]
    Ever,
    /// Profiles last seen before the table's last load began, minus an overlap.
    LastLoad,
    /// Profiles last seen before this time.
    Time(Timestamp),
}

/// The options, cancellation token and callbacks of a run.
#[derive(Default)]
pub(crate) struct Control {
    pub(crate) options: RunOptions,
    pub(crate) cancel: CancellationToken,
    pub(crate) callbacks: Callbacks,
    /// How long the steps before the first request waited for other processes that had the database open.
    pub(crate) waited_for_database: Duration,
}

impl ProfileFetch {
    /// Creates a sequential fetch of all profiles into a new table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            query: ProfileQuery::default(),
            if_exists: IfExists::default(),
            mode: FetchMode::Sequential,
            batch_size: None,
            since: Since::Ever,
            rules: RequestedRules::default(),
            full_every: None,
            control: Control::default(),
        }
    }

    /// Sets all filters at once.
    #[must_use]
    pub fn query(mut self, query: ProfileQuery) -> Self {
        self.query = query;
        self
    }

    /// Fetches only profiles that match this expression; sets [`ProfileQuery::where_`].
    #[must_use]
    pub fn where_(mut self, expression: impl Into<String>) -> Self {
        self.query.where_ = Some(expression.into());
        self
    }

    /// Fetches only a sample of at most this many profiles; sets [`ProfileQuery::limit`].
    #[must_use]
    pub fn limit(mut self, profiles: u64) -> Self {
        self.query.limit = Some(profiles);
        self
    }

    /// Sets what to do if the table exists; by default the fetch fails.
    #[must_use]
    pub fn if_exists(mut self, if_exists: IfExists) -> Self {
        self.if_exists = if_exists;
        self
    }

    /// Requests several pages at a time.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        if self.mode == FetchMode::Sequential {
            self.mode = FetchMode::Parallel { max_workers: None };
        }
        self
    }

    /// Requests up to this many pages at a time, 1 to 5; implies `parallel`. Larger values are capped at 5 with a
    /// warning; 0 is rejected when the fetch starts.
    #[must_use]
    pub fn max_workers(mut self, workers: u32) -> Self {
        self.mode = FetchMode::Parallel { max_workers: Some(workers) };
        self
    }

    /// Accepts a batch size of 100 to 100,000 rows, for compatibility with the Python package. It has no effect,
    /// because a fetch works in pages.
    #[must_use]
    pub fn batch_size(mut self, rows: u32) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// Upserts only the profiles seen since the table's last complete load began, with an overlap of
    /// [`SINCE_OVERLAP`](crate::limits::SINCE_OVERLAP). The other filters must match those of that load. Profiles that
    /// were deleted in Mixpanel, or changed without being seen, are not detected.
    #[must_use]
    pub fn since_last_load(mut self) -> Self {
        self.since = Since::LastLoad;
        self.if_exists = IfExists::Upsert;
        self
    }

    /// Drops these properties from every profile before anything is stored, in addition to those of earlier calls
    /// (`docs/privacy.md`). Only top-level properties have names. With `$last_seen`, the column `last_seen` is null as
    /// well; the id cannot be dropped.
    #[must_use]
    pub fn drop_properties(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rules.drop.extend(names.into_iter().map(Into::into));
        self
    }

    /// Replaces the values of these properties by keyed hashes before anything is stored, in addition to those of
    /// earlier calls; the last key counts for all of them (`docs/privacy.md#hashes`). `$distinct_id` or `distinct_id`
    /// hashes the id.
    ///
    /// A hash is 64 hex digits of HMAC-SHA-256 over the characters of a string, or over the JSON text of another value.
    /// The elements of a list are hashed one by one, and `null` stays.
    #[must_use]
    pub fn hash_properties(mut self, names: impl IntoIterator<Item = impl Into<String>>, key: HashKey) -> Self {
        self.rules.hash.extend(names.into_iter().map(Into::into));
        self.rules.key = Some(key);
        self
    }

    /// Fetches only profiles whose `$last_seen` is not before this time, in UTC and rounded down to the second. The time
    /// must not be in the future. Upserts if the table exists, unless [`if_exists`](Self::if_exists) says otherwise.
    ///
    /// A later [`since_last_load`](Self::since_last_load) continues from the load before this one: the table may lack
    /// profiles last seen between that load and `time`.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Since::Time(time);
        if self.if_exists == IfExists::Fail {
            self.if_exists = IfExists::Upsert;
        }
        self
    }

    /// With [`since_last_load`](Self::since_last_load) or
    /// [`Workspace::refresh_profiles`](crate::Workspace::refresh_profiles): fetches all profiles and replaces the table
    /// if the load that created it began longer ago than `period`. This removes profiles that were deleted in Mixpanel,
    /// and picks up changes of profiles that were not seen since. `period` must be at least a second.
    #[must_use]
    pub fn full_every(mut self, period: Duration) -> Self {
        self.full_every = Some(period);
        self
    }

    /// Sets how long to wait, how much memory to use, and which results to accept.
    #[must_use]
    pub fn options(mut self, options: RunOptions) -> Self {
        self.control.options = options;
        self
    }

    /// Calls `callback` for every page, including failed ones, in order of completion and never concurrently. A
    /// callback that panics is not called again and does not affect the fetch.
    #[must_use]
    pub fn on_page_complete(mut self, callback: impl FnMut(&ProfileProgress) + Send + 'static) -> Self {
        self.control.callbacks.page = Some(Box::new(callback));
        self
    }

    /// Calls `callback` for every [`FetchEvent`], such as finished pages, retries, waits, warnings and the load. The
    /// rules of [`on_page_complete`](Self::on_page_complete) apply.
    #[must_use]
    pub fn on_event(mut self, callback: impl FnMut(&FetchEvent) + Send + 'static) -> Self {
        self.control.callbacks.event = Some(Box::new(callback));
        self
    }

    /// Stops the fetch when the token is cancelled: no new requests are sent, pages in flight have 10 s to finish, and
    /// staged pages are kept.
    #[must_use]
    pub fn cancel_with(mut self, token: CancellationToken) -> Self {
        self.control.cancel = token;
        self
    }
}

/// Builder for resuming a run; pass it to `Workspace::resume_fetch`.
///
/// The filters do not have to be repeated; they are recorded with the run.
///
/// ```
/// use mixpanel_data::ResumeFetch;
///
/// let resume = ResumeFetch::new("profiles").on_page_complete(|page| println!("page {}", page.page_index));
/// # let _ = resume;
/// ```
pub struct ResumeFetch {
    pub(crate) table: String,
    pub(crate) run_id: Option<String>,
    pub(crate) query: Option<ProfileQuery>,
    pub(crate) mode: Option<FetchMode>,
    pub(crate) if_exists: Option<IfExists>,
    pub(crate) missing_pages: MissingPages,
    pub(crate) replaces_newer: bool,
    pub(crate) hash_key: Option<HashKey>,
    pub(crate) control: Control,
}

impl ResumeFetch {
    /// Resumes the newest unfinished run of a table, in its original mode.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            run_id: None,
            query: None,
            mode: None,
            if_exists: None,
            missing_pages: MissingPages::Fetch,
            replaces_newer: false,
            hash_key: None,
            control: Control::default(),
        }
    }

    /// Resumes this run instead of the table's newest one.
    #[must_use]
    pub fn run(mut self, run_id: impl Into<String>) -> Self {
        self.run_id = Some(run_id.into());
        self
    }

    /// Sets the filters that the run is expected to have. If they differ, resuming fails with an error that names the
    /// difference.
    #[must_use]
    pub fn expect_query(mut self, query: ProfileQuery) -> Self {
        self.query = Some(query);
        self
    }

    /// Sets the key with which the run hashes properties. Without it, such a run can only be loaded, if all its pages
    /// are on disk or with [`accept_partial`](Self::accept_partial). Which properties are dropped and hashed is recorded
    /// with the run.
    #[must_use]
    pub fn hash_key(mut self, key: HashKey) -> Self {
        self.hash_key = Some(key);
        self
    }

    /// Changes what to do if the table exists, for example because another fetch has created it since. A run that
    /// already has pages in the table keeps its original setting.
    #[must_use]
    pub fn if_exists(mut self, if_exists: IfExists) -> Self {
        self.if_exists = Some(if_exists);
        self
    }

    /// Loads the run even if its table was loaded after the run began, so that older records may replace newer ones.
    /// Without it, that is an error.
    #[must_use]
    pub fn replace_newer(mut self) -> Self {
        self.replaces_newer = true;
        self
    }

    /// Loads the pages that are on disk without requesting the missing ones. The table is marked as partial. With
    /// [`IfExists::Replace`], the partial result replaces the existing table.
    #[must_use]
    pub fn accept_partial(mut self) -> Self {
        self.missing_pages = MissingPages::Accept;
        self
    }

    /// Requests several pages at a time, regardless of the run's original mode.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.mode.get_or_insert(FetchMode::Parallel { max_workers: None });
        self
    }

    /// Requests up to this many pages at a time, like [`ProfileFetch::max_workers`].
    #[must_use]
    pub fn max_workers(mut self, workers: u32) -> Self {
        self.mode = Some(FetchMode::Parallel { max_workers: Some(workers) });
        self
    }

    /// Sets how long to wait, how much memory to use, and which results to accept.
    #[must_use]
    pub fn options(mut self, options: RunOptions) -> Self {
        self.control.options = options;
        self
    }

    /// Calls `callback` for every page that is still to be fetched, like [`ProfileFetch::on_page_complete`].
    #[must_use]
    pub fn on_page_complete(mut self, callback: impl FnMut(&ProfileProgress) + Send + 'static) -> Self {
        self.control.callbacks.page = Some(Box::new(callback));
        self
    }

    /// Calls `callback` for every [`FetchEvent`], like [`ProfileFetch::on_event`].
    #[must_use]
    pub fn on_event(mut self, callback: impl FnMut(&FetchEvent) + Send + 'static) -> Self {
        self.control.callbacks.event = Some(Box::new(callback));
        self
    }

    /// Stops the fetch when the token is cancelled, like [`ProfileFetch::cancel_with`].
    #[must_use]
    pub fn cancel_with(mut self, token: CancellationToken) -> Self {
        self.control.cancel = token;
        self
    }
}

impl fmt::Debug for ProfileFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileFetch")
            .field("table", &self.table)
            .field("query", &self.query)
            .field("if_exists", &self.if_exists)
            .field("mode", &self.mode)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResumeFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeFetch")
            .field("table", &self.table)
            .field("run_id", &self.run_id)
            .field("query", &self.query)
            .field("mode", &self.mode)
            .field("missing_pages", &self.missing_pages)
            .finish_non_exhaustive()
    }
}
