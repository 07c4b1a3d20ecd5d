//! Checks that the simulation finds defects: every mutant must make at least one seed fail.

use crate::mutant::{Mutant, Mutant::*};

use super::seeds_tests::{Engine, run_seeds};

/// Returns the mutant after this one. The match is exhaustive, so a new mutant cannot be forgotten.
fn after(mutant: Mutant) -> Option<Mutant> {
    Some(match mutant {
        CommitNotChecked => DuplicateKeptByArrival,
        DuplicateKeptByArrival => HaltTreatedAsComplete,
        HaltTreatedAsComplete => LoadLeavesRowsOut,
        LoadLeavesRowsOut => LoadShiftsTimes,
        LoadShiftsTimes => PageNotRenamed,
        PageNotRenamed => PageStagedTooEarly,
        PageStagedTooEarly => PermitLeaked,
        PermitLeaked => RejectNotCounted,
        RejectNotCounted => LostSessionUsed,
        LostSessionUsed => LostSessionNotAbandoned,
        LostSessionNotAbandoned => SessionNotChecked,
        SessionNotChecked => SessionRecordedTooLate,
        SessionRecordedTooLate => StagedPageRequested,
        StagedPageRequested => StageRemovedTooEarly,
        StageRemovedTooEarly => return None,
        // The simulation of slices finds these.
        PlanNotRecorded | ReplacedSliceFetched => return None,
    })
}

/// Maximum number of seeds per mutant; the first few find most mutants.
const SEEDS: u64 = 3_000;

/// Returns a seed that fails with the mutant, and its failure message.
fn found(mutant: Mutant) -> Option<(u64, String)> {
    let engine = match mutant {
        CommitNotChecked | DuplicateKeptByArrival | LoadLeavesRowsOut | LoadShiftsTimes => Engine::DuckDb,
        _ => Engine::Model,
    };
    run_seeds(&(0..SEEDS).collect::<Vec<_>>(), engine, Some(mutant)).1.into_iter().min()
}

#[test]
fn every_mutant_is_found() {
    let mut missed = Vec::new();
    for mutant in std::iter::successors(Some(CommitNotChecked), |mutant| after(*mutant)) {
        match found(mutant) {
            Some((seed, how)) => {
                println!("mutant: {mutant:?}: seed {seed}: {}", how.lines().next().unwrap_or_default());
            }
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "the simulation does not find {missed:?}");
}
