//! A part as the core sees it: its request, and what is known about it once it has arrived.

use crate::quota::RequestClass;
use crate::slice::{Slice, SliceFacts};

use super::profiles::PageFacts;

/// A request to send for a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartRequest {
    /// The session epoch that it belongs to. Results of requests from an earlier epoch are ignored.
    pub(crate) epoch: u32,
    /// The number of the part: the page index, or the number of the slice in the plan.
    pub(crate) part: u32,
    pub(crate) what: Requested,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Requested {
    /// A page of profiles, in this session.
    Page { session: Option<String> },
    /// A slice of events.
    Slice(Slice),
}

impl PartRequest {
    /// Returns the session that the request names.
    pub(crate) fn session(&self) -> Option<&str> {
        match &self.what {
            Requested::Page { session } => session.as_deref(),
            Requested::Slice(_) => None,
        }
    }

    /// Returns the quota class of the request, which depends on whether it opens a session.
    pub(crate) fn class(&self) -> RequestClass {
        if self.session().is_some() { RequestClass::Session } else { RequestClass::Opening }
    }
}

/// The size of a slice that arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SliceSize {
    /// Number of records, rejects included.
    pub(crate) received: u64,
    /// Size of the decoded response in bytes.
    pub(crate) bytes: u64,
}

impl SliceSize {
    /// Returns the size of a received slice.
    pub(crate) fn of(facts: &SliceFacts) -> Self {
        Self { received: facts.rows + facts.rejected, bytes: facts.bytes }
    }
}

/// The metadata of a part that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PartFacts<'a> {
    Page(&'a PageFacts),
    Slice(SliceSize),
}

impl PartFacts<'_> {
    /// Returns the number of records, rejects included.
    pub(super) fn received(self) -> u64 {
        match self {
            Self::Page(facts) => facts.received,
            Self::Slice(size) => size.received,
        }
    }

    /// Returns the memory that the part takes until it is staged, in bytes. A slice is already on disk when it arrives.
    pub(super) fn memory(self) -> usize {
        match self {
            Self::Page(facts) => facts.bytes,
            Self::Slice(_) => 0,
        }
    }
}

impl<'a> From<&'a PageFacts> for PartFacts<'a> {
    fn from(facts: &'a PageFacts) -> Self {
        Self::Page(facts)
    }
}

impl From<SliceSize> for PartFacts<'_> {
    fn from(size: SliceSize) -> Self {
        Self::Slice(size)
    }
}
