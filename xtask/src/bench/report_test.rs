use super::super::usage::Usage;
use super::*;

fn runs(milliseconds: &[u64]) -> Runs {
    let cpu = |ms: u64| Some(Duration::from_millis(ms / 4));
    let run = |&ms: &u64| Run {
        wall: Duration::from_millis(ms),
        usage: Usage { peak_kib: Some(ms * 32), cpu: cpu(ms) },
        simulator_cpu: cpu(ms / 2),
        database: 9 << 20,
    };
    Runs(milliseconds.iter().map(run).collect())
}

fn measured(scenario: Scenario, milliseconds: &[u64]) -> Measured {
    Measured { scenario, runs: runs(milliseconds) }
}

fn slow_both_ways() -> Results {
    let parallel = Scenario::slow_small();
    let sequential = Scenario { mode: Mode::Sequential, ..parallel };
    let fetches = vec![measured(parallel, &[3_000, 2_400, 2_640]), measured(sequential, &[10_560])];
    Results { fetches, ..Results::default() }
}

fn million() -> Results {
    let loads = Loads {
        profiles: 1_000_000,
        staged: 1_000_000,
        jsonl: Some(runs(&[6_000])),
        pages: Some(runs(&[4_000])),
        ours: runs(&[5_000]),
    };
    Results {
        fetches: vec![measured(Scenario::million(), &[12_000])],
        loads: vec![loads],
        limited: Some(measured(Scenario::million(), &[15_000])),
        ..Results::default()
    }
}

#[test]
fn a_fetch_is_shown_beside_its_ideal() {
    let expected = "\
Fetches
profiles  a page  latency  mode        wall s  profiles/s  ideal s  wall/ideal  CPU s  simulator CPU s  peak MiB  database MiB  runs
  24,600   1,000   400 ms  parallel      2.64       9,318     2.40        1.10   0.66             0.33        94           9.0     3
  24,600   1,000   400 ms  sequential   10.56       2,329    10.00        1.06   2.64             1.32       330           9.0     1
";
    assert_eq!(slow_both_ways().fetch_table().text(), expected);
}

#[test]
fn without_waiting_the_ideal_is_duckdb_alone() {
    let row = &million().fetch_table().rows[0];
    assert_eq!(row[4..8], ["12.00", "83,333", "6.00", "2.00"].map(str::to_owned));
    let alone = Results { loads: Vec::new(), ..million() };
    assert_eq!(alone.fetch_table().rows[0][6..8], ["-", "-"].map(str::to_owned));
}

#[test]
fn little_memory_is_a_row_of_its_own() {
    let table = million().fetch_table();
    assert_eq!(table.rows[1][3], "parallel, 256 MB");
    assert_eq!(table.rows[1][4], "15.00");
}

#[test]
fn our_load_is_shown_as_a_multiple_of_duckdbs() {
    let expected = "\
Loads
 profiles  who loads what                 s  s per 100,000  times DuckDB alone  CPU s  peak MiB  database MiB
1,000,000  DuckDB alone, JSONL         6.00          0.600                   -   1.50       188           9.0
1,000,000  DuckDB alone, staged pages  4.00          0.400                   -   1.00       125           9.0
1,000,000  mp alone, staged pages      5.00          0.500                1.25   1.25       157           9.0
";
    assert_eq!(million().load_table().text(), expected);
}

#[test]
fn parallel_is_compared_with_sequential_where_both_were_run_with_a_slow_server() {
    let line = "24,600 profiles at 400 ms, 1,000 a page, parallel: 4.00 times as fast as sequential.";
    assert_eq!(slow_both_ways().speedups(), [line]);
    assert!(million().speedups().is_empty());
}

#[test]
fn the_plot_has_a_bar_for_each_fetch_that_has_an_ideal() {
    let bars = slow_both_ways().bars();
    assert_eq!(bars.len(), 2);
    assert!((bars[0].ratio - 1.1).abs() < 1e-9, "{bars:?}");
    assert!(Results { loads: Vec::new(), ..million() }.bars().is_empty());
}

#[test]
fn every_row_has_as_many_cells_as_there_are_columns() {
    for table in million().tables() {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:?}");
    }
}

#[test]
fn sizes_are_rounded_up_so_that_a_limit_cannot_be_hidden() {
    assert_eq!(mebibytes(0), "0.0");
    assert_eq!(mebibytes(1), "0.1");
    assert_eq!(mebibytes(3 << 19), "1.5");
    assert_eq!(mebibytes((1_234 << 20) + 1), "1,234.1");
}

#[test]
fn a_run_in_no_time_does_not_divide_by_zero() {
    assert_eq!(per_second(1, Duration::ZERO), "1,000,000,000");
    assert!(ratio(Duration::ZERO, Duration::ZERO).is_finite());
    assert!(per_100_000(Duration::ZERO, 0).is_finite());
}
