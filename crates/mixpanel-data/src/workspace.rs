//! The facade of the library: one project and one database.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::api::{ApiClient, ApiOptions, NetworkVariables, SharedClient, Timeouts, check_base_url};
use crate::blocking::blocking;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{
    FetcherService, ProfileFetch, ResumeFetch, UnfinishedRun, plan_fetch, stage_roots, stream_profiles, unfinished_runs,
};
use crate::load;
use crate::parse::RecordForm;
use crate::quota::Quota;
use crate::stage::{discard, sweep};
use crate::store;
use crate::types::{
    FetchPlan, ProfileFetchResult, ProfileStreamResult, SqlResult, TableInfo, TableSchema, VerifyReport,
};

/// One Mixpanel project and one database, with every operation on them.
///
/// Use it unless you need less: [`FetcherService`] and [`ApiClient`] are the parts that it is made of.
///
/// Methods that talk to Mixpanel are `async` and need a Tokio runtime; methods that only read the database block.
/// Nothing is opened before it is needed, and the database is not kept open between calls. The connections to Mixpanel
/// are, and clones share them.
#[derive(Debug, Clone)]
pub struct Workspace {
    credentials: Option<Credentials>,
    database: PathBuf,
    options: ApiOptions,
    client: SharedClient,
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
        }
    }

    /// Opens a workspace on an existing database only. Methods that need the API return `InvalidInput`.
    pub fn open(database: impl Into<PathBuf>) -> Self {
        Self {
            credentials: None,
            database: database.into(),
            options: ApiOptions::default(),
            client: SharedClient::default(),
        }
    }

    /// Sends requests to this server instead of Mixpanel's, such as `http://127.0.0.1:8080`.
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
    /// use the same directory share the quota. Without it, every workspace counts only its own requests.
    #[must_use]
    pub fn with_state_directory(self, directory: impl Into<PathBuf>) -> Self {
        self.with(|options| options.state_directory = Some(directory.into()))
    }

    /// Sets the quota to respect; default 60 counted requests an hour.
    #[must_use]
    pub fn with_quota(self, quota: Quota) -> Self {
        self.with(|options| options.quota = quota)
    }

    /// Sets the proxies and certificates from the environment; by default Mixpanel is reached directly. If a setting
    /// cannot be used, every call that would contact Mixpanel returns `InvalidInput`.
    #[must_use]
    pub fn with_network(self, network: NetworkVariables) -> Self {
        self.with(|options| options.network = network)
    }

    /// Changes the options. A client that was created before, which clones may use, keeps the earlier ones.
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

    /// Fetches profiles into a table. Every page is staged next to the database when it arrives, and a single load puts
    /// all of them into the table, in page order and without duplicates.
    ///
    /// Arguments, the database and the table are checked before the first request. Pages that fail for good are listed
    /// in the result, and the others are loaded. The exception is a table to be replaced: it then stays as it
    /// was.
    ///
    /// # Errors
    /// An error means that nothing went into the table; [`Error::run_id`] is set when fetched pages remain staged.
    /// `InvalidInput`, `TableExists`, `DatabaseLocked`, `DatabaseUnusable`: before any request. `Unauthorized`,
    /// `PaymentRequired`, `Forbidden`: the server refused. `RateLimited`, `ServerError`, `Unreachable`,
    /// `UnexpectedReply`, `NotFound`, `Rejected`: page 0 could not be fetched. `Incomplete`: pages are missing from a
    /// replacement. `Cancelled`: the fetch's token was cancelled. `DiskFull`, `Storage`: staging or loading failed.
    ///
    /// # Cancellation
    /// Cancel the token of [`ProfileFetch::cancel_with`]. Dropping the future abandons the fetch, and staged pages
    /// stay; a load that has begun still finishes.
    pub async fn fetch_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.connected().await?, self.database.clone()).fetch_profiles(fetch).await
    }

    /// Resumes an unfinished run: requests the pages that are not on disk, and loads them. If the other pages of the
    /// run are already in the table, the pages that failed are fetched the same way and added to it.
    ///
    /// If the server has forgotten the session, the run restarts from page 0 and reports it: pages of two sessions are
    /// never mixed. A run that lacks nothing is loaded without a request.
    ///
    /// # Errors
    /// As [`fetch_profiles`](Self::fetch_profiles), and: `RunNotFound` when the table has no unfinished run; `RunBusy`,
    /// with the process in [`Error::holding_pid`], when another process is working on it; `InvalidInput` when the
    /// run belongs to another project or region, or does not have the expected filters.
    ///
    /// # Cancellation
    /// As [`fetch_profiles`](Self::fetch_profiles).
    pub async fn resume_fetch(&self, resume: ResumeFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.connected().await?, self.database.clone()).resume_fetch(resume).await
    }

    /// Requests page 0 only, and estimates what the fetch would take. The page is kept: the same fetch into the same
    /// table uses it instead of requesting it again.
    ///
    /// # Errors
    /// As [`fetch_profiles`](Self::fetch_profiles).
    ///
    /// # Cancellation
    /// As [`fetch_profiles`](Self::fetch_profiles).
    pub async fn plan_fetch(&self, fetch: ProfileFetch) -> Result<FetchPlan> {
        plan_fetch(&self.connected().await?, &self.database, fetch).await
    }

    /// Lists the unfinished runs of the database, newest first. A directory that cannot be read as a run is listed with
    /// the reason.
    ///
    /// # Errors
    /// `Storage` when the directory of the stages cannot be read.
    pub fn unfinished_runs(&self) -> Result<Vec<UnfinishedRun>> {
        sweep(&stage_roots(&self.database));
        unfinished_runs(&self.database)
    }

    /// Deletes an unfinished run and its pages permanently. Rows in the table stay.
    ///
    /// # Errors
    /// `RunNotFound`; `RunBusy` when another process is working on it; `Storage`.
    pub fn discard_run(&self, run_id: &str) -> Result<()> {
        let roots = stage_roots(&self.database);
        sweep(&roots);
        discard(&roots, run_id)
    }

    /// Fetches profiles and passes them to `sink` in page order, one JSON text at a time, instead of loading them into
    /// a table. If the sink breaks, the fetch ends without an error. The table of the fetch, and what to do if it
    /// exists, are ignored.
    ///
    /// # Errors
    /// As [`fetch_profiles`](Self::fetch_profiles), without those about tables. Some records may have been passed to
    /// the sink before.
    ///
    /// # Cancellation
    /// As [`fetch_profiles`](Self::fetch_profiles); pages that wait for an earlier one are removed.
    pub async fn stream_profiles(
        &self,
        fetch: ProfileFetch,
        form: RecordForm,
        sink: impl FnMut(&str) -> ControlFlow<()> + Send + 'static,
    ) -> Result<ProfileStreamResult> {
        stream_profiles(&self.connected().await?, &self.database, fetch, form, Box::new(sink)).await
    }

    /// Requests the project's event names, which costs one query, and returns how many there are.
    ///
    /// # Errors
    /// As [`ApiClient::event_names`].
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn test_credentials(&self) -> Result<usize> {
        Ok(self.connected().await?.event_names().await?.len())
    }

    /// Returns the client without blocking the runtime while it is created.
    async fn connected(&self) -> Result<ApiClient> {
        let workspace = self.clone();
        blocking(move || workspace.client()).await
    }

    /// Returns the client for the workspace's project. All calls of the workspace and of its clones on the same Tokio
    /// runtime share it. The first call blocks: it reads certificates and opens the quota ledger.
    ///
    /// # Errors
    /// `InvalidInput` for a workspace without credentials; otherwise as [`ApiClient::new`].
    pub fn client(&self) -> Result<ApiClient> {
        let credentials = self
            .credentials
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "this workspace was opened without credentials"))?;
        self.client.get(credentials, &self.options)
    }

    /// Runs a query on the database, read-only, and returns all its rows.
    ///
    /// Values are JSON: integers beyond 64 bits, decimals beyond 15 digits and non-finite floats are text, dates and
    /// times are ISO 8601 text, blobs are hexadecimal text. A JSON column holds parsed values, whose numbers have
    /// 64-bit precision; cast it to `VARCHAR` for the exact text. All rows are in memory at once: for large results see
    /// [`sql_each`](Self::sql_each).
    ///
    /// A query can access nothing but the database: no files, no network, no extensions, no settings. It cannot spill
    /// to disk either, and may use DuckDB's default memory limit, 80 % of the machine's memory. If there are several
    /// statements, all are run and the rows of the last one are returned.
    ///
    /// # Errors
    /// `Query` with DuckDB's message, which shows the position; `DatabaseNotFound`, `DatabaseLocked`,
    /// `DatabaseUnusable`, `Storage`.
    pub fn sql(&self, query: &str) -> Result<SqlResult> {
        store::rows(&self.database, query)
    }

    /// Runs a query on the database, read-only, and passes on its rows one by one, so that the result may have any
    /// size: first the column names, then each row. Either callback may end the query.
    ///
    /// # Errors
    /// As [`sql`](Self::sql); an error may come after some of the rows.
    pub fn sql_each(
        &self,
        query: &str,
        columns: impl FnOnce(&[String]) -> ControlFlow<()>,
        row: impl FnMut(Vec<serde_json::Value>) -> ControlFlow<()>,
    ) -> Result<()> {
        store::each(&self.database, query, columns, row)
    }

    /// Returns the first value of the first row of a query; `Null` if there are no rows.
    ///
    /// # Errors
    /// As [`sql`](Self::sql).
    pub fn sql_scalar(&self, query: &str) -> Result<serde_json::Value> {
        store::scalar(&self.database, query)
    }

    /// Lists the tables by name, without views and without names that start with `_`.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        store::tables(&self.database)
    }

    /// Returns the columns of a table or view. The name is case-insensitive.
    ///
    /// # Errors
    /// `TableNotFound`, with the existing tables in [`Error::available_tables`]; otherwise as
    /// [`tables`](Self::tables).
    pub fn table_schema(&self, table: &str) -> Result<TableSchema> {
        store::table_schema(&self.database, table)
    }

    /// Reads a whole table and compares it with what the last load recorded: the number of rows, that each id occurs
    /// once, and the digest of the contents. Detects any later change, down to one digit; another load does not count
    /// as a change.
    ///
    /// # Errors
    /// `InvalidInput` for a table that no load recorded; otherwise as [`table_schema`](Self::table_schema). A table
    /// that differs from what was loaded is not an error: see [`VerifyReport::problems`].
    pub fn verify_table(&self, table: &str) -> Result<VerifyReport> {
        load::verify(&self.database, table)
    }

    /// Returns `rows` random rows of a table or view, or all of them if it has fewer.
    ///
    /// # Errors
    /// As [`table_schema`](Self::table_schema); `Query` if DuckDB cannot sample that many rows.
    pub fn sample(&self, table: &str, rows: u32) -> Result<SqlResult> {
        store::sample(&self.database, table, rows)
    }

    /// Drops tables and views, all or none.
    ///
    /// # Errors
    /// `TableNotFound`; `InvalidInput` for a name that starts with `_` or a table that others depend on; `DiskFull`;
    /// otherwise as [`tables`](Self::tables). After an error nothing has been dropped, unless the step that failed was
    /// writing the change from the log into the file.
    pub fn drop_tables(&self, tables: &[String]) -> Result<()> {
        store::drop_tables(&self.database, tables)
    }
}
