//! The facade of the library: one project and one database.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::api::{ApiClient, ApiOptions, NetworkVariables, SharedClient, Timeouts, check_base_url};
use crate::blocking::blocking;
use crate::clock::wall_clock;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{
    FetcherService, ProfileFetch, ResumeFetch, UnfinishedRun, plan_fetch, stage_roots, stream_profiles, unfinished_runs,
};
use crate::load;
use crate::parse::RecordForm;
use crate::properties::PropertyInfo;
use crate::quota::Quota;
use crate::sql_value::SqlPart;
use crate::stage::{discard, sweep};
use crate::store;
use crate::types::{
    FetchEstimate, ObjectInfo, ProfileFetchResult, ProfileStreamResult, QuotaUsage, SqlResult, TableInfo, TableSchema,
    VerifyReport,
};

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

    /// Creates a workspace for an existing database, without credentials. Methods that need the API return
    /// `InvalidInput`.
    pub fn open(database: impl Into<PathBuf>) -> Self {
        Self {
            credentials: None,
            database: database.into(),
            options: ApiOptions::default(),
            client: SharedClient::default(),
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
    /// it.
    ///
    /// # Errors
    /// Same as [`fetch_profiles`](Self::fetch_profiles).
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
        stream_profiles(&self.connected().await?, &self.database, fetch, form, Box::new(sink)).await
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
        let usage = self.client()?.limiter().usage(wall_clock())?;
        Ok(QuotaUsage {
            used: usage.used,
            limit: usage.limit,
            reserve: usage.reserve,
            window_seconds: usage.window.as_secs(),
            next_free_at: usage.next_free_at.map(|moment| moment.to_string()),
        })
    }

    /// Returns the version of the DuckDB library, such as `v1.5.5`.
    ///
    /// # Errors
    /// `Storage` if the library cannot be used.
    pub fn duckdb_version() -> Result<String> {
        store::duckdb_version()
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

    /// Runs a read-only query on the database and returns all rows.
    ///
    /// Values are JSON. Integers beyond 64 bits, decimals beyond 15 digits and non-finite floats become text; dates and
    /// times become ISO 8601 text; blobs become hexadecimal text. A JSON column holds parsed values, whose numbers have
    /// 64-bit precision; [`sql_exact`](Self::sql_exact) returns their exact text. All rows are held in memory; for large
    /// results, see [`sql_each`](Self::sql_each).
    ///
    /// A query can access only the database: no files, no network, no extensions, no settings. It cannot spill to disk,
    /// and its memory limit is DuckDB's default, 80 % of the machine's memory. If there are several statements, all are
    /// run and the rows of the last one are returned.
    ///
    /// # Errors
    /// `Query` with DuckDB's message, which shows the position; `DatabaseNotFound`, `DatabaseLocked`,
    /// `DatabaseUnusable`, `Storage`.
    pub fn sql(&self, query: &str) -> Result<SqlResult> {
        store::rows(&self.database, query)
    }

    /// Runs a read-only query on the database and passes the column names, then each row, to callbacks, so that the
    /// result can have any size. Either callback can end the query.
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql); an error may occur after some rows were passed on.
    pub fn sql_each(
        &self,
        query: &str,
        columns: impl FnOnce(&[String]) -> ControlFlow<()>,
        row: impl FnMut(Vec<serde_json::Value>) -> ControlFlow<()>,
    ) -> Result<()> {
        store::each(&self.database, query, columns, row)
    }

    /// Runs the statements of a read-only query one after another and passes their results to a callback: the column
    /// names, then each row. Values are exact: JSON columns keep the stored text, and numbers all their digits. The
    /// callback can end the query.
    ///
    /// Statements that return no rows, such as `BEGIN`, have no result, unless no statement returns rows.
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql); an error may occur after some rows were passed on.
    pub fn sql_exact(&self, query: &str, part: impl FnMut(SqlPart<'_>) -> ControlFlow<()>) -> Result<()> {
        store::exact(&self.database, query, part)
    }

    /// Returns the number of statements in a query that return rows, without running it. A statement is judged by its
    /// first word.
    #[must_use]
    pub fn sql_result_count(query: &str) -> usize {
        store::result_count(query)
    }

    /// Writes the result of a query to a Parquet file, compressed with zstd, in the order of the result, and returns the
    /// number of rows. An existing file is overwritten; after an error its contents are undefined, so write to a
    /// temporary name.
    ///
    /// JSON columns keep the stored text. HUGEINT and UHUGEINT become DECIMAL(38,0), or text if a value has more digits;
    /// INTERVAL, BIT and TIMETZ become text; UNION becomes a JSON object with the name of its
    /// member. Columns of the same name are numbered. The metadata of
    /// the file contains the query, or, if `table` names the exported table, its project, run and filters.
    ///
    /// `memory` is the approximate memory budget of the process in bytes, as in
    /// [`RunOptions::memory`](crate::RunOptions::memory). A budget below 200 MB counts as 200 MB. Larger sorts and joins
    /// spill to a private directory beside the file, with `.spill` added to its name, which is removed at the end. While
    /// the export runs, this process cannot use the database for anything else. Blocks the thread.
    ///
    /// # Errors
    /// `Query` for a query that fails, has several statements or accesses files; `OutOfMemory` for one that needs more
    /// memory although it spills; `Storage` or `DiskFull` if the file cannot be written; `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`.
    pub fn export_parquet(&self, query: &str, table: Option<&str>, file: &Path, memory: u64) -> Result<u64> {
        store::export::parquet(&self.database, store::export::Export { query, table, file, memory })
    }

    /// Runs a query and returns the first value of the first row; `Null` if there are no rows.
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql).
    pub fn sql_scalar(&self, query: &str) -> Result<serde_json::Value> {
        store::scalar(&self.database, query)
    }

    /// Lists the tables in name order, excluding views and names that start with `_`.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        store::tables(&self.database)
    }

    /// Lists all tables and views in name order, including internal tables, whose names start with `_`.
    ///
    /// # Errors
    /// Same as [`tables`](Self::tables).
    pub fn objects(&self) -> Result<Vec<ObjectInfo>> {
        store::objects(&self.database)
    }

    /// Returns the properties of the profiles in a table or view, those that most profiles have first.
    ///
    /// Reads every row, so that the result also counts changes made since the last load; about 3 s for a million
    /// profiles of 1 KB. With more than [`PROPERTY_NAMES_MAX`](crate::limits::PROPERTY_NAMES_MAX) properties, the
    /// others are not listed.
    ///
    /// # Errors
    /// `InvalidInput` for a table without a column `properties`; otherwise the same as
    /// [`table_schema`](Self::table_schema).
    pub fn properties(&self, table: &str) -> Result<Vec<PropertyInfo>> {
        load::examine(&self.database, table)
    }

    /// Returns the columns of a table or view. The name is case-insensitive.
    ///
    /// # Errors
    /// `TableNotFound`, with the existing tables in [`Error::available_tables`]; otherwise the same as
    /// [`tables`](Self::tables).
    pub fn table_schema(&self, table: &str) -> Result<TableSchema> {
        store::table_schema(&self.database, table)
    }

    /// Reads a whole table and compares it with what the last load recorded: the number of rows, the uniqueness of ids,
    /// and the digest of the contents. Detects any later change, down to one digit; another load does not count as a
    /// change.
    ///
    /// # Errors
    /// `InvalidInput` for a table that no load recorded; otherwise the same as [`table_schema`](Self::table_schema). A
    /// table that differs from what was loaded is not an error: see [`VerifyReport::problems`].
    pub fn verify_table(&self, table: &str) -> Result<VerifyReport> {
        load::verify(&self.database, table)
    }

    /// Returns `rows` random rows of a table or view, or all of them if it has fewer.
    ///
    /// # Errors
    /// Same as [`table_schema`](Self::table_schema); `Query` if DuckDB cannot sample that many rows.
    pub fn sample(&self, table: &str, rows: u32) -> Result<SqlResult> {
        store::sample(&self.database, table, rows)
    }

    /// Like [`sample`](Self::sample), but passes the column names and the rows to a callback, with exact values as in
    /// [`sql_exact`](Self::sql_exact).
    ///
    /// # Errors
    /// Same as [`sample`](Self::sample).
    pub fn sample_exact(&self, table: &str, rows: u32, part: impl FnMut(SqlPart<'_>) -> ControlFlow<()>) -> Result<()> {
        store::sample_exact(&self.database, table, rows, part)
    }

    /// Drops tables and views, all or none.
    ///
    /// # Errors
    /// `TableNotFound`; `InvalidInput` for a name that starts with `_` or a table that others depend on; `DiskFull`;
    /// otherwise the same as [`tables`](Self::tables). After an error nothing has been dropped, unless only the final
    /// checkpoint failed.
    pub fn drop_tables(&self, tables: &[String]) -> Result<()> {
        store::drop_tables(&self.database, tables)
    }
}
