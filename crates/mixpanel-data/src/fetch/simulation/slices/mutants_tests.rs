//! Checks that the simulation of slices finds defects: every mutant must make at least one seed fail.

use crate::mutant::Mutant;

use super::seeds_tests::run_seeds;

/// Maximum number of seeds per mutant; the first few find most mutants.
const SEEDS: u64 = 200;

#[test]
fn every_mutant_of_slices_is_found() {
    let mut missed = Vec::new();
    for mutant in [
        Mutant::PlanNotRecorded,
        Mutant::ReplacedSliceFetched,
        Mutant::StagedPageRequested,
        Mutant::CommitNotChecked,
        Mutant::StageRemovedTooEarly,
    ] {
        match run_seeds(&(0..SEEDS).collect::<Vec<_>>(), Some(mutant)).1.into_iter().min() {
            Some((seed, how)) => {
                println!("mutant: {mutant:?}: seed {seed}: {}", how.lines().next().unwrap_or_default());
            }
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "the simulation does not find {missed:?}");
}
