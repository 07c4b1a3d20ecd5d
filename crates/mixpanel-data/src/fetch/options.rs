//! Options shared by new fetches and resumed runs.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits::{ALLOWED_DRIFT_PERCENT, LOCK_WAIT, MAX_WAIT, MEMORY_DEFAULT, MEMORY_RANGE, PREFLIGHT_LOCK_WAIT};
use crate::memory::flight_bytes;

use super::rules::Rules;

/// Options of a run: maximum waits, memory budget, and which results to accept.
///
/// Pass it to [`ProfileFetch::options`](crate::ProfileFetch::options) or
/// [`ResumeFetch::options`](crate::ResumeFetch::options).
///
/// ```
/// use std::time::Duration;
///
/// use mixpanel_data::{ProfileFetch, RunOptions};
///
/// let options = RunOptions::new().memory(1_000_000_000).max_wait(Duration::from_secs(3_600));
/// let fetch = ProfileFetch::new("profiles").options(options);
/// # let _ = fetch;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    pub(crate) max_wait: Duration,
    /// `None` selects the defaults, which differ between the first request and the load.
    lock_wait: Option<Duration>,
    pub(crate) memory: u64,
    pub(crate) allow_drift: f64,
    pub(crate) allow_empty: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl RunOptions {
    /// Creates options with default values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_wait: MAX_WAIT,
            lock_wait: None,
            memory: MEMORY_DEFAULT,
            allow_drift: ALLOWED_DRIFT_PERCENT,
            allow_empty: false,
        }
    }

    /// Gives up after this long without a new page, whatever the reason, such as an exhausted quota. The default is
    /// [`MAX_WAIT`](crate::limits::MAX_WAIT), 24 hours.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Sets the maximum wait for another process that has the database open. It applies before the first request and
    /// before the load. The defaults are [`LOCK_WAIT`](crate::limits::LOCK_WAIT), 10 minutes, before the load, and
    /// [`PREFLIGHT_LOCK_WAIT`](crate::limits::PREFLIGHT_LOCK_WAIT), 2 seconds, before the first request of a new fetch.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = Some(wait);
        self
    }

    /// Sets the memory budget for the whole process, in bytes; range [`MEMORY_RANGE`](crate::limits::MEMORY_RANGE),
    /// default [`MEMORY_DEFAULT`](crate::limits::MEMORY_DEFAULT). With a smaller budget the load is slower, and fewer
    /// large pages are fetched at a time. Loading profiles of tens of kilobytes or more each may take two to three
    /// times the budget.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets the percentage of announced profiles that may be missing although all pages arrived, 0 to 100; default
    /// [`ALLOWED_DRIFT_PERCENT`](crate::limits::ALLOWED_DRIFT_PERCENT), 0.1. Unless it is 0, at least one missing
    /// profile is accepted. Accepted missing profiles are reported as `drift`; if more are missing, the fetch is
    /// incomplete.
    #[must_use]
    pub fn allow_drift(mut self, percent: f64) -> Self {
        self.allow_drift = percent;
        self
    }

    /// Allows an empty result to replace a table with rows. By default, the table is left unchanged and the fetch fails
    /// with `Incomplete`.
    #[must_use]
    pub fn allow_empty(mut self) -> Self {
        self.allow_empty = true;
        self
    }

    /// Checks that all options are in range. Every fetch does this before its first request.
    ///
    /// # Errors
    /// `InvalidInput` that names the option and the range.
    pub fn check(&self) -> Result<()> {
        if !(0.0..=100.0).contains(&self.allow_drift) {
            return Err(Error::invalid(format!("drift of {} percent: use 0 to 100", self.allow_drift)));
        }
        if MEMORY_RANGE.contains(&self.memory) {
            return Ok(());
        }
        let megabytes = |bytes: u64| bytes / 1_000_000;
        let (least, most) = (megabytes(*MEMORY_RANGE.start()), megabytes(*MEMORY_RANGE.end()));
        Err(Error::invalid(format!("memory of {} MB: use {least} to {most} MB", megabytes(self.memory))))
    }

    /// Returns how long the load waits for the database.
    pub(super) fn load_wait(&self) -> Duration {
        self.lock_wait.unwrap_or(LOCK_WAIT)
    }

    /// Returns how long the checks before the first request wait for the database.
    pub(super) fn preflight_wait(&self) -> Duration {
        self.lock_wait.unwrap_or(PREFLIGHT_LOCK_WAIT)
    }

    /// Returns the rules of a run with up to `workers` requests in flight.
    pub(super) fn rules(&self, workers: u32) -> Rules {
        Rules {
            max_wait: self.max_wait,
            flight_bytes: flight_bytes(self.memory),
            allow_drift: self.allow_drift,
            ..Rules::new(workers)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_range_and_bounds_bytes_in_flight() {
        for (megabytes, good) in [(199, false), (200, true), (1_000_000, true), (1_000_001, false)] {
            assert_eq!(RunOptions::new().memory(megabytes * 1_000_000).check().is_ok(), good, "{megabytes}");
        }
        let in_flight = |bytes| RunOptions::new().memory(bytes).rules(5).flight_bytes;
        assert_eq!(in_flight(200_000_000), 50_000_000);
        assert_eq!(in_flight(1_000_000_000_000), crate::limits::FLIGHT_BYTES_MAX);
    }
}
