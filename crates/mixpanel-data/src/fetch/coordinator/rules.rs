//! What a fetch keeps to.

use std::time::Duration;

use crate::drift::allowed_drift;
use crate::limits::{ALLOWED_DRIFT_PERCENT, FLIGHT_BYTES_MAX, MAX_WAIT, SESSION_RESTARTS_MAX};

/// What a fetch keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Requests at a time, at most.
    pub(crate) workers: u32,
    /// Times that it may begin again because the session was lost.
    pub(crate) restarts_max: u32,
    /// Longest time without a page, whatever is waited for.
    pub(crate) max_wait: Duration,
    /// Bytes of decoded pages in flight at most, requests under way counted with the largest page seen so far.
    pub(crate) flight_bytes: usize,
    /// Which pages it asks for.
    pub(crate) extent: Extent,
    /// How many percent fewer profiles than announced are taken for the drift of a live project, 0 to 100.
    pub(crate) allow_drift: f64,
}

/// Which pages a fetch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All.
    Whole,
    /// Page 0, to see what there is.
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
            allow_drift: ALLOWED_DRIFT_PERCENT,
        }
    }

    /// Returns how many profiles fewer than announced are accepted.
    pub(crate) fn drift_of(&self, total: u64) -> u64 {
        allowed_drift(total, self.allow_drift)
    }
}
