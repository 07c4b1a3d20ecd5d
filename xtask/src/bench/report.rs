//! Formats the results as Markdown tables.

use std::time::Duration;

use super::event_scenario::{DAYS, REFRESHED, SLOW_WORKERS, slow_ideal};
use super::results::{EventResults, Measured, Results};
use super::run::{Run, Runs};
use super::scenario::{PARALLEL, SEQUENTIAL, Scenario, grouped};
use super::table::{Table, mebibytes, per_100_000, ratio};
use super::targets;

/// The table columns, separated by `|`; columns that end in a colon are right-aligned.
const FETCH_COLUMNS: &str = "profiles:|a page:|latency:|mode|wall s:|profiles/s:|ideal s:|wall/ideal:|CPU s:|\
                             simulator CPU s:|peak MiB:|database MiB:|runs:";
const LOAD_COLUMNS: &str =
    "profiles:|who loads what|s:|s per 100,000:|times DuckDB alone:|CPU s:|peak MiB:|database MiB:";
const EVENT_COLUMNS: &str =
    "what|wall s:|compared with s:|ratio:|CPU s:|simulator CPU s:|peak MiB:|database MiB:|runs:";

impl Results {
    /// Returns all tables, in reading order.
    pub(super) fn tables(&self) -> Vec<Table> {
        let judged = targets::table(&targets::evaluate(self));
        vec![judged, self.fetch_table(), self.load_table(), event_table(&self.events)]
    }

    fn fetch_table(&self) -> Table {
        let limited = self.limited.iter().map(|measured| (measured, ", 256 MB"));
        let all = self.fetches.iter().map(|measured| (measured, "")).chain(limited);
        let rows = all.map(|(measured, suffix)| self.fetch_row(measured, suffix)).collect();
        Table { title: "Fetches", columns: FETCH_COLUMNS, rows }
    }

