//! Does the simulation find anything? Defects are planted in a copy of the workspace, one after the other.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::KILL_POINTS;

use super::World;
use super::build::library_tests;
use super::report::Report;
use super::simulation::{TESTS, Words, run, simulation};

/// The defects, as `git diff` writes them.
const PLANTED: &str = "crates/mixpanel-data/src/fetch/simulation/planted";

/// Seeds in which a defect has to be found, a few first: most are found at once. The second number is for DuckDB, for
/// defects in the load.
const BATCHES: [(Range<u64>, Range<u64>); 3] = [(0..50, 0..10), (50..300, 10..50), (300..2_000, 50..150)];

/// The version of the copy. Cargo takes two packages of one name and version in one target folder for the same, and would
/// give what is built of the copy to the original.
const VERSION: &str = "0.1.9999";

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let planted = match patches(&world.places.root.join(PLANTED)) {
        Ok(planted) if planted.is_empty() => return Report::violated(format!("there is no patch in {PLANTED}")),
        Ok(planted) => planted,
        Err(problem) => return Report::violated(problem),
    };
    let copy = match copy(world) {
        Ok(copy) => copy,
        Err(problem) => return Report::violated(problem),
    };
    let mut report = Report::default();
    let mut found = 0;
    for patch in &planted {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match hunt(world, &copy, patch) {
            Ok(how) => {
                eprintln!("bite: {name}: {how}");
                found += 1;
            }
            Err(problem) => report.add(&name, Err(problem)),
        }
    }
    report.counts.push(format!("{found} of {} planted defects found", planted.len()));
    report
}

fn patches(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut patches: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "patch")).collect();
    patches.sort();
    Ok(patches)
}

/// Copies everything that git would, with its changes, under another version.
fn copy(world: &World<'_>) -> Result<PathBuf, String> {
    let root = &world.places.root;
    let copy = world.folder.join("bite");
    let list = output(
        Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root),
    )?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        // One that is deleted and not yet committed is still on the list.
        if !from.is_file() {
            continue;
        }
        let made = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(&from, &to).map(drop));
        made.map_err(|error| format!("cannot copy {name}: {error}"))?;
    }
    let manifest = copy.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| format!("cannot read the copy: {error}"))?;
    let renamed = text.replacen("\nversion = \"0.1.0\"", &format!("\nversion = \"{VERSION}\""), 1);
    if renamed == text {
        return Err("the workspace has another version than 0.1.0; look at `bite.rs`".to_owned());
    }
    fs::write(&manifest, renamed).map_err(|error| format!("cannot write the copy: {error}"))?;
    Ok(copy)
}

/// Plants a defect, looks for it and takes it out again. Says how it was found.
fn hunt(world: &World<'_>, copy: &Path, patch: &Path) -> Result<String, String> {
    apply(copy, patch, &[])?;
    let found = seek(world, copy);
    apply(copy, patch, &["--reverse"])?;
    found
}

fn seek(world: &World<'_>, copy: &Path) -> Result<String, String> {
    // Not `--locked`: the versions of the copy are not in the lock file.
    let mut build = world.cargo.unlocked(&["test", "--workspace", "--lib", "--no-run", "--offline"]);
    build.args(KILL_POINTS);
    let tests = library_tests(build, copy).map_err(|failure| format!("the defect does not compile: {failure}"))?;
    for (seeds, duckdb_seeds) in BATCHES {
        for test in TESTS {
            let command = simulation(world, &tests, test, seeds.clone(), duckdb_seeds.clone());
            let simulated = run(command, Words::Kept)?;
            if !simulated.passed {
                let seed = simulated.failing.first().map_or_else(|| "none".to_owned(), u64::to_string);
                return Ok(format!("found by {test}, seed {seed}"));
            }
        }
    }
    Err("it was not found".to_owned())
}

fn apply(copy: &Path, patch: &Path, more: &[&str]) -> Result<(), String> {
    // `git apply` inside another work tree looks for that one's files, unless it is told that there is none.
    let mut command = Command::new("git");
    command.env("GIT_DIR", "/dev/null").args(["apply", "--whitespace=nowarn"]).args(more).arg(patch).current_dir(copy);
    output(&mut command).map(drop).map_err(|problem| format!("the patch does not apply: {problem}"))
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("git cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
