//! The only place that reads a clock or draws a random number; everything else is given the values.

#![expect(clippy::disallowed_methods, reason = "this is the module that the rule leaves them to")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Counts the time since it was made, on a clock that is never set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the time of day, to the microsecond: as fine as DuckDB keeps it.
pub(crate) fn wall_clock() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Draws a number from 0 to 1, 1 excluded.
pub(crate) fn random_fraction() -> f64 {
    rand::random()
}

/// Makes the name of a run: the moment in UTC, so that names sort by age, and 32 random bits.
pub(crate) fn new_run_id() -> String {
    let moment = wall_clock().strftime("%Y%m%dT%H%M%SZ");
    format!("{moment}-{:08x}", rand::random::<u32>())
}
