//! The steps that the coordinator returns, and what it is told about a page.

use std::time::Duration;

use crate::api::PageReply;
use crate::parse::fingerprint;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this request if the quota has room for it. Confirm it with [`sent`](super::Coordinator::sent), and report
    /// the result.
    Send(PageRequest),
    /// Do nothing before this time, unless something happens.
    WaitUntil(Duration),
    /// Do nothing until something happens.
    WaitForEvent,
    /// The fetch is over; see [`Coordinator::finish`](super::Coordinator::finish).
    Finish,
}

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRequest {
    /// The session epoch that it belongs to. Results of requests from an earlier epoch are ignored.
    pub(crate) epoch: u32,
    pub(crate) page: u32,
    pub(crate) session: Option<String>,
}

/// What to do with a page that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pass it to the writer, and report when it is staged.
    Store,
    /// Drop it: it is not the requested page, it will be requested again, or it only shows that nothing follows.
    Drop,
}

/// What a page says, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    pub(crate) page: Option<u64>,
    pub(crate) page_size: Option<u64>,
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    /// Number of records, rejects included.
    pub(crate) received: u64,
    /// A hash of the records' ids only; see [`fingerprint`].
    pub(crate) fingerprint: u64,
    /// Size of the decoded response in bytes.
    pub(crate) bytes: usize,
}

impl PageFacts {
    /// Returns the facts of a page.
    pub(crate) fn of(reply: &PageReply) -> Self {
        Self {
            page: reply.body.page,
            page_size: reply.body.page_size,
            session_id: reply.body.session_id.clone(),
            total: reply.body.total,
            received: reply.body.rows.received() as u64,
            fingerprint: fingerprint(&reply.body.rows),
            bytes: reply.bytes,
        }
    }
}
