//! The facade: one project, one database.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::api::{ApiClient, ApiOptions, NetworkVariables, Quota, Timeouts, check_base_url};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{FetcherService, ProfileFetch, ResumeFetch, plan_fetch, stream_profiles, unfinished_runs};
use crate::parse::RecordForm;
use crate::stage::{discard, sweep};
use crate::store;
use crate::types::{
    FetchPlan, ProfileFetchResult, ProfileStreamResult, SqlResult, TableInfo, TableSchema, UnfinishedRun, VerifyReport,
};

/// One project and one database, and everything that can be done with the two.
///
/// Methods that talk to Mixpanel are `async` and need a Tokio runtime; methods that only read the database block.
/// Nothing is opened before it is needed, and the database is never held open between calls.
#[derive(Debug, Clone)]
pub struct Workspace {
    credentials: Option<Credentials>,
    database: PathBuf,
    options: ApiOptions,
}

impl Workspace {
    /// Makes a workspace of a project and a database file, which need not exist yet.
    #[must_use]
    pub fn new(credentials: Credentials, database: impl Into<PathBuf>) -> Self {
        Self { credentials: Some(credentials), database: database.into(), options: ApiOptions::default() }
    }

    /// Makes a workspace for an existing database alone. Methods that need the API return `InvalidInput`.
    pub fn open(database: impl Into<PathBuf>) -> Self {
        Self { credentials: None, database: database.into(), options: ApiOptions::default() }
    }

    /// Sends requests to this server instead of Mixpanel's, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `InvalidInput` unless it is an `http` or `https` address of this machine's loopback interface: credentials never go
    /// elsewhere.
    pub fn with_base_url(mut self, base_url: &str) -> Result<Self> {
        check_base_url(base_url)?;
        self.options.base_url = Some(base_url.to_owned());
        Ok(self)
    }

