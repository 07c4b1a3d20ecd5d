use super::super::alone::Loads;
use super::super::run::{Measured, Run, Runs};
use super::super::startup::Query;
use super::super::usage::Usage;
use super::*;

fn runs(milliseconds: u64, peak_mib: u64) -> Runs {
    let usage = Usage { peak_kib: Some(peak_mib << 10), cpu: Some(Duration::from_millis(milliseconds)) };
    Runs(vec![Run { wall: Duration::from_millis(milliseconds), usage, ..Run::default() }])
}

fn loads(profiles: u64, staged: u64, ours: u64) -> Loads {
    let alone = |milliseconds| Some(runs(milliseconds, 1));
    Loads { profiles, staged, jsonl: alone(6_000), pages: alone(ours * 4 / 5), ours: runs(ours, 1) }
}

/// Everything just good enough, but for what is said.
fn results() -> Results {
    let measured = |scenario, milliseconds, peak| Measured { scenario, runs: runs(milliseconds, peak) };
    Results {
        fetches: vec![
            // 6 rounds of 400 ms and a load of 123 ms.
            measured(Scenario::slow_small(), 2_600, 90),
            // Ten times the profiles in 10.04 times the time.
            measured(Scenario::middle(), 1_195, 90),
            measured(Scenario::million(), 12_000, 449),
        ],
        loads: vec![loads(24_600, 25_000, 125), loads(1_000_000, 1_000_000, 6_500)],
        version: Duration::from_millis(12),
        query: Some(Query { wall: Duration::from_millis(81), database: 900 << 20 }),
        limited: Some(measured(Scenario::million(), 18_001, 301)),
    }
}

fn judged(results: &Results, what: &str) -> (Option<f64>, &'static str) {
    let targets = judge(results);
    let target = targets.iter().find(|target| target.what.contains(what));
    let target = target.unwrap_or_else(|| panic!("{what} is not among {targets:?}"));
    (target.reached.map(|reached| (reached * 1e3).round() / 1e3), target.verdict())
}

#[test]
fn a_slow_server_is_waited_for_and_then_loaded_and_nothing_more() {
    // 2.6 / (2.4 + 0.123)
    assert_eq!(judged(&results(), "24,600 profiles at 400 ms"), (Some(1.031), "met"));
}

#[test]
fn a_load_is_compared_with_seconds_and_with_duckdb() {
    assert!(judge(&results()).iter().all(|target| !target.what.contains("25,000")), "too small to be judged");
    assert_eq!(judged(&results(), "load of 1,000,000, for"), (Some(0.65), "met"));
    assert_eq!(judged(&results(), "load of 1,000,000 / DuckDB"), (Some(1.25), "NOT MET"));
}

#[test]
fn a_million_is_compared_with_duckdbs_own_load_of_the_lines() {
    assert_eq!(judged(&results(), "wall / DuckDB alone from JSONL"), (Some(2.0), "met"));
    assert_eq!(judged(&results(), "1,000,000 at 0 ms: CPU"), (Some(12.0), "met"));
}

#[test]
fn memory_is_the_greatest_peak_of_any_million() {
    assert_eq!(judged(&results(), "1,000,000: peak"), (Some(449.0), "met"));
    let mut more = results();
    let scenario = Scenario { page_size: 10_000, ..Scenario::million() };
    more.fetches.push(Measured { scenario, runs: runs(9_000, 451) });
    assert_eq!(judged(&more, "1,000,000: peak"), (Some(451.0), "NOT MET"));
}

#[test]
fn little_memory_may_be_a_little_slower() {
    assert_eq!(judged(&results(), "the same with --memory"), (Some(301.0), "NOT MET"));
    assert_eq!(judged(&results(), "wall with --memory 256MB / without"), (Some(1.5), "NOT MET"));
}

#[test]
fn growth_is_that_of_ten_times_although_the_sizes_are_not() {
    let (growth, verdict) = judged(&results(), "ten times the profiles");
    // 12,000 / 1,195 = 10.042, and the million is 10.040 times 99,600.
    assert_eq!((growth, verdict), (Some(10.002), "met"));
}

#[test]
fn starting_is_counted_in_milliseconds() {
    assert_eq!(judged(&results(), "mp --version"), (Some(12.0), "met"));
    assert_eq!(judged(&results(), "'select 1', database of 900.0 MiB"), (Some(81.0), "NOT MET"));
}

#[test]
fn what_was_not_measured_is_neither_met_nor_missed() {
    let nothing = Results { version: Duration::from_millis(16), ..Results::default() };
    assert_eq!(judged(&nothing, "mp --version"), (Some(16.0), "NOT MET"));
    for target in judge(&nothing).iter().filter(|target| !target.what.contains("--version")) {
        assert_eq!(target.verdict(), "not measured", "{}", target.what);
    }
}

#[test]
fn the_table_says_how_close_it_is() {
    let target = |most, unit, reached| Target { what: "x".to_owned(), unit, most, reached };
    let table = table(&[
        target(1.05, "", Some(1.05001)),
        target(1.05, "", Some(1.05)),
        target(10.5, "", Some(10.501)),
        target(450.0, " MiB", Some(312.0)),
        target(15.0, " ms", None),
    ]);
    let expected = "\
Targets
target  at most  reached  verdict
x          1.05    1.051  NOT MET
x          1.05    1.050  met
x          10.5    10.51  NOT MET
x       450 MiB  312 MiB  met
x         15 ms        -  not measured
";
    assert_eq!(table.text(), expected);
}
