//! Fetches profiles several pages at a time.

use std::path::PathBuf;

use crate::api::ApiClient;
use crate::error::Result;
use crate::types::ParallelProfileResult;

use super::into_table::fetch_into_table;
use super::loading::TableReport;
use super::request::ProfileFetch;

/// Fetches page 0 for the number of pages and the session, then the others with up to 5 requests in flight. A single
/// writer stages the pages, and one load puts them into the table.
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