    fn fetch_row(&self, Measured { scenario, runs }: &Measured, suffix: &str) -> Vec<String> {
        let Scenario { profiles, page_size, latency, .. } = *scenario;
        let Run { wall, usage, simulator_cpu, database } = runs.median();
        let ideal = self.ideal(scenario);
        vec![
            grouped(profiles),
            grouped(page_size),
            format!("{} ms", latency.as_millis()),
            format!("{}{suffix}", scenario.mode()),
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
        Table { title: "Loads", columns: LOAD_COLUMNS, rows }
    }

    /// Returns the speedup of parallel fetches from a slow server, one line for each scenario that was run in both
    /// modes.
    pub(super) fn speedups(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Measured { scenario, runs } in &self.fetches {
            let sequential = self.fetch(Scenario { workers: SEQUENTIAL, ..*scenario });
            if let Some(sequential) = sequential.filter(|_| scenario.workers == PARALLEL && scenario.is_slow()) {
                let times = ratio(sequential.wall(), runs.wall());
                lines.push(format!("{scenario}: {times:.2} times as fast as sequential."));
            }
        }
        lines
    }
}

/// Returns the table of events.
fn event_table(results: &EventResults) -> Table {
    let mut rows = Vec::new();
    let mut row = |what: String, runs: Option<&Runs>, base: Option<Duration>| {
        rows.extend(runs.map(|runs| event_row(what, runs, base)));
    };
    let events = grouped(results.events);
    row(format!("DuckDB alone, {events} events from JSONL"), results.alone.as_ref(), None);
    let alone = results.alone.as_ref().map(Runs::wall);
    row(format!("fetch of {events} events of {DAYS} days"), results.all.as_ref(), alone);
    if let Some((events, runs)) = &results.large {
        row(format!("fetch of {} events", grouped(*events)), Some(runs), None);
    }
    row(format!("fetch of the last {REFRESHED} days and today"), results.few.as_ref(), None);
    row("the same again, replacing these days".to_owned(), results.few_again.as_ref(), None);
    let few_again = results.few_again.as_ref().map(Runs::wall);
    row("the same, replacing these days of all days".to_owned(), results.refreshed.as_ref(), few_again);
    row("`mp_funnel` of three steps within 7 days".to_owned(), results.funnel.as_ref(), None);
    let what = format!("fetch of 24 days, 2 s to each first byte, {SLOW_WORKERS} workers");
    row(what, results.slow.as_ref(), Some(slow_ideal()));
    Table { title: "Events", columns: EVENT_COLUMNS, rows }
}

fn event_row(what: String, runs: &Runs, base: Option<Duration>) -> Vec<String> {
    let Run { wall, usage, simulator_cpu, database } = runs.median();
    vec![
        what,
        seconds(wall),
        or_dash(base.map(seconds)),
        or_dash(base.map(|base| format!("{:.2}", ratio(wall, base)))),
        or_dash(usage.cpu.map(seconds)),
        or_dash(simulator_cpu.map(seconds)),
        or_dash(runs.peak_kib().map(|kib| grouped(kib.div_ceil(1024)))),
        if database == 0 { "-".to_owned() } else { mebibytes(database) },
        runs.0.len().to_string(),
    ]
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

#[cfg(test)]
mod tests {
    use super::super::results::Loads;
    use super::super::run::Usage;
    use super::super::scenario::{MILLION, SLOW_SMALL};
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

    #[test]
    fn the_report_shows_each_fetch_next_to_its_ideal() {
        let sequential = Scenario { workers: SEQUENTIAL, ..SLOW_SMALL };
        let fetches = vec![
            Measured { scenario: SLOW_SMALL, runs: runs(&[3_000, 2_400, 2_640]) },
            Measured { scenario: sequential, runs: runs(&[10_560]) },
        ];
        let results = Results { fetches, ..Results::default() };
        let expected = "\
### Fetches

| profiles | a page | latency | mode       | wall s | profiles/s | ideal s | wall/ideal | CPU s | simulator CPU s | peak MiB | database MiB | runs |
|      --: |    --: |     --: | ---        |    --: |        --: |     --: |        --: |   --: |             --: |      --: |          --: |  --: |
|   24,600 |  1,000 |  400 ms | parallel   |   2.64 |      9,318 |    2.40 |       1.10 |  0.66 |            0.33 |       94 |          9.0 |    3 |
|   24,600 |  1,000 |  400 ms | sequential |  10.56 |      2,329 |   10.00 |       1.06 |  2.64 |            1.32 |      330 |          9.0 |    1 |
";
        assert_eq!(results.fetch_table().markdown(), expected);
        let line = "24,600 profiles at 400 ms, 1,000 a page, parallel: 4.00 times as fast as sequential.";
        assert_eq!(results.speedups(), [line]);
    }

    #[test]
    fn the_report_relates_events_to_what_they_are_compared_with() {
        let milliseconds = [20_000, 30_000, 900, 1_000, 1_200, 11_000];
        let [alone, all, few, few_again, refreshed, slow] = milliseconds.map(|ms| Some(runs(&[ms])));
        let events =
            EventResults { events: 9_000_000, alone, all, few, few_again, refreshed, slow, ..EventResults::default() };
        let rows = event_table(&events).rows;
        let related: Vec<[&str; 3]> = rows.iter().map(|row| [&*row[1], &*row[2], &*row[3]]).collect();
        let expected = [
            ["20.00", "-", "-"],
            ["30.00", "20.00", "1.50"],
            ["0.90", "-", "-"],
            ["1.00", "-", "-"],
            ["1.20", "1.00", "1.20"],
            // 24 starts, 3 per 1.25 s: the last ones after 8.75 s, answered 2 s later.
            ["11.00", "10.75", "1.02"],
        ];
        assert_eq!(related, expected);
        assert!(rows[1][0].contains("9,000,000 events"), "{rows:?}");
    }

    #[test]
    fn the_report_relates_loads_to_duckdb_alone() {
        let loads = Loads {
            profiles: 1_000_000,
            staged: 1_000_000,
            jsonl: Some(runs(&[6_000])),
            pages: Some(runs(&[4_000])),
            ours: runs(&[5_000]),
        };
        let million = |milliseconds| Measured { scenario: MILLION, runs: runs(&[milliseconds]) };
        let limited = Some(million(15_000));
        let results = Results { fetches: vec![million(12_000)], loads: vec![loads], limited, ..Results::default() };
        let rows = results.fetch_table().rows;
        assert_eq!(rows[0][3..8], ["parallel", "12.00", "83,333", "6.00", "2.00"]);
        assert_eq!(rows[1][3..5], ["parallel, 256 MB", "15.00"]);
        let rows = results.load_table().rows;
        assert_eq!(rows[1][1..5], ["DuckDB alone, staged pages", "4.00", "0.400", "-"]);
        assert_eq!(rows[2][1..5], ["mp alone, staged pages", "5.00", "0.500", "1.25"]);
    }
}
