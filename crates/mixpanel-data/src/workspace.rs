//! The facade of the library: one project and one database.

mod audit;
mod database;
mod event_fetch;
mod events;
mod statistics;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use crate::api::{ApiClient, ApiOptions, NetworkVariables, SharedClient, Timeouts, check_base_url};
use crate::blocking::blocking;
use crate::clock::wall_clock;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{
    FetcherService, ProfileFetch, RecordSink, ResumeFetch, UnfinishedRun, plan_fetch, stage_roots, stream_profiles,
    unfinished_runs,
};
use crate::parse::RecordForm;
use crate::quota::{Quota, Usage};
use crate::stage::{discard, sweep};
use crate::store::{self, QueryLimits};
use crate::types::{FetchEstimate, ProfileFetchResult, ProfileStreamResult, QuotaUsage};

pub use event_fetch::EventFetch;

/// One Mixpanel project and one database, with every operation on them.
///
/// This is the main entry point; [`FetcherService`] and [`ApiClient`] are the lower-level parts it is built from.
///
/// Methods that talk to Mixpanel are `async` and need a Tokio runtime; methods that only read the database block.
/// Nothing is opened before it is needed. The database is closed between calls; connections to Mixpanel stay open, and
/// clones share them.
#[derive(Debug, Clone)]
pub struct Workspace {
    credentials: Option<Credentials>,
    database: PathBuf,
    options: ApiOptions,
    client: SharedClient,
    limits: QueryLimits,
}

impl Workspace {
    /// Creates a workspace for a project and a database file, which need not exist yet.
    #[must_use]
    pub fn new(credentials: Credentials, database: impl Into<PathBuf>) -> Self {
        Self {
            credentials: Some(credentials),
            database: database.into(),
            options: ApiOptions::default(),
            client: SharedClient::default(),
            limits: QueryLimits::default(),
        }
    }

    /// Creates a workspace for an existing database, without credentials. Methods that need the API return
    /// `InvalidInput`.
    pub fn open(database: impl Into<PathBuf>) -> Self {
        Self {
            credentials: None,
            database: database.into(),
            options: ApiOptions::default(),
            client: SharedClient::default(),
            limits: QueryLimits::default(),
        }
    }

    /// Sends requests to this server instead of Mixpanel, for example `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `InvalidInput` unless it is an `http` or `https` address on this machine's loopback interface: credentials are
    /// never sent anywhere else.
    pub fn with_base_url(self, base_url: &str) -> Result<Self> {
        check_base_url(base_url)?;
        Ok(self.with(|options| options.base_url = Some(base_url.to_owned())))
    }

