//! Runs the stress tests: thousands of simulated faults, and the real program under kills, full disks and signals.
//!
//! Most are Rust tests: the simulation in the library, and the tests of `mp` in `crates/mp/tests/prove`. The nextest
//! profile `prove` selects them; this module sets the number of cases and the environment. The rest are the fuzz
//! targets in `fuzz`.

mod options;

use std::process::{Command, ExitCode};

use crate::cargo::{Cargo, KILL_POINTS, cannot_run, exit_code};
use crate::failure::Failure;
use crate::paths::Paths;
use crate::python;
use crate::work_dir::WorkDir;

use options::Program;
pub(crate) use options::Wanted;

/// Runs the selected parts.
pub(crate) fn prove(cargo: &Cargo<'_>, places: &Paths, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let mut work_dir = WorkDir::enter(places, "prove")?;
    let mut commands = if cargo.has("nextest") { nextest(cargo, wanted) } else { cargo_test(cargo, wanted) };
    commands.extend(python(cargo, wanted));
    commands.extend(fuzz(cargo, wanted, &work_dir));
    let mut failed = None;
    for mut command in commands {
        let seeds = wanted.seeds();
        command
            .env("MP_SIM_SEEDS", format!("0..{}", seeds.model))
            .env("MP_SIM_DUCKDB_SEEDS", format!("0..{}", seeds.duckdb))
            .env("MP_SIM_SLICES_SEEDS", format!("0..{}", seeds.slices))
            .env("MP_PROVE", wanted.length.pick("long", "quick"))
            // The system's temporary directory is often in memory, where syncs of the stage cost nothing.
            .env("TMPDIR", &work_dir.path)
            .env("MP_TEST_KEEP", "1");
        if wanted.update {
            command.env("MP_PROVE_UPDATE", "1");
        }
        let status = command.status().map_err(|error| cannot_run(&error))?;
        failed = failed.or((!status.success()).then_some(status));
    }
    let Some(status) = failed else { return Ok(ExitCode::SUCCESS) };
    work_dir.is_kept = true;
    eprintln!("prove: FAILED; the files are kept in {}", work_dir.path.display());
    Ok(exit_code(status))
}

/// The run time of each fuzz target, in seconds.
const FUZZ_SECONDS: u32 = 60;

/// Returns the nextest command for the selected tests, if there are any.
fn nextest(cargo: &Cargo<'_>, wanted: &Wanted) -> Vec<Command> {
    let filters = wanted.parts.iter().filter_map(|part| match part.program {
        Program::Library => Some(format!("(package(mixpanel-data) and test(/^({})$/))", part.tests)),
        Program::Mp => Some(format!("(binary(prove) and test(/^({})::/))", part.tests)),
        Program::Python | Program::Fuzz => None,
    });
    let filters: Vec<String> = filters.collect();
    if filters.is_empty() {
        return Vec::new();
    }
    let mut command = cargo.building(&["nextest", "run", "--workspace", "--lib", "--test", "prove"]);
    command.args(KILL_POINTS).args(["--profile", "prove", "-E", &filters.join(" or ")]);
    vec![command]
}

/// The tests of `mp` that could differ for the script of the Python package: of streams, signals, exit codes, terminals and
/// the program's name. All of them take a quarter of an hour.
const COMMAND_TESTS: [&str; 9] =
    ["closed_streams", "signals", "usage", "completion", "prompts", "terminal", "secrets", "hints", "outputs"];

/// Returns the commands for the long tests of the Python package, which need packages of their own.
fn python(cargo: &Cargo<'_>, wanted: &Wanted) -> Vec<Command> {
    let tests: Vec<&str> =
        wanted.parts.iter().filter(|part| part.program == Program::Python).flat_map(|part| part.names()).collect();
    if let (false, Err(reason)) = (tests.is_empty(), python::find()) {
        eprintln!("prove: SKIPPED: the Python package: {reason}");
        return Vec::new();
    }
    let of = |tests: &str| {
        let requirements = match tests {
            "command" => {
                let mut command = cargo.plain(&["xtask", "python", "--command"]);
                command.args(COMMAND_TESTS);
                return command;
            }
            "slow" => return cargo.plain(&["xtask", "python", "--", "-m", "slow", "--ignore", "tests/sources"]),
            "sources" => python::SOURCES,
            _ => python::DUCKDB_2,
        };
        let mut command = cargo.plain(&["xtask", "python", "--requirements", requirements, "--"]);
        command.arg(format!("tests/{tests}")).env(python::SLOW, "1");
        command
    };
    tests.into_iter().map(of).collect()
}

/// Returns the commands for the fuzz targets. New inputs go into the working directory, not into the corpus.
fn fuzz(cargo: &Cargo<'_>, wanted: &Wanted, work_dir: &WorkDir) -> Vec<Command> {
    let targets = wanted.parts.iter().filter(|part| part.program == Program::Fuzz).flat_map(|part| part.names());
    let targets: Vec<&str> = targets.collect();
    if !targets.is_empty() && !cargo.has("fuzz") {
        eprintln!("prove: SKIPPED: the fuzz targets, which need `cargo install cargo-fuzz`");
        return Vec::new();
    }
    let of = |target: &str| {
        // Sanitizers require another toolchain, and the scanners contain no unsafe code.
        let mut command = cargo.plain(&["fuzz", "run", "--sanitizer", "none", target]);
        command.arg(&work_dir.path).arg(format!("fuzz/corpus/{target}"));
        command.args(["--", &format!("-max_total_time={FUZZ_SECONDS}"), "-print_final_stats=1", "-verbosity=0"]);
        command
    };
    targets.into_iter().map(of).collect()
}

/// Returns the `cargo test` commands for use without nextest, one for each test program.
fn cargo_test(cargo: &Cargo<'_>, wanted: &Wanted) -> Vec<Command> {
    let programs = [(Program::Library, ["--lib"].as_slice()), (Program::Mp, &["--test", "prove"])];
    let of = |(program, target): (Program, &[&str])| {
        let names: Vec<&str> =
            wanted.parts.iter().filter(|part| part.program == program).flat_map(|part| part.names()).collect();
        let mut command = cargo.building(&["test", "--workspace"]);
        command.args(target).args(KILL_POINTS).args(["--", "--nocapture", "--test-threads=1"]).args(&names);
        (!names.is_empty()).then_some(command)
    };
    programs.into_iter().filter_map(of).collect()
}
