//! Fetches profiles several pages at a time.

use std::path::PathBuf;

use crate::api::ApiClient;
use crate::error::Result;
use crate::types::ParallelProfileResult;

use super::loading::TableReport;
use super::pipeline::fetch_into_table;
use super::request::ProfileFetch;

/// Fetches page 0 for the number of pages and the session, then the others with at most 5 requests at a time; one
/// writer stages what comes, and one load puts it into the table.
#[derive(Debug, Clone)]
pub struct ParallelProfileFetcherService {
    client: ApiClient,
    database: PathBuf,
}

impl ParallelProfileFetcherService {
    /// Makes the service for a client and a database file. Nothing is sent or opened.
    pub fn new(client: ApiClient, database: impl Into<PathBuf>) -> Self {
        Self { client, database: database.into() }
    }

    /// Fetches profiles into a table. A fetch that does not say how many workers it wants gets 5.
    ///
    /// Pages that fail for good are listed in the result, and those that came are loaded all the same.
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
