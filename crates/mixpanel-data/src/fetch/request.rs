//! What a caller asks for: which profiles, into which table, and how.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::progress::FetchEvent;
use crate::profile_query::{FetchMode, OnExisting, ProfileQuery};
use crate::types::ProfileProgress;

/// Called from one task, one after the other.
pub(super) type Callback<T> = Box<dyn FnMut(&T) + Send>;

/// A fetch of profiles into a table, step by step made up and then given to `Workspace::fetch_profiles`.
///
/// ```
/// use mixpanel_data::{OnExisting, ProfileFetch};
///
/// let fetch = ProfileFetch::new("profiles")
///     .filter(r#"properties["plan"] == "pro""#)
///     .on_existing(OnExisting::Replace)
///     .parallel()
///     .max_workers(3)
///     .on_page_complete(|page| println!("page {}: {} profiles", page.page_index, page.rows));
/// # let _ = fetch;
/// ```
pub struct ProfileFetch {
    pub(crate) table: String,
    pub(crate) query: ProfileQuery,
    pub(crate) on_existing: OnExisting,
    pub(crate) mode: FetchMode,
    pub(crate) batch_size: Option<u32>,
    pub(crate) cancel: CancellationToken,
    pub(crate) stop_grace: Duration,
    pub(crate) callbacks: Callbacks,
}

/// The callbacks of a fetch; called from one task, one after the other.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) page: Option<Callback<ProfileProgress>>,
    pub(crate) event: Option<Callback<FetchEvent>>,
}

impl ProfileFetch {
    /// Asks for all profiles, sequentially, into a new table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            query: ProfileQuery::default(),
            on_existing: OnExisting::default(),
            mode: FetchMode::Sequential,
            batch_size: None,
            cancel: CancellationToken::new(),
            stop_grace: crate::limits::STOP_GRACE,
            callbacks: Callbacks::default(),
        }
    }

    /// Sets all filters at once.
    #[must_use]
    pub fn query(mut self, query: ProfileQuery) -> Self {
        self.query = query;
        self
    }

    /// Keeps only profiles that this expression (`where` in the API) selects.
    #[must_use]
    pub fn filter(mut self, expression: impl Into<String>) -> Self {
        self.query.where_ = Some(expression.into());
        self
    }

    /// Says what to do when the table exists; by default the fetch is refused.
    #[must_use]
    pub fn on_existing(mut self, on_existing: OnExisting) -> Self {
        self.on_existing = on_existing;
        self
    }

    /// Asks for several pages at a time.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        if self.mode == FetchMode::Sequential {
            self.mode = FetchMode::Parallel { max_workers: None };
        }
        self
    }

    /// Asks for at most this many pages at a time, 1 to 5; implies `parallel`. More is capped at 5 with a warning, 0 is
    /// refused when the fetch starts.
    #[must_use]
    pub fn max_workers(mut self, workers: u32) -> Self {
        self.mode = FetchMode::Parallel { max_workers: Some(workers) };
        self
    }

    /// Accepted for likeness with the Python package, 100 to 100,000, and without effect: a page is the unit.
    #[must_use]
    pub fn batch_size(mut self, rows: u32) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// Hears of every page, failed ones too, in order of completion, never from two places at once. A callback that
    /// panics is not called again and does not disturb the fetch.
    #[must_use]
    pub fn on_page_complete(mut self, callback: impl FnMut(&ProfileProgress) + Send + 'static) -> Self {
        self.callbacks.page = Some(Box::new(callback));
        self
    }

    /// Hears of everything worth showing: the plan, pages, retries, waits, warnings and the load. Same rules as
    /// [`on_page_complete`](Self::on_page_complete).
    #[must_use]
    pub fn on_event(mut self, callback: impl FnMut(&FetchEvent) + Send + 'static) -> Self {
        self.callbacks.event = Some(Box::new(callback));
        self
    }

    /// Stops the fetch when the token is cancelled: no new requests, pages in flight get 10 s, what is staged stays.
    #[must_use]
    pub fn cancel_with(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }
}

impl fmt::Debug for ProfileFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileFetch")
            .field("table", &self.table)
            .field("query", &self.query)
            .field("on_existing", &self.on_existing)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
