//! The only place that reads a clock or draws a random number; everything else is given the values.

#![expect(clippy::disallowed_methods, reason = "this is the module that the rule leaves them to")]

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Counts the time since it was made, on a clock that is never set back and goes on while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Moment);

#[cfg(target_os = "linux")]
type Moment = Duration;
#[cfg(not(target_os = "linux"))]
type Moment = std::time::Instant;

impl Stopwatch {
    #[cfg(target_os = "linux")]
    pub(crate) fn start() -> Self {
        Self(since_boot())
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn elapsed(self) -> Duration {
        since_boot().saturating_sub(self.0)
    }

    /// Elsewhere the clock of `std` does, or stands still during sleep; waits are then longer by that.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn start() -> Self {
        Self(Moment::now())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The clock of `std` stands still while Linux sleeps; this one does not.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Returns the time of day, to the microsecond: as fine as DuckDB keeps it.
pub(crate) fn wall_clock() -> Timestamp {
    timestamp_of(SystemTime::now())
}

/// A clock that says a year before 1970 or after 9998 is taken to say the nearest year between: what comes before or after
/// cannot be written everywhere, and times that are a few days off can still be computed with.
fn timestamp_of(time: SystemTime) -> Timestamp {
    const MICROSECONDS_MAX: u64 = 253_370_764_800_000_000;
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let microseconds = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX).min(MICROSECONDS_MAX);
    i64::try_from(microseconds).ok().and_then(|now| Timestamp::from_microsecond(now).ok()).unwrap_or_default()
}

/// Draws a number from 0 to 1, 1 excluded.
pub(crate) fn random_fraction() -> f64 {
    rand::random()
}

/// Makes the name of a run: the moment in UTC to the millisecond, so that names sort by age, and 32 random bits.
pub(crate) fn new_run_id() -> String {
    let now = wall_clock();
    let (moment, millis) = (now.strftime("%Y%m%dT%H%M%S"), now.subsec_millisecond());
    format!("{moment}{millis:03}Z-{:08x}", rand::random::<u32>())
}

/// Returns the moment in the name of a run, to the second.
pub(crate) fn moment_of(run_id: &str) -> Option<Timestamp> {
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", run_id.get(..15)?).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(moment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_run_tells_its_moment() {
        let (before, found) = (wall_clock().as_second(), moment_of(&new_run_id()).unwrap());
        assert!((0..=60).contains(&(found.as_second() - before)));
        for other in ["", "x", "20261124T0000", "20261199T000000000Z-00000000", "ä0261124T000000"] {
            assert_eq!(moment_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_clock_that_is_far_off_is_no_panic() {
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
