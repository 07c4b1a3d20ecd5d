//! The services that fetch profiles into a table, sequentially or in parallel.

use std::path::PathBuf;

use crate::api::ApiClient;
use crate::dataset::PROFILES;
use crate::error::Result;
use crate::profile_query::FetchMode;
use crate::types::{FetchResult, ParallelProfileResult, ProfileFetchResult};

use super::into_table::{fetch_into_table, resume_into_table};
use super::loading::TableReport;
use super::request::{ProfileFetch, ResumeFetch};

/// Fetches profiles into a table, in the mode of the fetch.
///
/// Use it to fetch with an [`ApiClient`] that you already have; [`Workspace`](crate::Workspace) makes its own client.
#[derive(Debug, Clone)]
pub struct FetcherService {
    client: ApiClient,
    database: PathBuf,
}

impl FetcherService {
    /// Creates the service for a client and a database file. Nothing is sent or opened.
    pub fn new(client: ApiClient, database: impl Into<PathBuf>) -> Self {
        Self { client, database: database.into() }
    }

    /// Fetches profiles into a table; [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles) describes what
    /// applies to both modes.
    ///
    /// # Errors
    /// As [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    ///
    /// # Cancellation
    /// As [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    pub async fn fetch_profiles(&self, fetch: ProfileFetch) -> Result<ProfileFetchResult> {
        if let FetchMode::Parallel { .. } = fetch.mode {
            let parallel = ParallelProfileFetcherService::new(self.client.clone(), self.database.clone());
            return parallel.fetch_profiles(fetch).await.map(ProfileFetchResult::Parallel);
        }
        fetch_into_table(&self.client, &self.database, fetch).await.map(sequential)
    }

    /// Resumes an unfinished run; see [`Workspace::resume_fetch`](crate::Workspace::resume_fetch). The mode decides the
    /// shape of the result.
    ///
    /// # Errors
    /// As [`Workspace::resume_fetch`](crate::Workspace::resume_fetch).
    ///
    /// # Cancellation
    /// As [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    pub async fn resume_fetch(&self, resume: ResumeFetch) -> Result<ProfileFetchResult> {
        let (mode, report) = resume_into_table(&self.client, &self.database, resume).await?;
        Ok(match mode {
            FetchMode::Sequential => sequential(report),
            FetchMode::Parallel { .. } => ProfileFetchResult::Parallel(report.into()),
        })
    }
}

/// Fetches page 0 for the number of pages and the session, then the others with up to 5 requests in flight. A single
/// writer stages the pages, and one load puts them into the table.
///
/// Use it instead of [`FetcherService`] if every fetch is parallel, so that the result has one type.
#[derive(Debug, Clone)]
pub struct ParallelProfileFetcherService {
    client: ApiClient,
    database: PathBuf,
}

impl ParallelProfileFetcherService {
    /// Creates the service for a client and a database file. Nothing is sent or opened.
    pub fn new(client: ApiClient, database: impl Into<PathBuf>) -> Self {
        Self { client, database: database.into() }
    }

    /// Fetches profiles into a table. The default is 5 workers.
    ///
    /// Pages that fail for good are listed in the result, and the other pages are loaded.
    ///
    /// # Errors
    /// As [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
    ///
    /// # Cancellation
    /// As [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
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
        counts: report.counts,
        run_id: report.run_id,
    })
}

impl From<TableReport> for ParallelProfileResult {
    fn from(report: TableReport) -> Self {
        Self {
            table: report.table,
            total_rows: report.rows,
            successful_pages: report.staged_pages,
            failed_pages: u32::try_from(report.failed_pages.len()).unwrap_or(u32::MAX),
            failed_page_indices: report.failed_pages,
            duration_seconds: report.duration_seconds,
            fetched_at: report.fetched_at,
            counts: report.counts,
            run_id: report.run_id,
        }
    }
}
