//! Mutants: defects that can be activated one at a time, to check that the simulation finds them.
//!
//! Each belongs to a branch where a mistake could lose or corrupt data. Only the library's own tests can activate one:
//! in other builds, [`is_active`] is a constant `false`. `fetch/simulation/mutants_tests.rs` activates every one.

/// A deliberate defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// After a crash, the next process does not check whether the load was committed.
    CommitNotChecked,
    /// Of several rows with the same id, the last to arrive is kept instead of the most recently seen.
    DuplicateKeptByArrival,
    /// A halted run is treated as complete, although a page may follow the last one.
    HaltTreatedAsComplete,
    /// The load leaves rows out.
    LoadLeavesRowsOut,
    /// The load adds an hour to `last_seen`.
    LoadShiftsTimes,
    /// The plan of the slices is not recorded when it changes.
    PlanNotRecorded,
    /// A slice that others replace is fetched as well.
    ReplacedSliceFetched,
    /// A page counts as staged although its file was not renamed.
    PageNotRenamed,
    /// A page counts as staged as soon as it is passed to the writer.
    PageStagedTooEarly,
    /// A failed connection keeps its permit, and so its slot in the quota ledger.
    PermitLeaked,
    /// Rejects of a page are not counted.
    RejectNotCounted,
    /// Pages of a lost session are used in the next one.
    LostSessionUsed,
    /// Requests of a lost session stay in flight.
    LostSessionNotAbandoned,
    /// A response from another session is accepted.
    SessionNotChecked,
    /// A session is recorded after its first page.
    SessionRecordedTooLate,
    /// A page on disk is requested again after a resume.
    StagedPageRequested,
    /// The stage is removed although the load failed.
    StageRemovedTooEarly,
}

/// Returns whether a mutant is active.
#[cfg(not(test))]
#[inline]
pub(crate) const fn is_active(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Returns whether a mutant is active on this thread.
#[cfg(test)]
pub(crate) fn is_active(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Activates a mutant on this thread in place of the previous one; `None` deactivates it.
#[cfg(test)]
pub(crate) fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}
