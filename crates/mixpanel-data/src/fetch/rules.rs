//! The limits and options of a fetch.

use std::time::Duration;

use crate::drift::allowed_drift;
use crate::limits::{ALLOWED_DRIFT_PERCENT, FLIGHT_BYTES_MAX, MAX_WAIT, SESSION_RESTARTS_MAX};

/// The limits and options of a fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Maximum number of requests in flight.
    pub(crate) workers: u32,
    /// Maximum number of restarts after a lost session.
    pub(crate) restarts_max: u32,
    /// Maximum time without a new page, whatever the reason.
    pub(crate) max_wait: Duration,
    /// Maximum total size of decoded pages in flight, in bytes. Every page is assumed to be as large as the largest one
    /// so far.
    pub(crate) flight_bytes: usize,
    /// Which pages to request.
    pub(crate) extent: Extent,
    /// Maximum number of records of a sample. Pages beyond it are not requested, and the last one is cut.
    pub(crate) limit: Option<u64>,
    /// Percentage of the announced profiles that may be missing, 0 to 100: a live project changes during the fetch.
    pub(crate) allow_drift: f64,
}

/// Which pages a fetch requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All pages.
    Whole,
    /// Only page 0, for an estimate.
    FirstPage,
}

impl Rules {
    pub(crate) fn new(workers: u32) -> Self {
        Self {
            workers: workers.max(1),
            restarts_max: SESSION_RESTARTS_MAX,
            max_wait: MAX_WAIT,
            flight_bytes: FLIGHT_BYTES_MAX,
            extent: Extent::Whole,
            limit: None,
            allow_drift: ALLOWED_DRIFT_PERCENT,
        }
    }

    /// Returns how many records of a page belong to the fetch: all, or those before the end of the sample.
    pub(crate) fn records_of(&self, page: u32, page_size: u64) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(u64::from(page).saturating_mul(page_size)))
    }

    /// Returns whether every profile that the filters select is requested.
    pub(crate) fn requests_all(&self) -> bool {
        self.extent == Extent::Whole && self.limit.is_none()
    }

    /// Returns how many of the `total` announced profiles may be missing.
    pub(crate) fn drift_of(&self, total: u64) -> u64 {
        allowed_drift(total, self.allow_drift)
    }
}
