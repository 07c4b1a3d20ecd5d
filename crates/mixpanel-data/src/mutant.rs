//! Defects that are planted on purpose, one at a time, to see that the simulation finds them.
//!
//! Each is a branch where a mistake would hurt. Only the library's own tests can take it: elsewhere [`is_planted`] is a
//! constant `false`. `fetch/simulation/mutants_test.rs` plants every one.

/// A planted defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// After a crash, nobody looks whether the load was committed.
    CommitNotLookedFor,
    /// Of rows with one id the last to arrive stays, not the last seen.
    DuplicateKeptByArrival,
    /// A run that was halted forgets that a page may follow the last one.
    HaltTakenForWhole,
    /// The load leaves rows out.
    LoadLeavesRowsOut,
    /// The load changes times.
    LoadShiftsTimes,
    /// A page counts as staged although its file was not renamed.
    PageNotRenamed,
    /// A page counts as staged as soon as it is handed to the writer.
    PageStagedTooEarly,
    /// A failed connection keeps its slot of the quota.
    PermitLeaked,
    /// Rejects of a page are not counted.
    RejectNotCounted,
    /// Pages of a lost session are used in the next one.
    LostSessionUsed,
    /// Requests of a lost session stay in flight.
    LostSessionNotAbandoned,
    /// A reply that names another session is used.
    SessionNotChecked,
    /// A session is recorded after its first page.
    SessionRecordedTooLate,
    /// A page on disk is requested again after a resume.
    StagedPageRequested,
    /// The stage is removed although the load failed.
    StageRemovedTooEarly,
}

/// Says whether a defect is planted.
#[cfg(not(test))]
#[inline]
pub(crate) const fn is_planted(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Says whether a defect is planted in what this thread does.
#[cfg(test)]
pub(crate) fn is_planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Plants a defect in what this thread does from now on, instead of the one before.
#[cfg(test)]
pub(crate) fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}
