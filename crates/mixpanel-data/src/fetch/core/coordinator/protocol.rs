//! The steps that the coordinator returns, and what it decides about a part.

use std::time::Duration;

use super::super::super::source::PageRequest;

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

/// What to do with a part that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pass it to the writer, and report when it is staged.
    Store,
    /// Drop it: it is not the requested part, it will be requested again, or it only shows that nothing follows.
    Drop,
}
