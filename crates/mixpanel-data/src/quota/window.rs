//! The ledger's time unit, request classes, and the quota in that unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

use super::pool::Pool;
use super::setting::Quota;

/// A time or a duration, in microseconds; times are measured from 1970.
pub(super) type Micros = i64;

/// Whether a request belongs to a session, which decides whether it counts (`docs/mixpanel-api.md#what-counts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RequestClass {
    /// Without a session: always counted.
    #[serde(rename = "o")]
    Opening,
    /// A page of a session: not counted, unless a 429 shows otherwise.
    #[serde(rename = "s")]
    Session,
}

/// A quota in the units of the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowParams {
    /// Requests that the server allows in the window.
    pub(super) requests: usize,
    /// Requests that may be used here: the quota minus the reserve.
    pub(super) usable: usize,
    pub(super) window: Micros,
    /// Extra time to wait after the window has passed.
    pub(super) margin: Micros,
    /// Like `margin`, for a request that was never answered; at least `margin`.
    pub(super) grace: Micros,
    /// Maximum number of requests in flight.
    pub(super) slots: usize,
    /// Maximum number of requests that may be sent within a time, margin included.
    pub(super) starts: Option<(usize, Micros)>,
}

impl WindowParams {
    pub(super) fn new(quota: &Quota, pool: Pool) -> Self {
        let margin = (quota.window / limits::QUOTA_MARGIN_DIVISOR).max(limits::QUOTA_MARGIN_MIN);
        let grace = (quota.window / limits::QUOTA_GRACE_DIVISOR).max(margin);
        Self {
            requests: quota.requests as usize,
            usable: quota.usable() as usize,
            window: micros(quota.window),
            margin: micros(margin),
            grace: micros(grace),
            slots: pool.slots,
            starts: pool.starts.map(|pace| (pace.starts, micros(pace.within))),
        }
    }
}

/// Converts a duration to microseconds, saturating at `Micros::MAX`.
pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}
