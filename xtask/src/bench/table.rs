//! The result of the bench as text.

use std::time::Duration;

use super::scenario::{Mode, Scenario, grouped};
use super::usage::Usage;

/// One run of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// From the start of the process to its end.
    pub(super) wall: Duration,
    pub(super) usage: Usage,
    /// Size of the database, in bytes.
    pub(super) database: u64,
}

/// A scenario with its runs, of which there is at least one.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) scenario: Scenario,
    pub(super) runs: Vec<Run>,
}

impl Measured {
    /// The run with the median time; the faster one of the two in the middle.
    fn median(&self) -> Run {
        let mut runs = self.runs.clone();
        runs.sort_by_key(|run| run.wall);
        runs[(runs.len() - 1) / 2]
    }

    fn peak_kib(&self) -> Option<u64> {
        self.runs.iter().filter_map(|run| run.usage.peak_kib).max()
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let Scenario { profiles, latency, mode } = self.scenario;
        let run = self.median();
        let wall = run.wall.as_secs_f64();
        let ideal = self.scenario.ideal().map(|ideal| ideal.as_secs_f64());
        [
            grouped(profiles),
            format!("{} ms", latency.as_millis()),
            mode.name().to_owned(),
            format!("{wall:.2}"),
            per_second(profiles, run.wall),
            or_dash(ideal.map(|ideal| format!("{ideal:.2}"))),
            or_dash(ideal.map(|ideal| format!("{:.2}", wall / ideal))),
            or_dash(self.peak_kib().map(|kib| grouped(kib.div_ceil(1024)))),
            or_dash(run.usage.cpu.map(|cpu| format!("{:.2}", cpu.as_secs_f64()))),
            mebibytes(run.database),
        ]
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

const COLUMNS: [(&str, Align); 10] = [
    ("profiles", Align::Right),
    ("latency", Align::Right),
    ("mode", Align::Left),
    ("wall s", Align::Right),
    ("profiles/s", Align::Right),
    ("ideal s", Align::Right),
    ("wall/ideal", Align::Right),
    ("peak MiB", Align::Right),
    ("CPU s", Align::Right),
    ("database MiB", Align::Right),
];

/// Lays the results out, a line each, with a header.
pub(super) fn table(results: &[Measured]) -> String {
    let mut lines = vec![COLUMNS.map(|(title, _)| title.to_owned())];
    lines.extend(results.iter().map(Measured::cells));
    let mut text = String::new();
    for line in &lines {
        let mut cells = Vec::new();
        for (i, (cell, (_, align))) in line.iter().zip(COLUMNS).enumerate() {
            let width = lines.iter().map(|line| line[i].len()).max().unwrap_or_default();
            cells.push(match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
        }
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Says how much faster parallel is, a line for each scenario that was run both ways.
pub(super) fn speedups(results: &[Measured]) -> String {
    let mut text = String::new();
    for parallel in results.iter().filter(|result| result.scenario.mode == Mode::Parallel) {
        let other = Scenario { mode: Mode::Sequential, ..parallel.scenario };
        if let Some(sequential) = results.iter().find(|result| result.scenario == other) {
            let times = sequential.median().wall.as_secs_f64() / parallel.median().wall.as_secs_f64();
            let Scenario { profiles, latency, .. } = other;
            text.push_str(&format!(
                "{} profiles at {} ms: parallel is {times:.2} times as fast as sequential\n",
                grouped(profiles),
                latency.as_millis()
            ));
        }
    }
    text
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

fn per_second(profiles: u64, wall: Duration) -> String {
    let nanoseconds = wall.as_nanos().max(1);
    grouped(u64::try_from(u128::from(profiles) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX))
}

/// Writes a number of bytes in MiB, with one digit behind the point.
fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(milliseconds: u64, peak_kib: Option<u64>) -> Run {
        let cpu = peak_kib.map(|_| Duration::from_millis(milliseconds / 4));
        Run { wall: Duration::from_millis(milliseconds), usage: Usage { peak_kib, cpu }, database: 9 << 20 }
    }

    fn slow_server(mode: Mode, runs: Vec<Run>) -> Measured {
        Measured { scenario: Scenario { profiles: 24_600, latency: Duration::from_millis(400), mode }, runs }
    }

    #[test]
    fn a_table_shows_the_median_run_and_the_greatest_memory() {
        let slow = slow_server(
            Mode::Parallel,
            vec![run(3_000, Some(90 << 10)), run(2_400, Some(100 << 10)), run(2_640, Some(80 << 10))],
        );
        let fast = Measured {
            scenario: Scenario { profiles: 1_000_000, latency: Duration::ZERO, mode: Mode::Parallel },
            runs: vec![run(10_000, None)],
        };
        let expected =
            " profiles  latency  mode      wall s  profiles/s  ideal s  wall/ideal  peak MiB  CPU s  database MiB
   24,600   400 ms  parallel    2.64       9,318     2.40        1.10       100   0.66           9.0
1,000,000     0 ms  parallel   10.00     100,000        -           -         -      -           9.0
";
        assert_eq!(table(&[slow, fast]), expected);
    }

    #[test]
    fn of_two_runs_the_faster_one_counts_as_the_median() {
        let result = slow_server(Mode::Parallel, vec![run(3_000, None), run(2_500, None)]);
        assert_eq!(result.median(), run(2_500, None));
    }

    #[test]
    fn parallel_is_compared_with_sequential_where_both_were_run() {
        let parallel = || slow_server(Mode::Parallel, vec![run(2_500, None)]);
        let sequential = slow_server(Mode::Sequential, vec![run(10_000, None)]);
        assert_eq!(speedups(&[parallel()]), "");
        assert_eq!(
            speedups(&[parallel(), sequential]),
            "24,600 profiles at 400 ms: parallel is 4.00 times as fast as sequential\n"
        );
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
    }
}
