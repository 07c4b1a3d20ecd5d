//! How many instructions the steps of a fetch take, beside how many they took when somebody last looked.
//!
//! Counts depend on the compiler and on the C library, so the baseline names the machine that it belongs to; on another
//! one it says nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cargo::KILL_POINTS;

use super::World;
use super::options::Baseline;
use super::report::Report;

/// The committed counts.
const BASELINE: &str = "crates/mixpanel-bench/instructions.json";

/// By how much a count may differ from the baseline, in percent.
const TOLERANCE: u64 = 5;

const UPDATE: &str = "cargo xtask prove instructions --update";

/// Instructions by step.
type Counts = BTreeMap<String, u64>;

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let root = &world.places.root;
    let machine = match machine(root) {
        Ok(machine) => machine,
        Err(missing) => return Report::skipped("counting instructions", &missing),
    };
    let file = root.join(BASELINE);
    let outcome = match world.baseline {
        Baseline::Kept => compare(world, &file, &machine),
        Baseline::WrittenAnew => count(world).and_then(|counts| write(&file, &machine, &counts)),
    };
    outcome.unwrap_or_else(Report::violated)
}

fn compare(world: &World<'_>, file: &Path, machine: &str) -> Result<Report, String> {
    let (baseline_machine, baseline) = read(file)?;
    if baseline_machine != machine {
        let reason = format!("instructions: {BASELINE} is of {baseline_machine}, and this is {machine}");
        return Ok(Report { skipped: vec![reason], ..Report::default() });
    }
    let counts = count(world)?;
    let mut report = Report::default();
    for name in baseline.keys().filter(|name| !counts.contains_key(*name)) {
        report.add(name, Err(format!("it is in {BASELINE} and was not counted; to write that anew: {UPDATE}")));
    }
    for (name, now) in &counts {
        match verdict(baseline.get(name).copied(), *now) {
            Ok(text) => report.counts.push(format!("{name}: {text}")),
            Err(problem) => report.add(name, Err(problem)),
        }
    }
    Ok(report)
}

/// Growth is a violation; what has become cheaper is to be kept that way.
fn verdict(before: Option<u64>, now: u64) -> Result<String, String> {
    let Some(before) = before else {
        return Err(format!("it takes {now} instructions and is not in {BASELINE}; to add it: {UPDATE}"));
    };
    let percent = (now as f64 / before as f64 - 1.0) * 100.0;
    let text = format!("{now} instructions ({percent:+.1} %)");
    if now * 100 > before * (100 + TOLERANCE) {
        return Err(format!(
            "{text}, and the baseline is {before}: more than {TOLERANCE} % dearer; if that has to be: {UPDATE}"
        ));
    }
    if now * 100 < before * (100 - TOLERANCE) {
        return Ok(format!("{text}, so much cheaper that the baseline should say so: {UPDATE}"));
    }
    Ok(text)
}

/// Builds the benchmark as the tests are built, so that of the workspace nothing is built twice, and runs it.
fn count(world: &World<'_>) -> Result<Counts, String> {
    let mut command = world.cargo.building(&["bench", "--workspace", "--profile", "dev", "--bench", "instructions"]);
    command.args(KILL_POINTS).args(["--", "--output-format=json", "--home"]).arg(world.folder.join("gungraun"));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the instructions could not be counted ({}); the reason is above", output.status));
    }
    let counts: Option<Counts> = String::from_utf8_lossy(&output.stdout).lines().map(counted).collect();
    counts
        .filter(|counts| !counts.is_empty())
        .ok_or_else(|| "gungraun does not print its counts as it did; look at `instructions.rs`".to_owned())
}

/// Reads gungraun's summary of one benchmark.
fn counted(line: &str) -> Option<(String, u64)> {
    let summary: Value = serde_json::from_str(line).ok()?;
    let name = summary.get("function_name")?.as_str()?.to_owned();
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new")?.as_u64()?;
    Some((name, count))
}