    /// Sets how long the parts of a request may take.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.options.timeouts = timeouts;
        self
    }

    /// Remembers in this folder, made if need be, what the project's quota is used for, so that later runs and other
    /// processes keep to it together. Without it every workspace counts for itself.
    #[must_use]
    pub fn with_state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.state_folder = Some(folder.into());
        self
    }

    /// Sets the quota to keep to; default 60 counted requests an hour.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Self {
        self.options.quota = quota;
        self
    }

    /// Passes on what the environment says of proxies and certificates; by default Mixpanel is reached directly. What cannot
    /// be used is refused, with `InvalidInput`, by every call that would send something to Mixpanel.
    #[must_use]
    pub fn with_network(mut self, network: NetworkVariables) -> Self {
        self.options.network = network;
        self
    }

    /// Returns the database file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Fetches profiles into a table: every page is staged beside the database as it comes, and one load puts them into
    /// the table, in page order, without duplicates.
    ///
    /// Arguments, the database and the table are checked before the first request. Pages that fail for good are listed
    /// in the result, and the others are loaded, except into a table that was to be replaced: it stays as it was.
    ///
    /// # Errors
    /// An error means that nothing went into the table; [`Error::run_id`] is set when fetched pages remain staged.
    /// `InvalidInput`, `TableExists`, `DatabaseLocked`, `DatabaseUnusable`: before any request. `Unauthorized`,
    /// `PaymentRequired`, `Forbidden`: the server refused. `RateLimited`, `ServerError`, `Unreachable`,
    /// `UnexpectedReply`, `NotFound`, `Rejected`: page 0 could not be had. `Incomplete`: pages are missing from a
    /// replacement. `Cancelled`: the fetch's token was cancelled. `DiskFull`, `Storage`: staging or loading failed.
    ///
    /// # Cancellation
    /// Cancel the token of [`ProfileFetch::cancel_with`]. Dropping the future abandons the fetch and staged
    /// pages stay; a load that has begun goes on to its end.
    pub async fn fetch_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.client()?, self.database.clone()).fetch_profiles(fetch).await
    }

    /// Goes on with an unfinished run: asks for the pages that are not on disk, and loads. Pages that failed in a run whose
    /// other pages are in the table already are fetched the same way and join the table.
    ///
    /// If the server has forgotten the session, the run begins again from page 0 and says so: pages of two sessions are
    /// never mixed. A run that lacks nothing is loaded without a request.
    ///
    /// # Errors
    /// As [`fetch_profiles`](Self::fetch_profiles), and: `RunNotFound` when the table has no unfinished run; `RunBusy`,
    /// with the process in the detail `holding_pid`, when somebody works on it; `InvalidInput` when it belongs to another
    /// project or region, or was expected to have other filters.
    ///
    /// # Cancellation
    /// As [`fetch_profiles`](Self::fetch_profiles).
    pub async fn resume_fetch(&self, resume: ResumeFetch) -> Result<ProfileFetchResult> {
        FetcherService::new(self.client()?, self.database.clone()).resume_fetch(resume).await
    }

    /// Asks for page 0 alone, and says what the fetch would take. The page is kept: the same fetch into the same table goes
    /// on with it instead of asking again.
    ///
    /// # Errors
    /// As [`fetch_profiles`](Self::fetch_profiles).
    ///
    /// # Cancellation
    /// As [`fetch_profiles`](Self::fetch_profiles).
    pub async fn plan_fetch(&self, fetch: ProfileFetch) -> Result<FetchPlan> {
        plan_fetch(&self.client()?, &self.database, fetch).await
    }

    /// Lists the unfinished runs of the database, the newest first. A folder that cannot be read as a run is listed with
    /// the reason.
    ///
    /// # Errors
    /// `Storage` when the folder of the stages cannot be read.
    pub fn unfinished_runs(&self) -> Result<Vec<UnfinishedRun>> {
        sweep(&self.database);
        unfinished_runs(&self.database)
    }

    /// Removes an unfinished run and its pages for good. What is in the table stays.
    ///
    /// # Errors
    /// `RunNotFound`; `RunBusy` when somebody works on it; `Storage`.
    pub fn discard_run(&self, run_id: &str) -> Result<()> {
        sweep(&self.database);
        discard(&self.database, run_id)
    }

    /// Fetches profiles and hands them, one JSON text at a time and in page order, to `sink` instead of a table. A sink
    /// that breaks ends the fetch without error. The fetch's table and what to do when it exists have no meaning here.
    ///
    /// # Errors
    /// As [`fetch_profiles`](Self::fetch_profiles), without those about tables. Records may have been handed over before.
    ///
    /// # Cancellation
    /// As [`fetch_profiles`](Self::fetch_profiles); pages that wait for an earlier one are removed.
    pub async fn stream_profiles(
        &self,
        fetch: ProfileFetch,
        form: RecordForm,
        sink: impl FnMut(&str) -> ControlFlow<()> + Send + 'static,
    ) -> Result<ProfileStreamResult> {
        stream_profiles(&self.client()?, &self.database, fetch, form, Box::new(sink)).await
    }

    /// Asks for the project's event names, which costs one query, and returns how many there are.
    ///
    /// # Errors
    /// As [`ApiClient::event_names`].
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn test_credentials(&self) -> Result<usize> {
        Ok(self.client()?.event_names().await?.len())
    }

    /// Returns a client for the workspace's project.
    ///
    /// # Errors
    /// `InvalidInput` for a workspace without credentials.
    pub fn client(&self) -> Result<ApiClient> {
        let credentials = self.credentials.clone().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "this workspace was opened without credentials, for its database alone")
        })?;
        ApiClient::new(credentials, &self.options)
    }

    /// Runs a query on the database, read-only, and returns all its rows.
    ///
    /// Values are JSON: integers beyond 64 bits, decimals beyond 15 digits and non-finite floats are text, dates and
    /// times ISO 8601 text, blobs hexadecimal text. A JSON column holds parsed values, whose numbers have the precision
    /// of 64 bits; cast it to `VARCHAR` for the exact text. All rows are in memory at once: see
    /// [`sql_each`](Self::sql_each).
    ///
    /// Queries can reach nothing but the database: no files, no network, no extensions, no settings. They cannot spill
    /// to disk either, and may use what memory DuckDB takes by default, four fifths of the machine's. Of several
    /// statements all are run and the last one's rows returned.
    ///
    /// # Errors
    /// `Query` with DuckDB's text, which shows the place; `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`,
    /// `Storage`.
    pub fn sql(&self, query: &str) -> Result<SqlResult> {
        store::rows(&self.database, query)
    }

    /// Runs a query on the database, read-only, and hands over its rows one by one, so that any size will do: first the
    /// column names, then each row. Either may end it.
    ///
    /// # Errors
    /// As [`sql`](Self::sql); one may come after some of the rows.
    pub fn sql_each(
        &self,
        query: &str,
        columns: impl FnOnce(&[String]) -> ControlFlow<()>,
        row: impl FnMut(Vec<serde_json::Value>) -> ControlFlow<()>,
    ) -> Result<()> {
        store::each(&self.database, query, columns, row)
    }

    /// Returns the first value of the first row of a query; `Null` for no rows.
    ///
    /// # Errors
    /// As [`sql`](Self::sql).
    pub fn sql_scalar(&self, query: &str) -> Result<serde_json::Value> {
        store::scalar(&self.database, query)
    }

    /// Lists the tables, by name. Views, and names that start with `_`, are left out.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        store::tables(&self.database)
    }

    /// Returns the columns of a table or view. Its name is compared without regard to case.
    ///
    /// # Errors
    /// `TableNotFound`, with the tables there are in the detail `available_tables`; else as [`tables`](Self::tables).
    pub fn table_schema(&self, table: &str) -> Result<TableSchema> {
        store::table_schema(&self.database, table)
    }

    /// Reads a whole table and compares it with what the last load recorded: how many rows, each id once, and the digest
    /// of the contents. Whatever changed the table since is found, were it one digit; another load is not a change.
    ///
    /// # Errors
    /// `InvalidInput` for a table that no load recorded; else as [`table_schema`](Self::table_schema). A table that is
    /// not what was loaded is no error: see [`VerifyReport::problems`].
    pub fn verify_table(&self, table: &str) -> Result<VerifyReport> {
        store::verify(&self.database, table)
    }

    /// Returns `rows` random rows of a table or view, all of them if it has no more.
    ///
    /// # Errors
    /// As [`table_schema`](Self::table_schema); `Query` if DuckDB cannot sample so many rows.
    pub fn sample(&self, table: &str, rows: u32) -> Result<SqlResult> {
        store::sample(&self.database, table, rows)
    }

    /// Drops tables and views, all or none.
    ///
    /// # Errors
    /// `TableNotFound`; `InvalidInput` for a name that starts with `_` or a table that others depend on; `DiskFull`;
    /// else as [`tables`](Self::tables). Nothing is dropped then, unless writing the
    /// change from the log into the file is what failed.
    pub fn drop_tables(&self, tables: &[String]) -> Result<()> {
        store::drop_tables(&self.database, tables)
    }
}
