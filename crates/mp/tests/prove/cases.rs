//! The number of cases, and the collection of failed ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tools::skip_unless;

/// The length of a stress test, from `MP_PROVE`: `long` or `quick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// All cases.
    Long,
    /// A few cases of each kind, for everyday use.
    Quick,
}

impl Length {
    pub(crate) fn wanted() -> Self {
        match std::env::var("MP_PROVE").as_deref() {
            Ok("long") => Self::Long,
            Ok("quick") | Err(_) => Self::Quick,
            Ok(other) => panic!("MP_PROVE is {other:?}, and should be `long` or `quick`"),
        }
    }

    /// Returns the value for this length.
    pub(crate) fn pick<T>(self, long: T, quick: T) -> T {
        match self {
            Self::Long => long,
            Self::Quick => quick,
        }
    }
}

/// Returns the random seed: `MP_PROVE_SEED`, or a different one on each run.
pub(crate) fn seed() -> u64 {
    match std::env::var("MP_PROVE_SEED") {
        Ok(seed) => seed.parse().expect("MP_PROVE_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos().into()),
    }
}

/// Returns whether `mp` was built with kill points.
pub(crate) fn has_kill_points() -> bool {
    skip_unless(cfg!(feature = "kill-points"), "mp was built without the feature `kill-points`")
}

/// The failed cases. All cases are run, even after a failure.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Vec<String>>);

impl Failures {
    /// Runs a case and records its panic, which [`check`](Self::check) reports.
    pub(crate) fn watch(&self, case: &str, run: impl FnOnce()) {
        eprintln!("{case}");
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            eprintln!("FAILED: {case}");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(case.to_owned());
        }
    }

    /// Panics with the failed cases, if any.
    pub(crate) fn check(self) {
        let failed = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(failed.is_empty(), "{} cases failed; the reasons are above:\n{}", failed.len(), failed.join("\n"));
    }
}
