//! The outcome of a run of events that sends no more requests.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Failure, FailureKind};
use crate::counts::FetchCounts;
use crate::stage::{SlicePlan, StagedPage};

use super::super::core::Outcome;

impl Outcome {
    /// Returns the outcome of a run whose slices that are not on disk count as missing.
    pub(in crate::fetch) fn of_slices(plan: &SlicePlan, staged: &[StagedPage]) -> Self {
        let on_disk: BTreeSet<u32> = staged.iter().map(|slice| slice.page).collect();
        let failure = Failure::new(FailureKind::Internal, "accepted as missing");
        let missing = plan.active().filter(|(part, _)| !on_disk.contains(part));
        let failed: BTreeMap<u32, Failure> = missing.map(|(part, _)| (part, failure.clone())).collect();
        let counts = FetchCounts {
            received: staged.iter().map(|slice| slice.rows + slice.rejected).sum(),
            rejected: staged.iter().map(|slice| slice.rejected).sum(),
            ..FetchCounts::default()
        };
        Self { counts, failed, staged: on_disk.into_iter().collect(), ..Self::empty() }
    }
}
