//! How many cases are tried, and what becomes of those that fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tools::skip_unless;

/// How long a stress test takes: `MP_PROVE`, which is `long` or `quick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// All cases.
    Long,
    /// A few of each, for every day.
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

    /// Chooses between two values.
    pub(crate) fn pick<T>(self, long: T, quick: T) -> T {
        match self {
            Self::Long => long,
            Self::Quick => quick,
        }
    }
}

/// The seed of what is drawn at random: `MP_PROVE_SEED`, or another one each time.
pub(crate) fn seed() -> u64 {
    match std::env::var("MP_PROVE_SEED") {
        Ok(seed) => seed.parse().expect("MP_PROVE_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos().into()),
    }
}

/// Says whether the program has the places at which it can be killed.
pub(crate) fn has_kill_points() -> bool {
    skip_unless(cfg!(feature = "kill-points"), "mp was built without the feature `kill-points`")
}

/// The cases that failed. All are run, so that one hides no other.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Vec<String>>);

impl Failures {
    /// Runs a case; its panic is reported at the end.
    pub(crate) fn watch(&self, case: &str, run: impl FnOnce()) {
        eprintln!("{case}");
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            eprintln!("FAILED: {case}");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(case.to_owned());
        }
    }

    /// Panics with the cases that failed, if there are any.
    pub(crate) fn check(self) {
        let failed = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(failed.is_empty(), "{} cases failed; the reasons are above:\n{}", failed.len(), failed.join("\n"));
    }
}
