//! The steps that the coordinator returns, and its decisions about parts.

use std::time::Duration;

use super::super::super::part::PartRequest;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this request if the quota has room for it. Confirm with [`sent`](super::Coordinator::sent), and report the
    /// result.
    Send(PartRequest),
    /// Wait for an event until this time.
    WaitUntil(Duration),
    /// Wait for an event.
    WaitForEvent,
    /// The fetch is over; see [`Coordinator::finish`](super::Coordinator::finish).
    Finish,
}

/// What to do with a part that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartDecision {
    /// Pass it to the writer, and report when it is staged.
    Store,
    /// Drop it: it is unusable, will be requested again, or is past the end.
    Drop,
}
