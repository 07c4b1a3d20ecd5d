//! What the coordinator answers, and what it is told of a page.

use std::time::Duration;

use crate::api::PageReply;
use crate::parse::fingerprint;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this request, if the quota has room for it; say so with [`sent`](super::Coordinator::sent), and report what
    /// came of it.
    Send(PageRequest),
    /// Nothing before this moment, unless something happens.
    WaitUntil(Duration),
    /// Nothing until something happens.
    WaitForEvent,
    /// The fetch is over; see [`Coordinator::finish`](super::Coordinator::finish).
    Finish,
}

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRequest {
    /// Which session of the run it belongs to. What comes of a request of an earlier one is dropped unseen.
    pub(crate) epoch: u32,
    pub(crate) page: u32,
    pub(crate) session: Option<String>,
}

/// What to do with a page that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it to the writer, and report when it is staged.
    Store,
    /// Drop it: it is not the page that was asked for, it is to be asked for again, or it only shows that nothing follows.
    Drop,
}

/// What a page says, less its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    pub(crate) page: Option<u64>,
    pub(crate) page_size: Option<u64>,
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    /// Records, rejects included.
    pub(crate) received: u64,
    /// A number that depends on the ids of the records alone; see [`fingerprint`](crate::parse::fingerprint).
    pub(crate) fingerprint: u64,
    /// Size of the decoded reply.
    pub(crate) bytes: usize,
}

impl PageFacts {
    /// The facts of a page.
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
