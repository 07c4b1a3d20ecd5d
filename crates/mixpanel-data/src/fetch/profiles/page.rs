//! A page as the core sees it: the parsed response, and its metadata.

use crate::api::PageReply;
use crate::parse::{ProfileRows, Unstored, fingerprint};
use crate::types::ProfileWriteTask;

/// A parsed page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) facts: PageFacts,
    rows: ProfileRows,
}

/// The metadata of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    pub(crate) page: Option<u64>,
    pub(crate) page_size: Option<u64>,
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    /// Number of records, rejects included.
    pub(crate) received: u64,
    /// A hash of the record ids; see [`fingerprint`].
    pub(crate) fingerprint: u64,
    /// Size of the decoded response in bytes.
    pub(crate) bytes: usize,
}

impl From<PageReply> for Page {
    fn from(reply: PageReply) -> Self {
        let facts = PageFacts {
            page: reply.body.page,
            page_size: reply.body.page_size,
            session_id: reply.body.session_id,
            total: reply.body.total,
            received: reply.body.rows.received() as u64,
            fingerprint: fingerprint(&reply.body.rows),
            bytes: reply.bytes,
        };
        Self { facts, rows: reply.body.rows }
    }
}

impl Page {
    /// Returns the data in the page that has no table column.
    pub(crate) fn unstored(&self) -> &Unstored {
        self.rows.unstored()
    }

    /// Returns the number of rows, not counting rejects.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Keeps only the first `records` records. Announces at most `limit` profiles in all.
    pub(super) fn cut(&mut self, records: u64, limit: u64) {
        self.facts.total = self.facts.total.map(|total| total.min(limit));
        if self.facts.received > records {
            self.rows.truncate(usize::try_from(records).unwrap_or(usize::MAX));
            self.facts.received = self.rows.received() as u64;
            self.facts.fingerprint = fingerprint(&self.rows);
        }
    }

    /// Converts the page to a task for the writer.
    pub(crate) fn into_task(self, page_index: u32) -> ProfileWriteTask {
        ProfileWriteTask { page_index, rows: self.rows }
    }
}
