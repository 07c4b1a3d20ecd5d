//! What is measured of events.

use std::time::Duration;

/// The days of the table, and the number of days that one request is for.
pub(super) const DAYS: u64 = 400;
pub(super) const DAYS_PER_REQUEST: u64 = 10;
/// Days before today that are refreshed.
pub(super) const REFRESHED: u64 = 5;
/// The fetch from a slow server: one request per day, the time to the first byte, and concurrent requests.
pub(super) const SLOW_DAYS: u64 = 24;
pub(super) const SLOW_WORKERS: u64 = 8;
pub(super) const SLOW_LATENCY: Duration = Duration::from_secs(2);
/// How many exports `mp` starts within a time: Mixpanel allows three per second (`docs/mixpanel-api.md`, "Export
/// limits"), and a quarter of a second more allows for requests that are delayed on the way.
pub(super) const STARTS: u64 = 3;
pub(super) const STARTS_WITHIN: Duration = Duration::from_millis(1_250);

/// Returns the least time in which the slow server can answer [`SLOW_DAYS`] requests.
pub(super) fn slow_ideal() -> Duration {
    let waits = u32::try_from((SLOW_DAYS - 1) / STARTS).unwrap_or(u32::MAX);
    STARTS_WITHIN * waits + SLOW_LATENCY
}
