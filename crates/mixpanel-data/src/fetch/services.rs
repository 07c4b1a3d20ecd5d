//! Services that fetch profiles into a table, sequentially or in parallel.

use std::path::PathBuf;

use crate::api::ApiClient;
use crate::dataset::PROFILES;
use crate::error::Result;
use crate::profile_query::FetchMode;
use crate::types::{FetchResult, ParallelProfileResult, ProfileFetchResult};

use super::into_table::{fetch_into_table, resume_into_table};
use super::refresh::{RefreshStep, choose_step};
use super::report::TableReport;
use super::request::{ProfileFetch, ResumeFetch};

/// Fetches profiles into a table, sequentially or in parallel, as the [`ProfileFetch`] specifies.
///
/// Use it if you already have an [`ApiClient`]; a [`Workspace`](crate::Workspace) creates its own.
#[derive(Debug, Clone)]
pub struct FetcherService {
    client: ApiClient,
    database: PathBuf,
}

impl FetcherService {
    /// Creates the service without sending a request or opening the database file.
    pub fn new(client: ApiClient, database: impl Into<PathBuf>) -> Self {
        Self { client, database: database.into() }
    }

    /// Fetches profiles into a table. See [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles) for what
    /// applies to both modes.
    ///
    /// # Errors
    /// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    ///
    /// # Cancellation
    /// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    pub async fn fetch_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        if let FetchMode::Parallel { .. } = fetch.mode {
            let parallel = ParallelProfileFetcherService::new(self.client.clone(), self.database.clone());
            return parallel.fetch_profiles(fetch).await.map(ProfileFetchResult::Parallel);
        }
        fetch_into_table(&self.client, &self.database, fetch).await.map(sequential)
    }

    /// Brings a table up to date; see [`Workspace::refresh_profiles`](crate::Workspace::refresh_profiles).
    ///
    /// # Errors
    /// Same as [`Workspace::refresh_profiles`](crate::Workspace::refresh_profiles).
    ///
    /// # Cancellation
    /// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    pub async fn refresh_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        match choose_step(&self.client, &self.database, fetch).await? {
            RefreshStep::Fetch(fetch) => self.fetch_profiles(fetch).await,
            RefreshStep::Resume(resume) => self.resume_fetch(resume).await,
        }
    }

    /// Resumes an unfinished run; see [`Workspace::resume_fetch`](crate::Workspace::resume_fetch). The mode determines
    /// the variant of the result.
    ///
    /// # Errors
    /// Same as [`Workspace::resume_fetch`](crate::Workspace::resume_fetch).
    ///
    /// # Cancellation
    /// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    pub async fn resume_fetch(&self, resume: ResumeFetch) -> Result<ProfileFetchResult> {
        let (mode, report) = resume_into_table(&self.client, &self.database, &PROFILES, resume).await?;
        Ok(match mode {
            FetchMode::Sequential => sequential(report),
            FetchMode::Parallel { .. } => ProfileFetchResult::Parallel(report.into()),
        })
    }
}

/// Fetches profiles into a table with up to 5 requests in flight.
///
/// Page 0 supplies the session and the number of pages; the other pages follow in parallel. A single writer stages the
/// pages, and one load puts them into the table.
///
/// Use it instead of [`FetcherService`] if every fetch is parallel: the result then has a single type.
#[derive(Debug, Clone)]
pub struct ParallelProfileFetcherService {
    client: ApiClient,
    database: PathBuf,
}

impl ParallelProfileFetcherService {
    /// Creates the service without sending a request or opening the database file.
    pub fn new(client: ApiClient, database: impl Into<PathBuf>) -> Self {
        Self { client, database: database.into() }
    }

    /// Fetches profiles into a table, by default with 5 workers.
    ///
    /// Pages that fail for good are listed in the result; the others are loaded.
    ///
    /// # Errors
    /// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    ///
    /// # Cancellation
    /// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    pub async fn fetch_profiles(&self, fetch: ProfileFetch) -> Result<ParallelProfileResult> {
        fetch_into_table(&self.client, &self.database, fetch.parallel()).await.map(ParallelProfileResult::from)
    }
}

fn sequential(report: TableReport) -> ProfileFetchResult {
    ProfileFetchResult::Sequential(FetchResult {
        table: report.table,
        rows: report.rows,
        kind: PROFILES.kind,
        duration_seconds: report.duration_seconds,
        date_range: None,
        fetched_at: report.fetched_at,
        failed_page_indices: report.failed_pages,
        failed_date_ranges: Vec::new(),
        counts: report.counts,
        events: None,
        run_id: report.run_id,
        loaded: report.loaded,
    })
}

impl From<TableReport> for ParallelProfileResult {
    fn from(report: TableReport) -> Self {
        Self {
            table: report.table,
            rows: report.rows,
            total_rows: report.rows,
            successful_pages: report.staged_pages,
            failed_pages: u32::try_from(report.failed_pages.len()).unwrap_or(u32::MAX),
            failed_page_indices: report.failed_pages,
            duration_seconds: report.duration_seconds,
            fetched_at: report.fetched_at,
            counts: report.counts,
            run_id: report.run_id,
            loaded: report.loaded,
        }
    }
}
