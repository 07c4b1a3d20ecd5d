//! The performance targets, and whether they are met.

use std::time::Duration;

use super::event_scenario::{REFRESHED, SLOW_WORKERS, slow_ideal};
use super::results::{EventResults, Results};
use super::run::Runs;
use super::scenario::{MIDDLE, MILLION, SLOW_MIDDLE, SLOW_SMALL, Scenario, grouped};
use super::table::{Table, mebibytes, per_100_000, ratio};

/// The maximum ratio of the wall time to the sum of the waiting time for the server and the load time.
const SLOW_MAX: f64 = 1.05;
/// The maximum load time per 100,000 profiles, in seconds.
const LOAD_MAX: f64 = 0.65;
/// Loads with fewer profiles are not rated, because they spend most of their time opening and closing the file.
const LOAD_JUDGED_FROM: u64 = 100_000;
/// The maximum ratio of the load time to that of DuckDB alone with the same statement.
const LOAD_RATIO_MAX: f64 = 1.2;
/// The maximum ratio of the wall time without latency to the time in which DuckDB alone loads the same profiles from
/// JSONL.
const MILLION_RATIO_MAX: f64 = 2.5;
/// The maximum processor time for a million profiles, in seconds.
const MILLION_CPU_MAX: f64 = 20.0;
/// The maximum times of `mp --version` and of `select 1`, in milliseconds.
const VERSION_MAX: f64 = 15.0;
const QUERY_MAX: f64 = 80.0;
/// The maximum memory peaks for a million profiles in MiB, without and with `--memory 256MB`, and the maximum slowdown
/// with it.
const PEAK_MAX: f64 = 450.0;
const LIMITED_PEAK_MAX: f64 = 300.0;
const LIMITED_RATIO_MAX: f64 = 1.5;
/// The maximum factor by which the time grows for ten times the profiles.
const GROWTH_MAX: f64 = 10.5;

/// The maximum ratio of the fetch of all events to the load of their lines by DuckDB alone.
const EVENTS_RATIO_MAX: f64 = 1.6;
/// The maximum memory peak of a fetch of events in MiB, and the maximum ratio of the peaks for three times as many.
const EVENTS_PEAK_MAX: f64 = 400.0;
const EVENTS_PEAK_GROWTH_MAX: f64 = 1.1;
/// The maximum ratio of replacing days in a large table to replacing them in a table that has no others.
const REFRESH_RATIO_MAX: f64 = 1.3;
/// The maximum time in seconds and memory peak in MiB of a funnel.
const FUNNEL_MAX: f64 = 20.0;
const FUNNEL_PEAK_MAX: f64 = 1_024.0;
/// The maximum ratio of a fetch from a slow server to the ideal.
const EVENTS_SLOW_MAX: f64 = 1.1;

/// A target and its measured value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    what: String,
    unit: &'static str,
    most: f64,
    /// `None` if it was not measured.
    reached: Option<f64>,
}

impl Target {
    fn verdict(&self) -> &'static str {
        match self.reached {
            None => "not measured",
            Some(reached) if reached <= self.most => "met",
            Some(_) => "NOT MET",
        }
    }
}

/// Compares the results with the targets.
pub(super) fn evaluate(results: &Results) -> Vec<Target> {
    let mut all = Vec::new();
    let mut target = |what: String, most: f64, unit: &'static str, reached: Option<f64>| {
        all.push(Target { what, unit, most, reached });
    };
    for scenario in [SLOW_SMALL, SLOW_MIDDLE] {
        let what = format!("{} profiles at 400 ms: wall / (rounds x latency + load)", grouped(scenario.profiles));
        target(what, SLOW_MAX, "", beside_waiting_and_load(results, scenario));
    }
    for loads in results.loads.iter().filter(|loads| loads.staged >= LOAD_JUDGED_FROM) {
        let (ours, staged) = (loads.ours.wall(), loads.staged);
        let name = grouped(staged);
        target(format!("load of {name}, for each 100,000"), LOAD_MAX, " s", Some(per_100_000(ours, staged)));
        let alone = loads.pages.as_ref().map(|alone| ratio(ours, alone.wall()));
        target(format!("load of {name} / DuckDB alone"), LOAD_RATIO_MAX, "", alone);
    }
    let million = results.fetch(MILLION);
    let jsonl = million.zip(results.ideal(&MILLION)).map(|(runs, ideal)| ratio(runs.wall(), ideal));
    target("1,000,000 at 0 ms: wall / DuckDB alone from JSONL".to_owned(), MILLION_RATIO_MAX, "", jsonl);
    let cpu = million.and_then(|runs| runs.median().usage.cpu).map(|cpu| cpu.as_secs_f64());
    target("1,000,000 at 0 ms: CPU".to_owned(), MILLION_CPU_MAX, " s", cpu);
    target("1,000,000: peak memory, at most of all scenarios".to_owned(), PEAK_MAX, " MiB", peak(results));
    let limited = results.limited.as_ref().map(|measured| &measured.runs);
    let limited_peak = limited.and_then(|runs| runs.peak_kib()).map(in_mib);
    target("the same with --memory 256MB".to_owned(), LIMITED_PEAK_MAX, " MiB", limited_peak);
    let slower = limited.zip(million).map(|(limited, million)| ratio(limited.wall(), million.wall()));
    target("wall with --memory 256MB / without".to_owned(), LIMITED_RATIO_MAX, "", slower);
    target("time for ten times the profiles, at 0 ms".to_owned(), GROWTH_MAX, "", growth(results));
    target("mp --version".to_owned(), VERSION_MAX, " ms", Some(milliseconds(results.version)));
    let size = results.query.map_or_else(|| "?".to_owned(), |(_, size)| mebibytes(size));
    let query = results.query.map(|(wall, _)| milliseconds(wall));
    target(format!("mp query sql 'select 1', database of {size} MiB"), QUERY_MAX, " ms", query);
    of_events(&results.events, &mut target);
    all
}

