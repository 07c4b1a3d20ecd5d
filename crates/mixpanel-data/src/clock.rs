//! The only module that reads a clock or draws random numbers; all other code receives the values as arguments.

#![expect(clippy::disallowed_methods, reason = "this is the module that the rule leaves them to")]

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use crate::limits::{CLOCK_PRECISION, CLOCK_TOLERANCE};

/// Measures elapsed time on a monotonic clock. On Linux, it keeps running while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Start);

#[cfg(target_os = "linux")]
type Start = Duration;
#[cfg(not(target_os = "linux"))]
type Start = std::time::Instant;

impl Stopwatch {
    #[cfg(target_os = "linux")]
    pub(crate) fn start() -> Self {
        Self(since_boot())
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn elapsed(self) -> Duration {
        since_boot().saturating_sub(self.0)
    }

    /// Starts a stopwatch on the clock of `std`, which may stop during sleep; waits are then longer by that time.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn start() -> Self {
        Self(Start::now())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the time since the machine started, including sleep; on Linux, the clock of `std` stops while the machine
/// sleeps.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Returns the current time, to the microsecond, which is DuckDB's precision.
pub(crate) fn wall_clock() -> Timestamp {
    timestamp_of(SystemTime::now())
}

/// Returns whether clocks that differ by this many seconds do not agree. A load is then recorded by the server's clock.
pub(crate) fn differs(seconds_ahead: i64) -> bool {
    seconds_ahead.unsigned_abs() > CLOCK_TOLERANCE.as_secs()
}

/// Converts a time of a clock that is ahead by this many seconds.
pub(crate) fn corrected(time: Timestamp, seconds_ahead: i64) -> Timestamp {
    time.checked_sub(SignedDuration::from_secs(seconds_ahead)).unwrap_or(time)
}

/// Converts a system time, limited to the years 1970 to 9998. Not every format can represent times outside that range,
/// and the limit leaves room to add some days to any time.
fn timestamp_of(time: SystemTime) -> Timestamp {
    const MICROSECONDS_MAX: u64 = 253_370_764_800_000_000;
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let microseconds = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX).min(MICROSECONDS_MAX);
    i64::try_from(microseconds).ok().and_then(|now| Timestamp::from_microsecond(now).ok()).unwrap_or_default()
}

/// Returns a random number from 0 to 1, excluding 1.
pub(crate) fn random_fraction() -> f64 {
    rand::random()
}

/// Returns a new run id: the current time in UTC to the millisecond, so that ids sort by age, and 32 random bits.
pub(crate) fn new_run_id() -> String {
    let now = wall_clock();
    let (moment, millis) = (now.strftime("%Y%m%dT%H%M%S"), now.subsec_millisecond());
    format!("{moment}{millis:03}Z-{:08x}", rand::random::<u32>())
}

/// Returns the creation time contained in a run id, to the second.
pub(crate) fn moment_of(run_id: &str) -> Option<Timestamp> {
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", run_id.get(..15)?).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(moment).ok()
}

/// When a run began: to the second or so by the server's clock, and to the millisecond by the local one, in its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunStart<'a> {
    /// The recorded start.
    pub(crate) at: Timestamp,
    /// The run, if it is known.
    pub(crate) run_id: Option<&'a str>,
}

impl RunStart<'_> {
    /// Returns whether this run began after the other one. If the recorded starts are too close, the ids decide.
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        let later_by = self.at.duration_since(other.at);
        match self.run_id.zip(other.run_id) {
            Some((own, others)) if later_by.unsigned_abs() <= CLOCK_PRECISION => own > others,
            _ => later_by.is_positive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_seconds_are_in_the_order_of_their_ids() {
        let older = "20261127T214650868Z-e83e27a8";
        let newer = "20261127T214650936Z-00000000";
        let is_after = |(at, run_id): (i64, Option<&str>), (other_at, other_id): (i64, Option<&str>)| {
            let start = |millis, run_id| RunStart { at: Timestamp::from_millisecond(millis).unwrap(), run_id };
            start(at, run_id).is_after(&start(other_at, other_id))
        };
        for (by, is_newer) in [(-2001, false), (-2000, true), (-999, true), (0, true), (999, true), (2001, true)] {
            assert_eq!(is_after((10_000 + by, Some(newer)), (10_000, Some(older))), is_newer, "{by} ms");
            assert_eq!(is_after((10_000, Some(older)), (10_000 + by, Some(newer))), !is_newer, "{by} ms");
            // Without ids, only the recorded starts can be compared.
            assert_eq!(is_after((10_000 + by, None), (10_000, Some(older))), by > 0, "{by} ms");
        }
        for by in [-2000, -1, 0, 1, 2000] {
            assert!(!is_after((10_000 + by, Some(older)), (10_000, Some(older))), "a run is not newer than itself");
        }
    }

    #[test]
    fn a_run_id_contains_its_start_time() {
        let (before, found) = (wall_clock().as_second(), moment_of(&new_run_id()).unwrap());
        assert!((0..=60).contains(&(found.as_second() - before)));
        for other in ["", "x", "20261124T0000", "20261199T000000000Z-00000000", "ä0261124T000000"] {
            assert_eq!(moment_of(other), None, "{other}");
        }
    }

    #[test]
    fn extreme_clock_values_do_not_panic() {
        let day = Duration::from_secs(86_400);
        let epoch = SystemTime::UNIX_EPOCH;
        let table = [
            (epoch.checked_sub(day * 40_000), "1970-01-01T00:00:00Z"),
            (epoch.checked_sub(day), "1970-01-01T00:00:00Z"),
            (Some(epoch), "1970-01-01T00:00:00Z"),
            (epoch.checked_add(Duration::from_nanos(1_764_086_400_123_456_789)), "2025-11-25T16:00:00.123456Z"),
            (epoch.checked_add(day * 4_000_000), "9999-01-01T00:00:00Z"),
            (epoch.checked_add(day * 900_000_000), "9999-01-01T00:00:00Z"),
        ];
        for (time, expected) in table {
            let time = time.expect("the system's times reach further");
            assert_eq!(timestamp_of(time).to_string(), expected);
        }
        let latest = timestamp_of(epoch.checked_add(day * 4_000_000).expect("a time"));
        assert!(latest.checked_add(jiff::SignedDuration::from_hours(24 * 300)).is_ok());
    }
}
