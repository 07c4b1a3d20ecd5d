//! All that was measured, as tables.

use std::time::Duration;

use super::alone::Loads;
use super::plot::Bar;
use super::run::{Measured, Run, Runs};
use super::scenario::{Mode, Scenario, grouped};
use super::startup::Query;
use super::table::{Align, Table};
use super::targets;

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) fetches: Vec<Measured>,
    pub(super) loads: Vec<Loads>,
    /// Of `mp --version`.
    pub(super) version: Duration,
    /// A query on the database of a million.
    pub(super) query: Option<Query>,
    /// The million with little memory.
    pub(super) limited: Option<Measured>,
}

impl Results {
    pub(super) fn fetch(&self, scenario: Scenario) -> Option<&Runs> {
        self.fetches.iter().find(|measured| measured.scenario == scenario).map(|measured| &measured.runs)
    }

    pub(super) fn loads(&self, profiles: u64) -> Option<&Loads> {
        self.loads.iter().find(|loads| loads.profiles == profiles)
    }

    /// The time that a scenario would take at best: that of waiting for the server; if it does not make one wait, that
    /// of DuckDB alone for the same profiles.
    pub(super) fn ideal(&self, scenario: &Scenario) -> Option<Duration> {
        let waiting = scenario.waiting();
        if !waiting.is_zero() {
            return Some(waiting);
        }
        self.loads(scenario.profiles)?.jsonl.as_ref().map(Runs::wall)
    }

    /// How many times the ideal each scenario takes.
    pub(super) fn bars(&self) -> Vec<Bar> {
        let bar = |Measured { scenario, runs }: &Measured| {
            let ratio = ratio(runs.wall(), self.ideal(scenario)?);
            Some(Bar { scenario: *scenario, ratio })
        };
        self.fetches.iter().filter_map(bar).collect()
    }

    /// Everything, in the order in which one wants to read it.
    pub(super) fn tables(&self) -> Vec<Table> {
        vec![targets::table(&targets::judge(self)), self.fetch_table(), self.load_table()]
    }

    fn fetch_table(&self) -> Table {
        let columns = [
            ("profiles", Align::Right),
            ("a page", Align::Right),
            ("latency", Align::Right),
            ("mode", Align::Left),
            ("wall s", Align::Right),
            ("profiles/s", Align::Right),
            ("ideal s", Align::Right),
            ("wall/ideal", Align::Right),
            ("CPU s", Align::Right),
            ("simulator CPU s", Align::Right),
            ("peak MiB", Align::Right),
            ("database MiB", Align::Right),
            ("runs", Align::Right),
        ];
        let limited = self.limited.iter().map(|measured| (measured, ", 256 MB"));
        let all = self.fetches.iter().map(|measured| (measured, "")).chain(limited);
        let rows = all.map(|(measured, suffix)| self.fetch_row(measured, suffix)).collect();
        Table { title: "Fetches", columns: columns.to_vec(), rows }
    }

    fn fetch_row(&self, Measured { scenario, runs }: &Measured, suffix: &str) -> Vec<String> {
        let Scenario { profiles, page_size, latency, mode } = *scenario;
        let Run { wall, usage, simulator_cpu, database } = runs.median();
        let ideal = self.ideal(scenario);
        vec![
            grouped(profiles),
            grouped(page_size),
            format!("{} ms", latency.as_millis()),
            format!("{}{suffix}", mode.name()),
            seconds(wall),
            per_second(profiles, wall),
            or_dash(ideal.map(seconds)),
            or_dash(ideal.map(|ideal| format!("{:.2}", ratio(wall, ideal)))),
            or_dash(usage.cpu.map(seconds)),
            or_dash(simulator_cpu.map(seconds)),
            or_dash(runs.peak_kib().map(|kib| grouped(kib.div_ceil(1024)))),
            mebibytes(database),
            runs.0.len().to_string(),
        ]
    }

    fn load_table(&self) -> Table {
        let columns = [
            ("profiles", Align::Right),
            ("who loads what", Align::Left),
            ("s", Align::Right),
            ("s per 100,000", Align::Right),
            ("times DuckDB alone", Align::Right),
            ("CPU s", Align::Right),
            ("peak MiB", Align::Right),
            ("database MiB", Align::Right),
        ];
        let mut rows = Vec::new();
        for loads in &self.loads {
            let base = loads.pages.as_ref().map(Runs::wall);
            let mut row = |profiles, what: &str, runs: Option<&Runs>, base: Option<Duration>| {
                rows.extend(runs.map(|runs| load_row(profiles, what, runs, base)));
            };
            row(loads.profiles, "DuckDB alone, JSONL", loads.jsonl.as_ref(), None);
            row(loads.staged, "DuckDB alone, staged pages", loads.pages.as_ref(), None);
            row(loads.staged, "mp alone, staged pages", Some(&loads.ours), base);
        }
        Table { title: "Loads", columns: columns.to_vec(), rows }
    }

    /// Says how much faster parallel is with a slow server, a line for each scenario that was run both ways.
    pub(super) fn speedups(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Measured { scenario, runs } in &self.fetches {
            let sequential = self.fetch(Scenario { mode: Mode::Sequential, ..*scenario });
            if let Some(sequential) = sequential.filter(|_| scenario.mode == Mode::Parallel && scenario.is_slow()) {
                let times = ratio(sequential.wall(), runs.wall());
                lines.push(format!("{scenario}: {times:.2} times as fast as sequential."));
            }
        }
        lines
    }
}

fn load_row(profiles: u64, what: &str, runs: &Runs, base: Option<Duration>) -> Vec<String> {
    let Run { wall, usage, database, .. } = runs.median();
    vec![
        grouped(profiles),
        what.to_owned(),
        seconds(wall),
        format!("{:.3}", per_100_000(wall, profiles)),
        or_dash(base.map(|base| format!("{:.2}", ratio(wall, base)))),
        or_dash(usage.cpu.map(seconds)),
        or_dash(runs.peak_kib().map(|kib| grouped(kib.div_ceil(1024)))),
        mebibytes(database),
    ]
}

/// Divides two times.
pub(super) fn ratio(time: Duration, by: Duration) -> f64 {
    time.as_secs_f64() / by.as_secs_f64().max(1e-9)
}

/// Returns the seconds for 100,000 of so many profiles.
pub(super) fn per_100_000(time: Duration, profiles: u64) -> f64 {
    let parts = profiles.max(1) as f64 / 1e5;
    time.as_secs_f64() / parts
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

fn per_second(profiles: u64, wall: Duration) -> String {
    let nanoseconds = wall.as_nanos().max(1);
    grouped(u64::try_from(u128::from(profiles) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX))
}

/// Writes a number of bytes in MiB, with one digit behind the point, rounded up so that a limit cannot be hidden.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

#[cfg(test)]
#[path = "report_test.rs"]
mod report_test;
