//! What the events depend on: the project, which never changes, and the state of its data.

use std::time::Duration;

use super::calendar::{DAY_MS, to_wall};
use super::odd::OddEvent;
use super::people::People;
use crate::config::SimulatorConfig;
use crate::event_options::{EventClock, EventOptions};
use crate::profiles::SIGNUP_DAYS;
use crate::project_profiles::reference;

/// The days before the reference time that can have events: the period of signups, and a day for the time zone.
const HISTORY_DAYS: u64 = SIGNUP_DAYS + 1;

/// The project whose events are generated.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(super) seed: u64,
    pub(super) people: People,
    pub(crate) options: EventOptions,
    /// The reference time in seconds since the epoch.
    pub(super) reference: u64,
    /// Generated sessions per session of the natural activity, in 65,536ths.
    pub(super) scale: u64,
}

/// The state of the data: which rows exist depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataState {
    /// The time in milliseconds since the epoch. Events that arrive later do not exist.
    pub(crate) now_ms: u64,
    /// The revision of the day.
    pub(crate) revision: u32,
}

impl Project {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        let people = People::new(config);
        let scale = match config.events.per_day {
            None => 1 << 16,
            Some(per_day) => scale(per_day, people.len()),
        };
        Self { seed: config.seed, people, options: config.events.clone(), reference: reference(config), scale }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the time of the data, in milliseconds since the epoch, a time after the simulator's start.
    pub(crate) fn now_ms(&self, since_start: Duration) -> u64 {
        let passed = match self.options.clock {
            EventClock::Frozen => self.options.elapsed,
            EventClock::Running => self.options.elapsed + since_start,
        };
        self.reference * 1_000 + u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the project's day at a time since the epoch.
    pub(crate) fn day_at(&self, now_ms: u64) -> u64 {
        to_wall(&self.options.timezone, now_ms) / DAY_MS
    }

    /// Returns whether an odd line of a day exists already.
    pub(super) fn has_odd(&self, odd: OddEvent, day: u64, state: DataState) -> bool {
        odd.exists(self.seed, &self.options.timezone, day, state.now_ms)
    }

    /// Returns the first day that can have events.
    pub(crate) fn first_day(&self) -> u64 {
        self.day_at(self.reference * 1_000) - HISTORY_DAYS
    }
}

/// Returns the scale at which this many people have this many events a day.
fn scale(per_day: u64, people: u64) -> u64 {
    /// The number of events per thousand people on a weekday near the reference time, checked by the test
    /// `the_number_of_events_is_about_what_is_asked_for`.
    const NATURAL_PER_THOUSAND: u64 = 300;
    let natural = (people * NATURAL_PER_THOUSAND / 1_000).max(1);
    u64::try_from((u128::from(per_day) << 16) / u128::from(natural)).unwrap_or(u64::MAX)
}