/// Compares the results of events with their targets.
fn of_events(events: &EventResults, target: &mut impl FnMut(String, f64, &'static str, Option<f64>)) {
    let [all, few, refreshed, funnel] =
        [&events.all, &events.few_again, &events.refreshed, &events.funnel].map(Option::as_ref);
    let name = format!("{} events", grouped(events.events));
    let alone = all.zip(events.alone.as_ref()).map(|(all, alone)| ratio(all.wall(), alone.wall()));
    target(format!("{name}: wall / DuckDB alone from JSONL"), EVENTS_RATIO_MAX, "", alone);
    let peak = |runs: &Runs| runs.peak_kib().map(in_mib);
    target(format!("{name}: peak memory"), EVENTS_PEAK_MAX, " MiB", all.and_then(peak));
    let large = events.large.as_ref().and_then(|(_, runs)| peak(runs));
    let growth = large.zip(all.and_then(peak)).map(|(large, peak)| large / peak);
    target("peak memory for three times as many / as many".to_owned(), EVENTS_PEAK_GROWTH_MAX, "", growth);
    let refresh = refreshed.zip(few).map(|(refreshed, few)| ratio(refreshed.wall(), few.wall()));
    target(
        format!("refresh of {REFRESHED} days: in the table of all days / in a table of them"),
        REFRESH_RATIO_MAX,
        "",
        refresh,
    );
    let what = format!("24 days at 2 s, {SLOW_WORKERS} workers, 3 starts per 1.25 s: wall / ideal");
    let slow = events.slow.as_ref().map(|runs| ratio(runs.wall(), slow_ideal()));
    target(what, EVENTS_SLOW_MAX, "", slow);
    target(format!("funnel over {name}"), FUNNEL_MAX, " s", funnel.map(|runs| runs.wall().as_secs_f64()));
    target(format!("funnel over {name}: peak memory"), FUNNEL_PEAK_MAX, " MiB", funnel.and_then(peak));
}

fn beside_waiting_and_load(results: &Results, scenario: Scenario) -> Option<f64> {
    let best = scenario.waiting() + results.loads(scenario.profiles)?.load();
    Some(ratio(results.fetch(scenario)?.wall(), best))
}

/// Returns the highest memory peak of all fetches of a million profiles.
fn peak(results: &Results) -> Option<f64> {
    let fetches = results.fetches.iter().filter(|measured| measured.scenario.profiles == MILLION.profiles);
    fetches.filter_map(|measured| measured.runs.peak_kib()).max().map(in_mib)
}

/// Returns the factor by which the time grows for ten times the profiles. The result is scaled, because the two sizes
/// are not exactly a factor of ten apart.
fn growth(results: &Results) -> Option<f64> {
    let for_each = |scenario: Scenario| {
        Some(per_100_000(results.fetch(scenario)?.wall(), scenario.profiles)).filter(|seconds| *seconds > 0.0)
    };
    Some(10.0 * for_each(MILLION)? / for_each(MIDDLE)?)
}

fn in_mib(kib: u64) -> f64 {
    kib.div_ceil(1024) as f64
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Formats the targets as a table.
pub(super) fn table(targets: &[Target]) -> Table {
    let row = |target: &Target| {
        let shown = |number: f64| format!("{}{}", rounded(number), target.unit);
        let reached = target.reached.map_or_else(|| "-".to_owned(), shown);
        let most = format!("{}{}", target.most, target.unit);
        vec![target.what.clone(), most, reached, target.verdict().to_owned()]
    };
    Table { title: "Targets", columns: "target|at most:|reached:|verdict", rows: targets.iter().map(row).collect() }
}

/// Formats a number with at least three digits, rounded up so that a value just above a limit does not look equal to
/// it.
fn rounded(number: f64) -> String {
    let digits = match number {
        n if n < 10.0 => 3,
        n if n < 100.0 => 2,
        _ => 0,
    };
    let factor = 10_f64.powi(digits);
    // Do not round up a difference that is only due to the floating-point representation.
    let up = (number * factor - 1e-6).ceil() / factor;
    format!("{up:.*}", usize::try_from(digits).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::results::{Loads, Measured};
    use super::super::run::{Run, Runs, Usage};
    use super::*;

    fn runs(milliseconds: u64, peak_mib: u64) -> Runs {
        let usage = Usage { peak_kib: Some(peak_mib << 10), cpu: Some(Duration::from_millis(milliseconds)) };
        Runs(vec![Run { wall: Duration::from_millis(milliseconds), usage, ..Run::default() }])
    }

    fn loads(profiles: u64, staged: u64, ours: u64) -> Loads {
        let alone = |milliseconds| Some(runs(milliseconds, 1));
        Loads { profiles, staged, jsonl: alone(6_000), pages: alone(ours * 4 / 5), ours: runs(ours, 1) }
    }

    #[test]
    fn targets_are_judged_by_the_measurements() {
        let measured = |scenario, milliseconds, peak| Measured { scenario, runs: runs(milliseconds, peak) };
        let large_pages = Scenario { page_size: 10_000, ..MILLION };
        let results = Results {
            fetches: vec![
                measured(SLOW_SMALL, 2_600, 90),
                measured(MIDDLE, 1_195, 90),
                measured(MILLION, 12_000, 449),
                measured(large_pages, 9_000, 451),
            ],
            loads: vec![loads(24_600, 25_000, 125), loads(1_000_000, 1_000_000, 6_500)],
            version: Duration::from_millis(12),
            query: Some((Duration::from_millis(81), 900 << 20)),
            limited: Some(measured(MILLION, 18_001, 301)),
            events: EventResults {
                events: 9_000_000,
                alone: Some(runs(20_000, 1)),
                all: Some(runs(32_001, 400)),
                large: Some((27_000_000, runs(96_000, 439))),
                few: Some(runs(900, 1)),
                few_again: Some(runs(1_000, 1)),
                refreshed: Some(runs(1_300, 1)),
                funnel: Some(runs(900, 1_025)),
                slow: Some(runs(11_000, 1)),
            },
        };
        let rows = table(&evaluate(&results)).rows;
        let judged: Vec<[&str; 3]> = rows.iter().map(|row| [&*row[0], &*row[2], &*row[3]]).collect();
        let expected = [
            // 6 rounds of 400 ms and a load of 123 ms.
            ["24,600 profiles at 400 ms: wall / (rounds x latency + load)", "1.031", "met"],
            ["99,600 profiles at 400 ms: wall / (rounds x latency + load)", "-", "not measured"],
            // The load of 25,000 is too small to evaluate.
            ["load of 1,000,000, for each 100,000", "0.650 s", "met"],
            ["load of 1,000,000 / DuckDB alone", "1.250", "NOT MET"],
            ["1,000,000 at 0 ms: wall / DuckDB alone from JSONL", "2.000", "met"],
            ["1,000,000 at 0 ms: CPU", "12.00 s", "met"],
            ["1,000,000: peak memory, at most of all scenarios", "451 MiB", "NOT MET"],
            ["the same with --memory 256MB", "301 MiB", "NOT MET"],
            ["wall with --memory 256MB / without", "1.501", "NOT MET"],
            // 12,000 / 1,195 = 10.042, and the million is 10.040 times 99,600.
            ["time for ten times the profiles, at 0 ms", "10.01", "met"],
            ["mp --version", "12.00 ms", "met"],
            ["mp query sql 'select 1', database of 900.0 MiB", "81.00 ms", "NOT MET"],
            ["9,000,000 events: wall / DuckDB alone from JSONL", "1.601", "NOT MET"],
            ["9,000,000 events: peak memory", "400 MiB", "met"],
            ["peak memory for three times as many / as many", "1.098", "met"],
            ["refresh of 5 days: in the table of all days / in a table of them", "1.300", "met"],
            ["24 days at 2 s, 8 workers, 3 starts per 1.25 s: wall / ideal", "1.024", "met"],
            ["funnel over 9,000,000 events", "0.900 s", "met"],
            ["funnel over 9,000,000 events: peak memory", "1025 MiB", "NOT MET"],
        ];
        assert_eq!(judged, expected);
    }

    #[test]
    fn values_just_above_a_limit_are_rounded_up() {
        let shown = [1.050_01, 1.05, 10.501, 312.0, 450.2].map(rounded);
        assert_eq!(shown, ["1.051", "1.050", "10.51", "312", "451"]);
    }
}
