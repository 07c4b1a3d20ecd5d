//! The decisions of a source: how to handle parts that arrived or failed, and what to keep from an earlier process.

use std::collections::BTreeSet;

use crate::api::Failure;

use super::progress::FetchEvent;

/// The source's decision about a part that arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) meaning: Meaning,
    /// Events to report to the caller first.
    pub(super) events: Vec<FetchEvent>,
    /// The failure that prevents the fetch from continuing, if any.
    pub(super) fatal: Option<Failure>,
    /// Parts that are not worth another attempt.
    pub(super) hopeless: BTreeSet<u32>,
}

impl Arrival {
    /// Creates an arrival with this meaning and nothing else.
    pub(super) fn of(meaning: Meaning) -> Self {
        Self { meaning, events: Vec::new(), fatal: None, hopeless: BTreeSet::new() }
    }
}

/// What to do with a part that arrived.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Store it. `lacks` is another part to give up because of it.
    Store { lacks: Option<(u32, Failure)> },
    /// It has fewer records than it should; request it again.
    TooShort { reason: String },
    /// There is no such part.
    PastEnd,
    /// The request returned nothing usable.
    Unusable(Failure),
}

/// The consequence of a part's permanent failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// There is no such part, so nothing is lost.
    PastEnd,
    /// The part is missing.
    Part,
    /// No other part can be requested.
    Everything,
}

/// Parts that take the place of another one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Replacement {
    /// The event to report to the caller.
    pub(super) event: FetchEvent,
    /// Whether the replaced part was at fault, so that a run in which nothing arrives must not continue for ever.
    pub(super) is_fault: bool,
}

/// A part that an earlier process staged.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptPart {
    pub(super) part: u32,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

/// The state from which a source resumes a run.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) epoch: u32,
    /// The staged parts that this run uses.
    pub(super) kept: Vec<KeptPart>,
    pub(super) event: Option<FetchEvent>,
}
