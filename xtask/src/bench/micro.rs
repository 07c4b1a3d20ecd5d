//! Measures the single steps of a fetch with the criterion benchmarks of `crates/mixpanel-bench`.

use std::process::{Output, Stdio};

use super::table::Table;
use crate::cargo::{Cargo, cannot_run};
use crate::failure::Failure;

/// The arguments that select the package and its benchmarks.
const BENCHES: [&str; 5] = ["bench", "--package", super::PACKAGE, "--bench", "times"];

/// Builds the benchmarks, so that a compile error shows up before the other measurements.
pub(super) fn build(cargo: &Cargo<'_>) -> Result<(), Failure> {
    run(cargo, &["--no-run"]).map(|_| ())
}

/// Runs the benchmarks and parses their output.
pub(super) fn measure(cargo: &Cargo<'_>) -> Result<Table, Failure> {
    let output = run(cargo, &[])?;
    let rows = rows(&String::from_utf8_lossy(&output.stdout));
    if rows.is_empty() {
        return Err(Failure::new("the benchmarks of single steps printed no times")
            .hint("update xtask/src/bench/micro.rs to the output format of criterion"));
    }
    Ok(Table { title: "Single steps", columns: "step|time:|throughput:", rows })
}

fn run(cargo: &Cargo<'_>, options: &[&str]) -> Result<Output, Failure> {
    let mut command = cargo.building(&BENCHES);
    let output = command.args(options).stderr(Stdio::inherit()).output().map_err(|error| cannot_run(&error))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Failure::new(format!("the benchmarks of single steps failed ({})", output.status))
        .hint(format!("try `cargo {} --no-default-features`", BENCHES.join(" "))))
}

/// Parses the name, time and throughput of each benchmark.
///
/// Criterion prints `name  time: [low middle high]` and sometimes `thrpt: [...]` below it; a long name is on its own
/// line. Both are repeated below `change:`, relative to an earlier run.
fn rows(printed: &str) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let (mut name, mut is_change) = ("", false);
    for line in printed.lines() {
        if let Some((before, times)) = line.split_once(" time:") {
            let before = before.trim();
            is_change &= before.is_empty();
            let name = if before.is_empty() { name } else { before };
            if let Some(time) = middle(times).filter(|_| !is_change) {
                rows.push(vec![name.to_owned(), time, "-".to_owned()]);
            }
        } else if let Some((_, rates)) = line.split_once("thrpt:") {
            if let Some((row, rate)) = rows.last_mut().zip(middle(rates).filter(|_| !is_change)) {
                row[2] = rate;
            }
        } else if line.trim_start().starts_with("change:") {
            is_change = true;
        } else if !line.trim().is_empty() && !line.starts_with(' ') {
            (name, is_change) = (line.trim(), false);
        }
    }
    rows
}

/// Returns the estimate in `[low estimate high]`: `1.1 ms` for `[1.0 ms 1.1 ms 1.2 ms]`.
fn middle(bounds: &str) -> Option<String> {
    let words: Vec<&str> = bounds.trim().strip_prefix('[')?.split(']').next()?.split_whitespace().collect();
    match words[..] {
        [_, _, number, unit, _, _] => Some(format!("{number} {unit}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
parse/1000              time:   [1.0100 ms 1.0200 ms 1.0300 ms]
                        thrpt:  [970.0 Kelem/s 980.0 Kelem/s 990.0 Kelem/s]
                 change:
                        time:   [-1.0000% +0.2000% +1.5000%] (p = 0.80 > 0.05)
                        thrpt:  [-1.4000% -0.2000% +1.0000%]
                        No change in performance detected.
Found 3 outliers among 100 measurements (3.00%)
  3 (3.00%) high mild
write a page of 1,000 profiles
                        time:   [5.1000 ms 5.2000 ms 5.3000 ms]
load                    time:   [200.10 ms 201.20 ms 202.30 ms]
                        change: [-2.0% -1.0% -0.5%] (p = 0.01 < 0.05)
";

    #[test]
    fn the_estimate_of_each_bench_is_read() {
        let expected = [
            ["parse/1000", "1.0200 ms", "980.0 Kelem/s"],
            ["write a page of 1,000 profiles", "5.2000 ms", "-"],
            ["load", "201.20 ms", "-"],
        ];
        assert_eq!(rows(PRINTED), expected.map(|row| row.map(str::to_owned).to_vec()));
    }
}
