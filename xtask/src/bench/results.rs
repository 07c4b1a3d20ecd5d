//! The results of the benchmarks.

use std::time::Duration;

use super::run::Runs;
use super::scenario::Scenario;

/// A scenario with its runs.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) scenario: Scenario,
    pub(super) runs: Runs,
}

/// The loads for one number of profiles.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    /// The number of profiles in the JSONL file, the same as in the scenarios.
    pub(super) profiles: u64,
    /// The number of staged profiles, rounded up to full pages.
    pub(super) staged: u64,
    /// DuckDB alone, from the JSONL file; the time of its statements only.
    pub(super) jsonl: Option<Runs>,
    /// DuckDB alone, from the staged pages; the time of its statements only.
    pub(super) pages: Option<Runs>,
    /// `mp`, from the staged pages; excludes the startup time of the process.
    pub(super) ours: Runs,
}

impl Loads {
    /// Returns the load time of `mp`, scaled to the number of profiles in the scenarios.
    pub(super) fn load(&self) -> Duration {
        let share = u32::try_from(self.profiles).unwrap_or(u32::MAX);
        let of = u32::try_from(self.staged.max(1)).unwrap_or(u32::MAX);
        self.ours.wall() * share / of
    }
}

/// The results of the benchmarks of events.
#[derive(Clone, Debug, Default)]
pub(super) struct EventResults {
    /// The number of events in the table.
    pub(super) events: u64,
    /// DuckDB alone, from a JSONL file; the time of its statements only.
    pub(super) alone: Option<Runs>,
    /// Fetches of all days.
    pub(super) all: Option<Runs>,
    /// The number of events, and the fetch, of three times as many; not with `--quick`.
    pub(super) large: Option<(u64, Runs)>,
    /// Fetches of the last days into a new database, into the table that has only these days, and into the table of all
    /// days.
    pub(super) few: Option<Runs>,
    pub(super) few_again: Option<Runs>,
    pub(super) refreshed: Option<Runs>,
    /// Funnels over the table of all days.
    pub(super) funnel: Option<Runs>,
    /// Fetches from a slow server.
    pub(super) slow: Option<Runs>,
}

/// All results.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) fetches: Vec<Measured>,
    pub(super) loads: Vec<Loads>,
    /// The time of `mp --version`.
    pub(super) version: Duration,
    /// The query on the database of a million profiles: its time, and the size of the database in bytes.
    pub(super) query: Option<(Duration, u64)>,
    /// The fetch of a million profiles with a low memory limit.
    pub(super) limited: Option<Measured>,
    pub(super) events: EventResults,
}

impl Results {
    pub(super) fn fetch(&self, scenario: Scenario) -> Option<&Runs> {
        self.fetches.iter().find(|measured| measured.scenario == scenario).map(|measured| &measured.runs)
    }

    pub(super) fn loads(&self, profiles: u64) -> Option<&Loads> {
        self.loads.iter().find(|loads| loads.profiles == profiles)
    }

    /// Returns the ideal time of a scenario: the time spent waiting for the server or, without latency, the time in
    /// which DuckDB alone loads the same profiles.
    pub(super) fn ideal(&self, scenario: &Scenario) -> Option<Duration> {
        let waiting = scenario.waiting();
        if !waiting.is_zero() {
            return Some(waiting);
        }
        self.loads(scenario.profiles)?.jsonl.as_ref().map(Runs::wall)
    }
}
