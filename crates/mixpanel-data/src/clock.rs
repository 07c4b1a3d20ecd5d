//! The only place that reads a clock or draws a random number; everything else is given the values.

#![expect(clippy::disallowed_methods, reason = "this is the module that the rule leaves them to")]

use std::time::Duration;

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
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
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
