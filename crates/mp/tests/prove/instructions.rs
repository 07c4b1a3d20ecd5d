//! Instruction counts of the steps of a fetch, compared with `crates/mixpanel-bench/instructions.json`.
//!
//! Counts depend on the compiler and the C library, so the baseline names its machine and does not apply to others.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tools::skip_unless;

/// Allowed deviation from the baseline, in percent.
const TOLERANCE: u64 = 5;

/// The command that replaces the baseline after an intended change. It sets `MP_PROVE_UPDATE`.
const UPDATE: &str = "cargo xtask prove instructions --update";

/// Instructions by step.
type Counts = BTreeMap<String, u64>;

#[derive(Debug, Deserialize, Serialize)]
struct Baseline {
    machine: String,
    instructions: Counts,
}

#[test]
fn a_page_takes_no_more_instructions_than_before() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let machine = match machine(&root) {
        Ok(machine) => machine,
        Err(missing) => {
            skip_unless(false, &missing);
            return;
        }
    };
    let file = root.join("crates/mixpanel-bench/instructions.json");
    if std::env::var_os("MP_PROVE_UPDATE").is_some() {
        let baseline = Baseline { machine, instructions: count(&root) };
        let text = serde_json::to_string_pretty(&baseline).expect("JSON");
        return fs::write(file, text + "\n").expect("the baseline is written");
    }
    let text = fs::read_to_string(file).expect("the baseline");
    let baseline: Baseline = serde_json::from_str(&text).expect("a baseline");
    if baseline.machine != machine {
        return eprintln!("prove: skipped counting: the baseline is of {}, and this is {machine}", baseline.machine);
    }
    let (told, problems): (Vec<_>, Vec<_>) =
        compare(&baseline.instructions, &count(&root)).into_iter().partition(Result::is_ok);
    told.into_iter().flatten().for_each(|text| eprintln!("prove: {text}"));
    let problems: Vec<String> = problems.into_iter().filter_map(Result::err).collect();
    assert!(problems.is_empty(), "{}\nif that has to be: {UPDATE}", problems.join("\n"));
}

/// Describes the count of every step; a step that takes more instructions or cannot be compared is an error.
fn compare(before: &Counts, now: &Counts) -> Vec<Result<String, String>> {
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let gone = gone.map(|name| Err(format!("{name} is in the baseline and was not counted")));
    let step = |(name, now): (&String, &u64)| {
        let before = before.get(name).ok_or_else(|| format!("{name} is not in the baseline"))?;
        let percent = (*now as f64 / *before as f64 - 1.0) * 100.0;
        let text = format!("{name}: {now} instructions ({percent:+.1} %)");
        if now * 100 > before * (100 + TOLERANCE) {
            return Err(format!("{text}, and the baseline is {before}: more than {TOLERANCE} % dearer"));
        }
        if now * 100 < before * (100 - TOLERANCE) {
            return Ok(format!("{text}, so much cheaper that the baseline should say so: {UPDATE}"));
        }
        Ok(text)
    };
    gone.chain(now.iter().map(step)).collect()
}

/// Builds the benchmark with the same options as the tests, so that nothing is built twice, and runs it.
fn count(root: &Path) -> Counts {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Variables that describe this package would make build scripts run again.
    let describes_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(describes_us)) {
        command.env_remove(name);
    }
    command.args(["bench", "--workspace", "--locked", "--profile", "dev", "--bench", "instructions"]);
    if !cfg!(feature = "bundled") {
        command.arg("--no-default-features");
    }
    if cfg!(feature = "kill-points") {
        command.args(["--features", "mp/kill-points"]);
    }
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gungraun");
    command.args(["--", "--output-format=json", "--home"]).arg(home).current_dir(root);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the instructions could not be counted; the reason is above");
    let counts: Counts = String::from_utf8_lossy(&output.stdout).lines().map(counted).collect();
    assert!(!counts.is_empty(), "gungraun printed no counts");
    counts
}

/// Reads gungraun's summary of one benchmark.
fn counted(line: &str) -> (String, u64) {
    let summary: Value = serde_json::from_str(line).expect("a summary");
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new").and_then(Value::as_u64);
    (summary["function_name"].as_str().expect("a name").to_owned(), count.expect("a count"))
}

/// Describes the machine and the tools that the counts depend on. Fails with the name of a missing tool.
fn machine(root: &Path) -> Result<String, String> {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).current_dir(root).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let valgrind = said("valgrind", "--version").ok_or("valgrind is missing")?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("the lock file");
    let wanted =
        lock.split("\nname = \"gungraun-runner\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    let wanted = wanted.expect("gungraun-runner is in Cargo.lock");
    if said("gungraun-runner", "--version") != Some(format!("gungraun-runner {wanted}")) {
        return Err(format!("this needs: cargo install --locked --version {wanted} gungraun-runner"));
    }
    let rustc = said("rustc", "--version").ok_or("rustc is missing")?;
    let rustc = rustc.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let libc = said("getconf", "GNU_LIBC_VERSION").unwrap_or_else(|| "another C library".to_owned());
    Ok(format!("{} {}, {rustc}, {libc}, {valgrind}", std::env::consts::ARCH, std::env::consts::OS))
}

#[test]
fn only_growth_by_more_than_the_tolerance_is_an_error() {
    let counts = |count| Counts::from([("parse_page".to_owned(), count)]);
    let compared = |now| compare(&counts(1_000), &counts(now)).remove(0);
    assert_eq!(compared(1_050).as_deref(), Ok("parse_page: 1050 instructions (+5.0 %)"));
    assert_eq!(compared(950).as_deref(), Ok("parse_page: 950 instructions (-5.0 %)"));
    assert!(compared(949).is_ok_and(|text| text.contains(UPDATE)));
    assert!(compared(1_051).is_err_and(|problem| problem.contains("1051") && problem.contains("1000")));
    assert!(compare(&counts(1), &Counts::new()).remove(0).is_err());
    assert!(compare(&Counts::new(), &counts(1)).remove(0).is_err());
}