fn read(file: &Path) -> Result<(String, Counts), String> {
    let read = || {
        let value: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        let counts = value.get("instructions")?.as_object()?.iter();
        let counts: Option<Counts> = counts.map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        Some((value.get("machine")?.as_str()?.to_owned(), counts?))
    };
    read().ok_or_else(|| format!("{BASELINE} cannot be read; to write it anew: {UPDATE}"))
}

fn write(file: &Path, machine: &str, counts: &Counts) -> Result<Report, String> {
    let text = format!("{:#}\n", json!({ "machine": machine, "instructions": counts }));
    fs::write(file, text).map_err(|error| format!("{BASELINE} cannot be written: {error}"))?;
    let mut report = Report::default();
    report.counts.extend(counts.iter().map(|(name, count)| format!("{name}: {count} instructions")));
    report.counts.push(format!("{BASELINE} written"));
    Ok(report)
}

/// Says what the counts depend on. Fails with what is missing for counting.
fn machine(root: &Path) -> Result<String, String> {
    let valgrind = said("valgrind", &["--version"], root).ok_or("valgrind is missing")?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let wanted = locked(&lock, "gungraun-runner").ok_or("gungraun is not in Cargo.lock")?;
    if said("gungraun-runner", &["--version"], root).is_none_or(|found| found != format!("gungraun-runner {wanted}")) {
        return Err(format!("this needs: cargo install --locked --version {wanted} gungraun-runner"));
    }
    let rustc = said("rustc", &["--version"], root).ok_or("rustc is missing")?;
    let rustc = rustc.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let libc = said("getconf", &["GNU_LIBC_VERSION"], root).unwrap_or_else(|| "another C library".to_owned());
    Ok(format!("{} {}, {rustc}, {libc}, {valgrind}", std::env::consts::ARCH, std::env::consts::OS))
}

/// What a program says, if it can be run.
fn said(program: &str, args: &[&str], root: &Path) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(root).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The version of a package in the lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growth_by_more_than_the_tolerance_is_a_violation() {
        assert_eq!(verdict(Some(1_000), 1_050).unwrap(), "1050 instructions (+5.0 %)");
        assert_eq!(verdict(Some(1_000), 950).unwrap(), "950 instructions (-5.0 %)");
        let problem = verdict(Some(1_000), 1_051).unwrap_err();
        assert!(problem.contains("1051") && problem.contains("1000") && problem.contains(UPDATE), "{problem}");
        let text = verdict(Some(1_000), 949).unwrap();
        assert!(text.contains("cheaper") && text.contains(UPDATE), "{text}");
        assert!(verdict(None, 1).unwrap_err().contains(UPDATE));
    }

    #[test]
    fn a_count_is_read_from_a_summary() {
        let line = r#"{"function_name":"parse_page","module_path":"instructions::steps::parse_page","id":"page","profiles":
            [{"tool":"Callgrind","data":{"parts":[],"total":{"metrics":{"Ir":{"values":{"new":42}}},"regressions":[]}}}]}"#;
        assert_eq!(counted(line), Some(("parse_page".to_owned(), 42)));
        assert_eq!(counted("{}"), None);
        assert_eq!(counted("no JSON"), None);
    }

    #[test]
    fn a_baseline_is_read_back() {
        let file = std::env::temp_dir().join(format!("xtask-instructions-{}", std::process::id()));
        let counts = Counts::from([("parse_page".to_owned(), 7), ("stage_page".to_owned(), 8)]);
        write(&file, "a machine", &counts).unwrap();
        assert_eq!(read(&file), Ok(("a machine".to_owned(), counts)));
        fs::write(&file, "{}").unwrap();
        assert!(read(&file).unwrap_err().contains(UPDATE));
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn the_runner_has_the_version_of_the_lock_file() {
        let lock = "[[package]]\nname = \"gungraun\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"gungraun-runner\"\nversion = \"0.2.0\"\n";
        assert_eq!(locked(lock, "gungraun-runner"), Some("0.2.0"));
        assert_eq!(locked(lock, "runner"), None);
    }
}
