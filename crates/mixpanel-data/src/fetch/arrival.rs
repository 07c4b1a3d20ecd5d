//! What a source of parts says: what a part that arrived means, what one that failed means, and what an earlier process
//! left.

use std::collections::BTreeSet;

use crate::api::Failure;

use super::progress::FetchEvent;

/// What a part that arrived means.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) meaning: Meaning,
    /// What to tell the caller first.
    pub(super) events: Vec<FetchEvent>,
    /// Why the fetch cannot continue, if so.
    pub(super) fatal: Option<Failure>,
    /// Parts that are not worth another attempt.
    pub(super) hopeless: BTreeSet<u32>,
}

impl Arrival {
    /// Returns an arrival that means only this.
    pub(super) fn of(meaning: Meaning) -> Self {
        Self { meaning, events: Vec::new(), fatal: None, hopeless: BTreeSet::new() }
    }
}

/// What to do with a part that arrived.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Store it. `lacks` is a part that is given up because of it.
    Store { lacks: Option<(u32, Failure)> },
    /// It has fewer records than it should; request it again.
    TooShort { reason: String },
    /// There is no such part.
    PastEnd,
    /// The request returned nothing usable.
    Unusable(Failure),
}

/// What it means that a part failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// There is no such part, so nothing is lost.
    PastEnd,
    /// The part is missing.
    Part,
    /// No other part can be requested.
    Everything,
}

/// A part that an earlier process staged.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptPart {
    pub(super) part: u32,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

/// How a source continues what an earlier process began.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) epoch: u32,
    /// The staged parts that this run uses.
    pub(super) kept: Vec<KeptPart>,
    pub(super) event: Option<FetchEvent>,
}