    /// Sets the timeouts for the phases of a request.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        self.with(|options| options.timeouts = timeouts)
    }

    /// Sets the directory for the project's quota ledger; it is created if missing. Later runs and other processes that
    /// use the same directory share the quota. Without a state directory, every workspace counts only its own requests.
    #[must_use]
    pub fn with_state_directory(self, directory: impl Into<PathBuf>) -> Self {
        self.with(|options| options.state_directory = Some(directory.into()))
    }

    /// Sets the quota to respect; the default is 60 counted requests per hour.
    #[must_use]
    pub fn with_quota(self, quota: Quota) -> Self {
        self.with(|options| options.quota = quota)
    }

    /// Sets the environment variables for proxies and certificates; by default, Mixpanel is reached directly. With an
    /// invalid proxy setting, every call that contacts Mixpanel returns `InvalidInput`; with unusable certificates,
    /// `Tls`.
    #[must_use]
    pub fn with_network(self, network: NetworkVariables) -> Self {
        self.with(|options| options.network = network)
    }

    /// Changes the options. A client that already exists, and may be shared by clones, keeps the old ones.
    fn with(mut self, change: impl FnOnce(&mut ApiOptions)) -> Self {
        change(&mut self.options);
        self.client = SharedClient::default();
        self
    }

    /// Returns the path of the database file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Fetches profiles into a table. Each page is staged next to the database as it arrives, and a single load inserts
    /// them all, in page order and without duplicates.
    ///
    /// Arguments, the database and the table are checked before the first request. Pages that fail for good are listed
    /// in the result, and the others are loaded. The exception is `replace`: if pages are missing, the old table is
    /// kept unchanged.
    ///
    /// # Errors
    /// An error means that nothing was loaded; [`Error::run_id`] is set when fetched pages remain staged.
    /// `InvalidInput`, `TableExists`, `DatabaseLocked`, `DatabaseUnusable`: before any request. `Unauthorized`,
    /// `PaymentRequired`, `Forbidden`: the server denied access. `RateLimited`, `ServerError`, `Unreachable`,
    /// `UnexpectedReply`, `NotFound`, `Rejected`: page 0 could not be fetched. `Incomplete`: pages are missing from a
    /// replacement. `Cancelled`: the fetch's token was cancelled. `DiskFull`, `Storage`: staging or loading failed.
    ///
    /// # Cancellation
    /// Cancel the token of [`ProfileFetch::cancel_with`]. Dropping the future abandons the fetch; staged pages are
    /// kept, and a load that has begun still finishes.
    pub async fn fetch_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.connected().await?, self.database.clone()).fetch_profiles(fetch).await
    }

    /// Brings a table up to date with a single call, such as from a timer: resumes the newest unfinished run that has
    /// the same filters, unless a newer load covers it; otherwise fetches what changed since the last complete load, as
    /// [`ProfileFetch::since_last_load`] does; otherwise, if the table does not exist, fetches all profiles. Nothing new
    /// is a success.
    ///
    /// The fetch must not set a start time or [`ProfileFetch::if_exists`]. A table that no complete load with the same
    /// filters created is left unchanged. A [`Note`](crate::Note) tells which run is resumed.
    ///
    /// # Errors
    /// Same as [`fetch_profiles`](Self::fetch_profiles) and [`resume_fetch`](Self::resume_fetch). `InvalidInput` if the
    /// table has no complete load, or one with other filters; `RunBusy`, with the process in [`Error::holding_pid`],
    /// while another process fetches into the table.
    ///
    /// # Cancellation
    /// Same as [`fetch_profiles`](Self::fetch_profiles).
    pub async fn refresh_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.connected().await?, self.database.clone()).refresh_profiles(fetch).await
    }

    /// Resumes an unfinished run: requests the pages that are not on disk, then loads. If the other pages of the run
    /// are already in the table, its failed pages are fetched and added.
    ///
    /// If the server has lost the session, the run restarts from page 0 and reports the restart: pages of two sessions
    /// are never mixed. A run with no missing pages is loaded without any request.
    ///
    /// # Errors
    /// Same as [`fetch_profiles`](Self::fetch_profiles), plus: `RunNotFound` when the table has no unfinished run;
    /// `RunBusy`, with the process in [`Error::holding_pid`], when another process is working on it; `InvalidInput`
    /// when the run belongs to another project or region, or its filters are not the expected ones.
    ///
    /// # Cancellation
    /// Same as [`fetch_profiles`](Self::fetch_profiles).
    pub async fn resume_fetch(&self, resume: ResumeFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.connected().await?, self.database.clone()).resume_fetch(resume).await
    }

    /// Requests only page 0 and estimates the whole fetch. The page is kept: the same fetch into the same table reuses
    /// it. The table is not changed; if it exists, [`FetchEstimate::advice`] says what the fetch needs.
    ///
    /// # Errors
    /// Same as [`fetch_profiles`](Self::fetch_profiles), except `TableExists`.
    ///
    /// # Cancellation
    /// Same as [`fetch_profiles`](Self::fetch_profiles).
    pub async fn plan_fetch(&self, fetch: ProfileFetch) -> Result<FetchEstimate> {
        plan_fetch(&self.connected().await?, &self.database, fetch).await
    }

    /// Lists the unfinished runs of the database, newest first. A directory that cannot be read as a run is listed with
    /// the reason. If the database cannot be read at the moment, no run is marked as superseded.
    ///
    /// # Errors
    /// `Storage` when the stage directory cannot be read.
    pub fn unfinished_runs(&self) -> Result<Vec<UnfinishedRun>> {
        sweep(&stage_roots(&self.database));
        unfinished_runs(&self.database)
    }

    /// Permanently deletes an unfinished run and its pages. Rows already in the table are kept.
    ///
    /// # Errors
    /// `RunNotFound`; `RunBusy` when another process is working on it; `Storage`.
    pub fn discard_run(&self, run_id: &str) -> Result<()> {
        let roots = stage_roots(&self.database);
        sweep(&roots);
        discard(&roots, run_id)
    }

    /// Fetches profiles and passes them to `sink` in page order, one JSON text at a time, instead of loading them into
    /// a table. If the sink returns `Break`, the fetch ends without an error. The fetch's table and `if_exists` are
    /// ignored.
    ///
    /// # Errors
    /// Same as [`fetch_profiles`](Self::fetch_profiles), except those about tables. Some records may already have been
    /// passed to the sink.
    ///
    /// # Cancellation
    /// Same as [`fetch_profiles`](Self::fetch_profiles); pages waiting for an earlier one are deleted.
    pub async fn stream_profiles(
        &self,
        fetch: ProfileFetch,
        form: RecordForm,
        sink: impl FnMut(&str) -> ControlFlow<()> + Send + 'static,
    ) -> Result<ProfileStreamResult> {
        let sink = RecordSink::Lines(Box::new(sink));
        stream_profiles(&self.connected().await?, &self.database, fetch, form, sink).await
    }

    /// Like [`stream_profiles`](Self::stream_profiles), but passes on record batches with the columns of a table:
    /// `distinct_id`, `properties` as JSON text, and `last_seen`. Batches have up to as many rows as a page.
    ///
    /// # Errors
    /// Same as [`stream_profiles`](Self::stream_profiles).
    ///
    /// # Cancellation
    /// Same as [`stream_profiles`](Self::stream_profiles).
    pub async fn stream_profiles_arrow(
        &self,
        fetch: ProfileFetch,
        sink: impl FnMut(RecordBatch) -> ControlFlow<()> + Send + 'static,
    ) -> Result<ProfileStreamResult> {
        let sink = RecordSink::Batches(Box::new(sink));
        stream_profiles(&self.connected().await?, &self.database, fetch, RecordForm::Row, sink).await
    }

    /// Tests the credentials by requesting the project's event names, which costs one query. Returns the number of
    /// names.
    ///
    /// # Errors
    /// Same as [`ApiClient::event_names`].
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn test_credentials(&self) -> Result<usize> {
        Ok(self.connected().await?.event_names().await?.len())
    }

    /// Returns how much of the project's quota is used, without sending a request. Counts the requests of every process
    /// that shares the state directory; without one, only those of this workspace.
    ///
    /// # Errors
    /// Same as [`client`](Self::client); `Storage` or `DiskFull` if the quota ledger cannot be read or written.
    pub fn quota_usage(&self) -> Result<QuotaUsage> {
        Ok(self.client()?.limiter().usage(wall_clock())?.into())
    }

    /// Returns how much of the quota for exports of events is used; Mixpanel counts it separately.
    ///
    /// # Errors
    /// Same as [`quota_usage`](Self::quota_usage).
    pub fn export_quota_usage(&self) -> Result<QuotaUsage> {
        Ok(self.client()?.export_limiter()?.usage(wall_clock())?.into())
    }

    /// Returns the version of the DuckDB library, such as `v1.5.5`.
    ///
    /// # Errors
    /// `Storage` if the library cannot be used.
    pub fn duckdb_version() -> Result<String> {
        store::duckdb_version()
    }

    /// Lets queries of one statement that return rows spill to this directory if they do not fit into memory. It should
    /// not exist: it is created when a query needs it, and removed afterwards. Only [`sql_exact`](Self::sql_exact)
    /// spills; by default, nothing does.
    ///
    /// A killed process leaves the directory behind. If directories are named alike except for a number after a last
    /// dash, as in `my.db.spill-4711`, the next process that spills removes those of killed processes.
    #[must_use]
    pub fn with_spill_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.limits.spill_directory = Some(directory.into());
        self
    }

    /// Sets the memory budget of the process for queries that can spill, in bytes. By default, a query spills when it
    /// has used 80 % of the machine's memory.
    #[must_use]
    pub fn with_query_memory(mut self, bytes: u64) -> Self {
        self.limits.memory = Some(bytes);
        self
    }

    /// Returns the client, without blocking the runtime if it has to be created.
    async fn connected(&self) -> Result<ApiClient> {
        let workspace = self.clone();
        blocking(move || workspace.client()).await
    }

    /// Returns the client for the workspace's project. The workspace and its clones share it on the same Tokio runtime.
    /// The first call blocks: it reads certificates and opens the quota ledger.
    ///
    /// # Errors
    /// `InvalidInput` for a workspace without credentials; otherwise the same as [`ApiClient::new`].
    pub fn client(&self) -> Result<ApiClient> {
        let credentials = self
            .credentials
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "this workspace was opened without credentials"))?;
        self.client.get(credentials, &self.options)
    }
}

impl From<Usage> for QuotaUsage {
    fn from(usage: Usage) -> Self {
        Self {
            used: usage.used,
            limit: usage.limit,
            reserve: usage.reserve,
            window_seconds: usage.window.as_secs(),
            next_free_at: usage.next_free_at.map(|moment| moment.to_string()),
        }
    }
}
